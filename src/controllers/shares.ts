import type { Deployment, Pod } from "../api/types.gen.ts";
import type { BalancerState, Forward, TargetGroupSpec } from "../clouds/balancer.ts";
import type { View } from "../registry/view.ts";
import { isTold } from "./events.ts";
import { controllerOf } from "./owned.ts";
import type { Notice } from "./reconciler.ts";
import { activeTargets, type Candidate, drainSeconds } from "./targets.ts";

/** Of a Deployment: how much of what its Service gets it is to get, 0 to 999. */
const weightAnnotation = "drover.dev/weight";
const weightMax = 999;
/** What Deployments with a weight leave of this goes to those without one. */
const wholeWeight = 100;

/** The Deployment that a Pod belongs to. */
function deploymentOf(view: View, { metadata }: Pod): Deployment | undefined {
  const namespace = metadata.namespace ?? "";
  const set = controllerOf(metadata);
  const replicaSet = set?.kind === "ReplicaSet" ? view.get("replicasets.apps", namespace, set.name) : undefined;
  const owner = replicaSet && controllerOf(replicaSet.metadata);
  return owner?.kind === "Deployment" ? view.get("deployments.apps", namespace, owner.name) : undefined;
}

const weightText = (deployment: Deployment | undefined): string | undefined =>
  deployment?.metadata.annotations?.[weightAnnotation];

/** The weight of the Deployment that a Pod belongs to; undefined without one that makes sense. */
export function shareOf(view: View, pod: Pod): Candidate["share"] {
  const deployment = deploymentOf(view, pod);
  const text = weightText(deployment) ?? "";
  if (!deployment || !/^\d{1,3}$/.test(text)) return undefined;
  return { owner: deployment.metadata.name, weight: Number(text) };
}

/** What is told of Deployments whose weight makes no sense, once each. */
export function weightNotices(view: View, candidates: readonly Candidate[]): Notice[] {
  const deployments = new Set(candidates.flatMap(({ pod, share }) => (share ? [] : (deploymentOf(view, pod) ?? []))));
  return [...deployments].flatMap((about): Notice[] => {
    const text = weightText(about);
    if (text === undefined) return [];
    const message = `${weightAnnotation} must be a whole number from 0 to ${weightMax}, not ${text}: it is left out.`;
    const notice: Notice = { about, type: "Warning", reason: "InvalidWeight", message, source: "service-controller" };
    return isTold(view, notice) ? [] : [notice];
  });
}

/** Machines that a balancer calls healthy, in this group or another. */
export const healthyMachines = (state: BalancerState | undefined): ReadonlySet<string> =>
  new Set((state?.targets ?? []).filter(({ state: is }) => is === "healthy").map(({ machineId }) => machineId));

export type Backend = {
  /** Of the group, or the first part of it where there are several. */
  id: string;
  protocol: TargetGroupSpec["protocol"];
  candidates: readonly Candidate[];
  portOf: (pod: Pod) => number;
  takesUnready: boolean;
  healthy: ReadonlySet<string>;
};

/**
 * The groups behind one port of a Service: one, or where Deployments have weights one each. A group gets nothing before
 * one of its machines is healthy, as long as another has any.
 */
export function groupsBehind(backend: Backend): { groups: TargetGroupSpec[]; forward: Forward } {
  const { id, protocol, portOf, takesUnready, healthy } = backend;
  const parts = partsOf(backend).map(({ weight, candidates, ...part }) => {
    const targets = activeTargets(candidates, portOf, takesUnready);
    const group: TargetGroupSpec = { id: part.id, protocol, targets, drainSeconds: drainSeconds(candidates) };
    return { group, weight, serves: targets.some(({ machineId }) => healthy.has(machineId)) };
  });
  const groups = parts.map(({ group }) => group);
  if (parts.length === 1) return { groups, forward: [{ groupId: groups[0]?.id ?? id, weight: 1 }] };
  const isAnyServing = parts.some(({ weight, serves }) => weight > 0 && serves);
  const forward = parts.map(({ group, weight, serves }) => ({
    groupId: group.id,
    weight: isAnyServing && !serves ? 0 : weight,
  }));
  return { groups, forward };
}

type Part = { id: string; weight: number; candidates: readonly Candidate[] };

function partsOf({ id, candidates }: Backend): Part[] {
  const shared = new Map<string, { weight: number; candidates: Candidate[] }>();
  const others: Candidate[] = [];
  for (const candidate of candidates) {
    const { share } = candidate;
    if (!share) others.push(candidate);
    else {
      const part = shared.get(share.owner) ?? { weight: share.weight, candidates: [] };
      shared.set(share.owner, { ...part, candidates: [...part.candidates, candidate] });
    }
  }
  if (shared.size === 0) return [{ id, weight: 1, candidates }];
  const taken = [...shared.values()].reduce((sum, { weight }) => sum + weight, 0);
  const rest: Part = { id, weight: Math.max(1, wholeWeight - taken), candidates: others };
  const named = [...shared].map(([owner, part]): Part => ({ ...part, id: `${id}/${owner}` }));
  return [...(others.length > 0 ? [rest] : []), ...named.sort((a, b) => (a.id < b.id ? -1 : 1))];
}

/** The backend that a group is of. */
export const backendOfGroup = (groupId: string): string => groupId.split("/")[0] ?? "";
