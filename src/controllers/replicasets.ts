import { isDeepStrictEqual } from "node:util";
import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject } from "../api/object.ts";
import type { Pod, ReplicaSet, ReplicaSetStatus } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import { type Doors, doorsOf, gatesFor } from "./gates.ts";
import {
  type ImageAnswer,
  type ImageLookup,
  type MachineImages,
  machineImageAnnotation,
  notedImage,
  noteOf,
} from "./machine-images.ts";
import type { NamesOnly } from "./names-only.ts";
import {
  adopted,
  availableAtMs,
  controllerOf,
  controllerRef,
  isActive,
  isFinished,
  isReady,
  keyOf,
  released,
  timeMs,
} from "./owned.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";

export type ReplicaSetWorld = {
  replicaSet: ReplicaSet;
  /** Owned ones and orphans that match. */
  pods: readonly Pod[];
  /** Of the namespace. */
  doors: Doors;
  /** How many active Pods of the same Deployment a Node has. */
  neighbours: ReadonlyMap<string, number>;
  /** Its Pods may be there already, on machines that have not been looked at yet: none is made meanwhile. */
  unseen: boolean;
  /** What its machines are made of; absent: not looked up yet. */
  image?: ImageAnswer | undefined;
  lookup: ImageLookup;
  failure?: string | undefined;
};

const source = "replicaset-controller";
const unseenAgainMs = 250;

export type ReplicaSetOptions = {
  view: View;
  unseen: () => boolean;
  images: Pick<MachineImages, "lookupOf" | "answer">;
  namesOnly: NamesOnly;
};

/** ReplicaSets: as many Pods of one template as wanted. */
export const replicaSetReconciler = ({
  view,
  unseen,
  images,
  namesOnly,
}: ReplicaSetOptions): Reconciler<ReplicaSetWorld> => ({
  name: "replicasets",
  watches: {
    "replicasets.apps": (object) => [keyOf("replicasets.apps", object)],
    pods: (object) => ownersOf(object, view),
  },
  observe(key, failure) {
    const replicaSet = view.get("replicasets.apps", key.namespace, key.name);
    if (!replicaSet) return undefined;
    const uid = replicaSet.metadata.uid ?? "";
    const matches = labelSelectorMatcher(replicaSet.spec.selector);
    const owned = view.controlledBy("pods", uid);
    const orphans = view
      .list("pods", key.namespace)
      .filter((pod) => !controllerOf(pod.metadata) && isActive(pod) && matches(pod.metadata.labels));
    const neighbours = countNeighbours(owned);
    const { template } = replicaSet.spec;
    const lookup = images.lookupOf({ metadata: template?.metadata ?? {}, spec: template?.spec } as Pod); // As Pods of it.
    return {
      replicaSet,
      pods: [...owned, ...orphans],
      doors: doorsOf(view, namesOnly, key.namespace),
      neighbours,
      unseen: unseen(),
      lookup,
      image: images.answer(lookup),
      failure,
    };
  },
  plan: planReplicaSet,
});

function countNeighbours(pods: readonly Pod[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { spec } of pods) counts.set(spec.nodeName ?? "", (counts.get(spec.nodeName ?? "") ?? 0) + 1);
  return counts;
}

function ownersOf(pod: KubeObject, view: View) {
  const namespace = pod.metadata.namespace ?? "";
  const ref = controllerOf(pod.metadata);
  if (ref) return ref.kind === "ReplicaSet" ? [{ resource: "replicasets.apps", namespace, name: ref.name }] : [];
  return view
    .list("replicasets.apps", namespace)
    .filter(({ spec }) => labelSelectorMatcher(spec.selector)(pod.metadata.labels))
    .map((set) => keyOf("replicasets.apps", set));
}

