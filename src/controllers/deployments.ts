import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject } from "../api/object.ts";
import type { Deployment, ReplicaSet } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { deploymentSource, scaledNotice } from "./deployment-notices.ts";
import { deadlineMs, deploymentStatus } from "./deployment-status.ts";
import { adopted, controllerOf, controllerRef, isFinished, keyOf, released, timeMs } from "./owned.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";
import { planRollout } from "./rollout.ts";
import {
  annotated,
  hashLabel,
  replicaSetAnnotations,
  revisionAnnotation,
  revisionHistoryAnnotation,
  revisionOf,
  rolloutRoom,
  sameTemplate,
  sumWanted,
  templateHash,
  wanted,
} from "./rollout-math.ts";

export type DeploymentWorld = {
  deployment: Deployment;
  /** Owned ones and orphans that match; the oldest first. */
  replicaSets: readonly ReplicaSet[];
  /** Pods of the owned ReplicaSets that have not finished, the ones on their way out included, by ReplicaSet's uid. */
  podsLeft: ReadonlyMap<string, number>;
  failure?: string | undefined;
};

/** Deployments: one ReplicaSet a revision, and the steps between them. */
export const deploymentReconciler = (view: View): Reconciler<DeploymentWorld> => ({
  name: "deployments",
  watches: {
    "deployments.apps": (object) => [keyOf("deployments.apps", object)],
    "replicasets.apps": (object) => ownersOf(object, view),
    pods: (object) => {
      const ref = controllerOf(object.metadata);
      const set = ref && view.get("replicasets.apps", object.metadata.namespace ?? "", ref.name);
      return set && ref?.kind === "ReplicaSet" ? ownersOf(set, view) : [];
    },
  },
  observe(key, failure) {
    const deployment = view.get("deployments.apps", key.namespace, key.name);
    if (!deployment) return undefined;
    const uid = deployment.metadata.uid ?? "";
    const matches = labelSelectorMatcher(deployment.spec.selector);
    const replicaSets = view.list("replicasets.apps", key.namespace).filter((set) => {
      const controller = controllerOf(set.metadata);
      return controller ? controller.uid === uid : matches(set.metadata.labels);
    });
    const left = (set: ReplicaSet) =>
      view.controlledBy("pods", set.metadata.uid ?? "").filter((pod) => !isFinished(pod));
    const podsLeft = new Map(replicaSets.map((set) => [set.metadata.uid ?? "", left(set).length]));
    const byAge = [...replicaSets].sort(
      (a, b) => createdMs(a) - createdMs(b) || (a.metadata.name < b.metadata.name ? -1 : 1),
    );
    return { deployment, replicaSets: byAge, podsLeft, failure };
  },
  plan: planDeployment,
});

const createdMs = ({ metadata }: ReplicaSet): number => timeMs(metadata.creationTimestamp);

function ownersOf(set: KubeObject, view: View) {
  const namespace = set.metadata.namespace ?? "";
  const ref = controllerOf(set.metadata);
  if (ref) return ref.kind === "Deployment" ? [{ resource: "deployments.apps", namespace, name: ref.name }] : [];
  return view
    .list("deployments.apps", namespace)
    .filter(({ spec }) => labelSelectorMatcher(spec.selector)(set.metadata.labels))
    .map((deployment) => keyOf("deployments.apps", deployment));
}

