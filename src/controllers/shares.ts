import type { Deployment, Pod } from "../api/types.gen.ts";
import type { BalancerSpec, BalancerState, Forward, Target, TargetGroupSpec } from "../clouds/balancer.ts";
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

/**
 * The weight of the Deployment that a Pod belongs to; undefined without one that makes sense. For one look at many
 * Pods: each of their owners is looked at once.
 */
export function openShares(view: View): (pod: Pod) => Candidate["share"] {
  const known = new Map<string, Candidate["share"]>();
  return (pod) => {
    const ownerUid = controllerOf(pod.metadata)?.uid;
    if (ownerUid === undefined) return undefined;
    if (!known.has(ownerUid)) known.set(ownerUid, shareOf(deploymentOf(view, pod)));
    return known.get(ownerUid);
  };
}

function shareOf(deployment: Deployment | undefined): Candidate["share"] {
  const text = weightText(deployment) ?? "";
  if (!deployment || !/^\d{1,3}$/.test(text)) return undefined;
  return { owner: deployment.metadata.name, weight: Number(text) };
}

/** What is told of Deployments whose weight makes no sense, once each. */
export function weightNotices(view: View, candidates: readonly Candidate[]): Notice[] {
  const byOwner = new Map(candidates.map(({ pod, share }) => [controllerOf(pod.metadata)?.uid, { pod, share }]));
  const owners = [...byOwner.values()].filter(({ share }) => !share);
  const deployments = new Set(owners.flatMap(({ pod }) => deploymentOf(view, pod) ?? []));
  return [...deployments].flatMap((about): Notice[] => {
    const text = weightText(about);
    if (text === undefined) return [];
    const message = `${weightAnnotation} must be a whole number from 0 to ${weightMax}, not ${text}: it is left out.`;
    const notice: Notice = { about, type: "Warning", reason: "InvalidWeight", message, source: "service-controller" };
    return isTold(view, notice) ? [] : [notice];
  });
}

export type Backend = {
  /** Of the group, or the first part of it where there are several. */
  id: string;
  protocol: TargetGroupSpec["protocol"];
  candidates: readonly Candidate[];
  portOf: (pod: Pod) => number;
  takesUnready: boolean;
  seen: Seen;
};

/** What the balancer was last told, and what it says since. */
export type Seen = { carriedOut?: BalancerSpec | undefined; state?: BalancerState | undefined };

/**
 * The groups behind one port of a Service: one, or where Deployments have weights one each. A group gets nothing before
 * one of its machines is healthy, as long as another has any. Where machines come into another group, because weights
 * came or went, the one that is given up goes on until they have been looked at in the other.
 */
export function groupsBehind(backend: Backend): { groups: TargetGroupSpec[]; forward: Forward } {
  const { id, protocol, portOf, takesUnready, seen } = backend;
  const former = (seen.carriedOut?.groups ?? []).filter((group) => backendOfGroup(group.id) === id);
  const states = new Map(seen.state?.targets.map(({ machineId, state }) => [machineId, state]));
  const pending = new Set<string>();
  const parts = partsOf(backend).map(({ weight, candidates, ...part }) => {
    const targets = activeTargets(candidates, portOf, takesUnready);
    const told = activeIn(former.find((each) => each.id === part.id));
    const isKnown = ({ machineId }: Target) =>
      (seen.carriedOut === undefined || told.has(machineId)) && states.get(machineId) !== "initial";
    for (const target of targets) if (!isKnown(target)) pending.add(target.machineId);
    const serves = targets.some((target) => isKnown(target) && states.get(target.machineId) === "healthy");
    return { group: { id: part.id, protocol, targets, drainSeconds: drainSeconds(candidates) }, weight, serves };
  });
  const groups = parts.map(({ group }) => group);
  const outgoing = outgoingOf(former, groups).filter((each) => each.targets.some((one) => pending.has(one.machineId)));
  const others = outgoing.length > 0 || parts.some(({ weight, serves }) => weight > 0 && serves);
  const toldWeight = (groupId: string) =>
    forwardsOf(seen.carriedOut).find((each) => each.groupId === groupId)?.weight ?? 1;
  const forward = [
    ...outgoing.map((group) => ({ groupId: group.id, weight: toldWeight(group.id) })),
    ...parts.map(({ group, weight, serves }) => ({ groupId: group.id, weight: others && !serves ? 0 : weight })),
  ];
  const [only, ...more] = forward;
  return { groups: [...outgoing, ...groups], forward: only && more.length === 0 ? [{ ...only, weight: 1 }] : forward };
}

/** Machines that the group sends new connections to. */
const activeIn = (group: TargetGroupSpec | undefined): ReadonlySet<string> =>
  new Set(group?.targets.flatMap(({ machineId, draining }) => (draining ? [] : machineId)));

const forwardsOf = (spec: BalancerSpec | undefined): Forward =>
  (spec?.listeners ?? []).flatMap(({ forward, rules = [] }) => [forward, ...rules.map((rule) => rule.forward)].flat());

/** Former groups with what they have of machines that the new ones are to have. */
function outgoingOf(former: readonly TargetGroupSpec[], groups: readonly TargetGroupSpec[]): TargetGroupSpec[] {
  const wanted = new Set(groups.flatMap(({ targets }) => targets.map(({ machineId }) => machineId)));
  return former
    .filter(({ id }) => !groups.some((group) => group.id === id))
    .map((group) => ({
      ...group,
      targets: group.targets.filter(({ machineId, draining }) => !draining && wanted.has(machineId)),
    }))
    .filter(({ targets }) => targets.length > 0);
}

/** Whether a balancer's shares depend on which of its machines are healthy. */
export const hasShares = ({ listeners }: BalancerSpec): boolean =>
  listeners.some(({ forward, rules = [] }) => forward.length > 1 || rules.some((rule) => rule.forward.length > 1));

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