export function planReplicaSet(world: ReplicaSetWorld, nowMs: number): Plan {
  const { replicaSet, pods, failure } = world;
  const isDeleting = replicaSet.metadata.deletionTimestamp !== undefined;
  const claims = isDeleting ? [] : planClaims(replicaSet, pods);
  if (claims.length > 0) return { actions: claims };
  const owned = pods.filter(({ metadata }) => controllerOf(metadata)?.uid === replicaSet.metadata.uid);
  const active = owned.filter(isActive);
  const missing = (replicaSet.spec.replicas ?? 1) - active.length;
  const early = isDeleting || missing <= 0 ? [] : planImage(world);
  const steps = isDeleting
    ? []
    : [...planRemains(owned), ...(early.length > 0 ? early : planCount(world, active, missing))];
  const { status, againInMs } = statusOf(replicaSet, owned, failure, missing, nowMs);
  const next = { ...replicaSet, status };
  const key = keyOf("replicasets.apps", replicaSet);
  const writes: Action[] = isDeepStrictEqual(status, replicaSet.status)
    ? []
    : [{ do: "write", key, next, subresource: "status" }];
  const waits = [
    ...(againInMs === undefined ? [] : [againInMs]),
    ...(world.unseen ? [unseenAgainMs] : []),
    ...(early.length > 0 ? [0] : []),
  ];
  return { actions: [...writes, ...steps], ...(waits.length > 0 && { againInMs: Math.min(...waits) }) };
}

/** Takes matching orphans over, and lets go of Pods whose labels no longer match. */
function planClaims(replicaSet: ReplicaSet, pods: readonly Pod[]): Action[] {
  const matches = labelSelectorMatcher(replicaSet.spec.selector);
  return pods.flatMap((pod): Action[] => {
    const isOwned = controllerOf(pod.metadata) !== undefined;
    if (isOwned === matches(pod.metadata.labels) || (isOwned && !isActive(pod))) return [];
    return [
      { do: "write", key: keyOf("pods", pod), next: isOwned ? released(pod, replicaSet) : adopted(pod, replicaSet) },
    ];
  });
}

/** Before the first Pod of a revision its machine image is looked up and noted; what is wrong with it the Pods say. */
function planImage({ replicaSet, image, lookup, failure }: ReplicaSetWorld): Action[] {
  if (notedImage(replicaSet)) return [];
  // There is no Pod yet on which it could be said what is in the way.
  const notice = {
    about: replicaSet,
    type: "Warning",
    reason: "FailedCreate",
    message: failure ?? "",
    source,
  } as const;
  if (!image) return [...(failure ? [{ do: "tell", notice } as const] : []), { do: "lookUpImage", lookup }];
  if ("error" in image) return [];
  // An id names the same image for ever, as the Pod names its architecture; what has to be noted is what a word stands
  // for today, and what was found out elsewhere.
  const { id, architecture } = image.image;
  if (id === lookup.reference && architecture === lookup.architectures[0]) return [];
  const annotations = { ...replicaSet.metadata.annotations, [machineImageAnnotation]: noteOf(image.image) };
  const next = { ...replicaSet, metadata: { ...replicaSet.metadata, annotations } };
  return [{ do: "write", key: keyOf("replicasets.apps", replicaSet), next }];
}

/** A Pod that has ended holds nothing any more: its place is filled, so it goes. */
function planRemains(owned: readonly Pod[]): Action[] {
  const ended = owned.filter((pod) => isFinished(pod) && pod.metadata.deletionTimestamp === undefined);
  return ended.map((pod) => ({ do: "delete", key: keyOf("pods", pod), uid: pod.metadata.uid ?? "", graceSeconds: 0 }));
}

function planCount(world: ReplicaSetWorld, active: readonly Pod[], missing: number): Action[] {
  const { replicaSet } = world;
  if (missing > 0 && !world.unseen) {
    const actions = Array.from({ length: missing }, () => createPod(world));
    return [{ do: "together", actions, untilFailure: true }];
  }
  if (missing >= 0) return [];
  const doomed = [...active].sort(bySacrifice(world.neighbours)).slice(0, -missing);
  const actions = doomed.map((pod): Action => {
    const message = `Deleted pod: ${pod.metadata.name}`;
    const told: Notice = { about: replicaSet, type: "Normal", reason: "SuccessfulDelete", message, source };
    return { do: "delete", key: keyOf("pods", pod), uid: pod.metadata.uid ?? "", told };
  });
  return [{ do: "together", actions }];
}