export function planDeployment(world: DeploymentWorld, nowMs: number): Plan {
  const { deployment } = world;
  if (deployment.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const matches = labelSelectorMatcher(deployment.spec.selector);
  const claims = world.replicaSets.flatMap((set): Action[] => {
    const isOwned = controllerOf(set.metadata) !== undefined;
    if (isOwned === matches(set.metadata.labels)) return [];
    const next = isOwned ? released(set, deployment) : adopted(set, deployment);
    return [{ do: "write", key: keyOf("replicasets.apps", set), next }];
  });
  if (claims.length > 0) return { actions: claims };
  const alive = world.replicaSets.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const fresh = alive.find((set) => sameTemplate(set.spec.template, deployment.spec.template));
  const old = alive.filter((set) => set !== fresh);
  const statusActions = planStatus(world, fresh, alive, nowMs);
  const steps = fresh || deployment.spec.paused ? [] : planNewReplicaSet(world, old);
  if (steps.length === 0) steps.push(...planRevision(deployment, fresh, old));
  if (steps.length === 0) steps.push(...planRollout({ deployment, fresh, old, podsLeft: world.podsLeft }));
  const deadline = deadlineMs(deployment);
  const actions = world.failure === undefined ? [...steps, ...statusActions] : [...statusActions, ...steps];
  return { actions, ...(deadline !== undefined && deadline > nowMs && { againInMs: deadline - nowMs }) };
}

function planStatus(world: DeploymentWorld, fresh: ReplicaSet | undefined, all: readonly ReplicaSet[], nowMs: number) {
  const { deployment, failure } = world;
  const status = deploymentStatus({ deployment, fresh, all, failure }, nowMs);
  const revision = fresh?.metadata.annotations?.[revisionAnnotation];
  const annotations = deployment.metadata.annotations ?? {};
  const isCurrent = revision === undefined || annotations[revisionAnnotation] === revision;
  if (!status && isCurrent) return [];
  const metadata = isCurrent
    ? deployment.metadata
    : { ...deployment.metadata, annotations: { ...annotations, [revisionAnnotation]: revision } };
  const next = { ...deployment, metadata, status: status ?? deployment.status };
  return [{ do: "write", key: keyOf("deployments.apps", deployment), next, subresource: "status" } satisfies Action];
}

const maxRevision = (sets: readonly ReplicaSet[]): number => Math.max(0, ...sets.map(revisionOf));

function planNewReplicaSet(
  { deployment, podsLeft, replicaSets }: DeploymentWorld,
  old: readonly ReplicaSet[],
): Action[] {
  const { spec, metadata, status } = deployment;
  const replicas = spec.replicas ?? 1;
  const { surge } = rolloutRoom(deployment);
  const isRecreate = spec.strategy?.type === "Recreate";
  if (isRecreate && old.some((set) => wanted(set) > 0 || (podsLeft.get(set.metadata.uid ?? "") ?? 0) > 0)) return [];
  const room = Math.max(0, Math.min(replicas, replicas + surge - sumWanted(old)));
  const hash = freeHash(deployment, replicaSets, status?.collisionCount ?? 0);
  const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash };
  const replicaSet: KubeObject = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels,
      annotations: { ...replicaSetAnnotations(deployment), [revisionAnnotation]: String(maxRevision(old) + 1) },
      ownerReferences: [controllerRef(deployment)],
    },
    spec: {
      replicas: isRecreate ? replicas : room,
      ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
  const told = scaledNotice(deployment, `${metadata.name}-${hash}`, 0, isRecreate ? replicas : room);
  const refused: Notice = {
    about: deployment,
    type: "Warning",
    reason: "ReplicaSetCreateError",
    message: `Failed to create new replica set "${metadata.name}-${hash}": {}`,
    source: deploymentSource,
  };
  return [{ do: "create", resource: "replicasets.apps", object: replicaSet, told, refused }];
}

/** A name that no other ReplicaSet has: the hash, and with a collision another one. */
function freeHash({ spec, metadata }: Deployment, sets: readonly ReplicaSet[], collisions: number): string {
  const taken = new Set(sets.map((set) => set.metadata.name));
  for (let more = 0; ; more++) {
    const hash = templateHash(spec.template, collisions + more);
    if (!taken.has(`${metadata.name}-${hash}`)) return hash;
  }
}

/** A revision that is taken up again gets the next number and remembers its old ones. */
function planRevision(deployment: Deployment, fresh: ReplicaSet | undefined, old: readonly ReplicaSet[]): Action[] {
  if (!fresh) return [];
  const annotations = { ...fresh.metadata.annotations, ...replicaSetAnnotations(deployment) };
  const highest = maxRevision(old);
  const own = revisionOf(fresh);
  if (own <= highest) {
    annotations[revisionAnnotation] = String(highest + 1);
    const history = fresh.metadata.annotations?.[revisionHistoryAnnotation];
    if (own > 0) annotations[revisionHistoryAnnotation] = history ? `${history},${own}` : String(own);
  }
  const { minReadySeconds } = deployment.spec;
  // The sizes in the annotations are written when the ReplicaSet is scaled: a difference is how a new size is noticed.
  for (const name of ["deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"]) {
    const written = annotated(fresh, name);
    if (written !== undefined) annotations[name] = String(written);
  }
  const before = fresh.metadata.annotations ?? {};
  const isSame = Object.entries(annotations).every(([key, value]) => before[key] === value);
  if (isSame && fresh.spec.minReadySeconds === minReadySeconds) return [];
  const { minReadySeconds: _, ...spec } = fresh.spec;
  const next = {
    ...fresh,
    metadata: { ...fresh.metadata, annotations },
    spec: { ...spec, ...(minReadySeconds !== undefined && { minReadySeconds }) },
  };
  return [{ do: "write", key: keyOf("replicasets.apps", fresh), next }];
}
