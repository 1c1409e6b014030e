import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import { controllerOf, isReady, isSame, keyOf, timeMs } from "./owned.ts";
import type { Plan, Reconciler } from "./reconciler.ts";
import { scaledValue } from "./rollout-math.ts";

const resource = "poddisruptionbudgets.policy";
/** A Pod that an eviction has let go and that is still there after this is counted again. */
const disruptedMs = 120_000;

export type DisruptionWorld = {
  budget: PodDisruptionBudget;
  /** Pods that the budget selects. */
  pods: readonly Pod[];
  /** What their controllers are to have, all together; Pods without a controller are not in it. */
  scale: number;
};

const asBudget = (object: KubeObject): PodDisruptionBudget => object as PodDisruptionBudget; // Validated when written.

/** PodDisruptionBudgets: how many of their Pods an eviction may take now. */
export const disruptionReconciler = (view: View): Reconciler<DisruptionWorld> => ({
  name: "disruption",
  watches: {
    [resource]: (object) => [keyOf(resource, object)],
    pods: (object) => selecting(object, view),
  },
  observe({ namespace, name }) {
    const object = view.get(resource, namespace, name);
    if (object === undefined) return undefined;
    const budget = asBudget(object);
    const matches = labelSelectorMatcher(budget.spec.selector);
    const pods = view.list("pods", namespace).filter(({ metadata }) => matches(metadata.labels));
    return { budget, pods, scale: scaleOf(pods, view) };
  },
  plan: planDisruption,
});

const selecting = ({ metadata }: KubeObject, view: View): readonly ObjectKey[] =>
  view
    .list(resource, metadata.namespace)
    .filter((budget) => labelSelectorMatcher(asBudget(budget).spec.selector)(metadata.labels))
    .map((budget) => keyOf(resource, budget));

/** What the owners of the Pods want: a ReplicaSet of a Deployment counts as the Deployment. */
function scaleOf(pods: readonly Pod[], view: View): number {
  const sizes = new Map<string, number>();
  for (const { metadata } of pods) {
    const owner = controllerOf(metadata);
    if (owner === undefined || sizes.has(owner.uid)) continue;
    const { namespace = "" } = metadata;
    const found = owner.kind === "ReplicaSet" ? view.get("replicasets.apps", namespace, owner.name) : undefined;
    const above = found && controllerOf(found.metadata);
    const deployment = above?.kind === "Deployment" ? view.get("deployments.apps", namespace, above.name) : undefined;
    if (deployment !== undefined) sizes.set(deployment.metadata.uid ?? "", deployment.spec.replicas ?? 1);
    else if (found !== undefined) sizes.set(owner.uid, found.spec.replicas ?? 1);
    else sizes.set(owner.uid, pods.filter((pod) => controllerOf(pod.metadata)?.uid === owner.uid).length);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

export function planDisruption({ budget, pods, scale }: DisruptionWorld, nowMs: number): Plan {
  const disrupted = stillGoing(budget, pods, nowMs);
  const counts = countsOf(budget, pods, scale, new Set(Object.keys(disrupted)));
  const status: PodDisruptionBudgetStatus = {
    ...counts,
    observedGeneration: budget.metadata.generation,
    ...(Object.keys(disrupted).length > 0 && { disruptedPods: disrupted }),
    conditions: conditionsOf(budget, counts.disruptionsAllowed, nowMs),
  };
  const oldest = Math.min(...Object.values(disrupted).map(timeMs));
  const again = Number.isFinite(oldest) ? { againInMs: oldest + disruptedMs - nowMs } : {};
  if (isSame(status, budget.status)) return { actions: [], ...again };
  const next = { ...budget, status };
  return { actions: [{ do: "write", key: keyOf(resource, budget), next, subresource: "status" }], ...again };
}

/** Pods that were let go lately and are neither gone nor on their way out yet. */
function stillGoing({ status }: PodDisruptionBudget, pods: readonly Pod[], nowMs: number): Record<string, string> {
  const here = new Set(pods.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name));
  const given = Object.entries(status?.disruptedPods ?? {});
  return Object.fromEntries(given.filter(([name, since]) => here.has(name) && timeMs(since) + disruptedMs > nowMs));
}

function countsOf({ spec }: PodDisruptionBudget, pods: readonly Pod[], scale: number, disrupted: ReadonlySet<string>) {
  const { minAvailable, maxUnavailable } = spec;
  const isCount = maxUnavailable === undefined && typeof minAvailable !== "string";
  const expectedPods = isCount ? pods.length : scale;
  const desiredHealthy =
    maxUnavailable === undefined
      ? scaledValue(minAvailable ?? 1, expectedPods, Math.ceil)
      : Math.max(0, expectedPods - scaledValue(maxUnavailable, expectedPods, Math.ceil));
  const counted = ({ metadata }: Pod) => !metadata.deletionTimestamp && !disrupted.has(metadata.name);
  const currentHealthy = pods.filter((pod) => counted(pod) && isReady(pod)).length;
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, currentHealthy - desiredHealthy) : 0;
  return { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods };
}

function conditionsOf({ metadata, status }: PodDisruptionBudget, allowed: number, nowMs: number): Condition[] {
  const type = "DisruptionAllowed";
  const told = status?.conditions ?? [];
  const before = told.find((each) => each.type === type);
  const value = allowed > 0 ? "True" : "False";
  const next: Condition = {
    type,
    status: value,
    observedGeneration: metadata.generation,
    lastTransitionTime: before?.status === value ? before.lastTransitionTime : rfc3339(nowMs),
    reason: allowed > 0 ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  return [...told.filter((each) => each.type !== type), next];
}