function createPod({ replicaSet, doors }: ReplicaSetWorld): Action {
  const { template, selector: _ } = replicaSet.spec;
  const { name, namespace } = replicaSet.metadata;
  const { labels, annotations } = template?.metadata ?? {};
  const readinessGates = [...(template?.spec?.readinessGates ?? []), ...gatesFor(doors, labels)];
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "",
      generateName: `${name}-`,
      namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(template?.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
      ownerReferences: [controllerRef(replicaSet)],
    },
    spec: { ...template?.spec, ...(readinessGates.length > 0 && { readinessGates }) },
  };
  const common = { about: replicaSet, source };
  return {
    do: "create",
    resource: "pods",
    object,
    told: { ...common, type: "Normal", reason: "SuccessfulCreate", message: "Created pod: {}" },
    refused: { ...common, type: "Warning", reason: "FailedCreate", message: "Error creating: {}" },
  };
}

const phases = ["Pending", "Unknown", "Running"];
const costOf = (pod: Pod): number =>
  Number.parseInt(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? "0", 10) || 0;
const restarts = ({ status }: Pod): number =>
  (status?.containerStatuses ?? []).reduce((most, { restartCount }) => Math.max(most, restartCount), 0);
const createdMs = ({ metadata }: Pod): number => timeMs(metadata.creationTimestamp);

/** Which of two Pods is missed less: negative when it is `a`. */
const bySacrifice =
  (neighbours: ReadonlyMap<string, number>) =>
  (a: Pod, b: Pod): number => {
    const rank = (of: (pod: Pod) => number) => of(a) - of(b);
    return (
      rank((pod) => (pod.spec.nodeName ? 1 : 0)) ||
      rank(({ status }) => phases.indexOf(status?.phase ?? "Pending")) ||
      rank((pod) => (isReady(pod) ? 1 : 0)) ||
      rank(costOf) ||
      -rank(({ spec }) => neighbours.get(spec.nodeName ?? "") ?? 0) ||
      -rank((pod) => availableAtMs(pod, 0) ?? 0) ||
      -rank(restarts) ||
      -rank(createdMs)
    );
  };

function statusOf(set: ReplicaSet, owned: readonly Pod[], failure: string | undefined, missing: number, nowMs: number) {
  const active = owned.filter(isActive);
  const labels = labelSelectorMatcher({ matchLabels: set.spec.template?.metadata?.labels ?? {} });
  const readyAt = active.flatMap((pod) => availableAtMs(pod, set.spec.minReadySeconds ?? 0) ?? []);
  const waiting = readyAt.filter((atMs) => atMs > nowMs).map((atMs) => atMs - nowMs);
  const conditions = conditionsOf(set, failure, missing, nowMs);
  const counters = {
    fullyLabeledReplicas: active.filter(({ metadata }) => labels(metadata.labels)).length,
    readyReplicas: readyAt.length,
    availableReplicas: readyAt.length - waiting.length,
  };
  const terminating = owned.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isFinished(pod));
  const status: ReplicaSetStatus = {
    replicas: active.length,
    ...Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0)),
    terminatingReplicas: terminating.length,
    ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
    ...(conditions.length > 0 && { conditions }),
  };
  return { status, againInMs: waiting.length > 0 ? Math.min(...waiting) : undefined };
}

function conditionsOf({ status }: ReplicaSet, failure: string | undefined, missing: number, nowMs: number) {
  const others = (status?.conditions ?? []).filter(({ type }) => type !== "ReplicaFailure");
  if (failure === undefined || missing === 0) return others;
  const current = status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  const reason = missing > 0 ? "FailedCreate" : "FailedDelete";
  if (current?.reason === reason && current.message === failure) return status?.conditions ?? [];
  const lastTransitionTime = current?.lastTransitionTime ?? rfc3339(nowMs);
  return [...others, { type: "ReplicaFailure", status: "True", reason, message: failure, lastTransitionTime }];
}
