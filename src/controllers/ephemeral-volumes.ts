import type { KubeObject } from "../api/object.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimTemplate, Pod } from "../api/types.gen.ts";
import { volumeOwners } from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import { controllerOf, controllerRef, isActive, keyOf } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";

export type EphemeralWorld = { pod: Pod; claims: ReadonlyMap<string, PersistentVolumeClaim | undefined> };

const source = "ephemeral-volume";

/** Volumes that live as long as their Pod: a claim each, owned by it. */
export const ephemeralVolumeReconciler = (view: View): Reconciler<EphemeralWorld> => ({
  name: "ephemeral-volumes",
  watches: { pods: (object) => (volumeOwners(object as Pod).length > 0 ? [keyOf("pods", object)] : []) },
  observe({ namespace, name }) {
    const pod = view.get("pods", namespace, name);
    if (!pod || !isActive(pod)) return undefined;
    const names = volumeOwners(pod).map(({ claimName }) => claimName);
    return { pod, claims: new Map(names.map((each) => [each, view.get("persistentvolumeclaims", namespace, each)])) };
  },
  plan: planEphemeral,
});

function planEphemeral({ pod, claims }: EphemeralWorld): Plan {
  const actions = volumeOwners(pod).flatMap(({ claimName, template }): Action[] => {
    const claim = claims.get(claimName);
    if (!claim) return [createClaim(pod, claimName, template)];
    if (controllerOf(claim.metadata)?.uid === pod.metadata.uid) return [];
    const message = `PVC ${claim.metadata.namespace}/${claimName} was not created for the pod`;
    const notice = { about: pod, type: "Warning", reason: "FailedBinding", message, source } as const;
    return [{ do: "tell", notice }];
  });
  return { actions };
}

function createClaim(pod: Pod, name: string, { metadata, spec }: PersistentVolumeClaimTemplate): Action {
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name,
      namespace: pod.metadata.namespace ?? "default",
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [controllerRef(pod)],
    },
    spec,
  };
  return { do: "create", resource: "persistentvolumeclaims", object };
}
