import type { Pod, ServicePort } from "../api/types.gen.ts";
import type { BalancerSpec, Target, TargetGroupSpec } from "../clouds/balancer.ts";
import type { Machine } from "../clouds/cloud.ts";
import { condition, isActive } from "./owned.ts";

/** A port of a Service on one of its Pods; 0 where the Pod has none of that name. */
export function targetPort({ targetPort: wanted, port, protocol = "TCP" }: ServicePort, pod: Pod): number {
  if (typeof wanted !== "string") return wanted ?? port;
  for (const { ports = [] } of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
    const found = ports.find((each) => each.name === wanted && (each.protocol ?? "TCP") === protocol);
    if (found) return found.containerPort;
  }
  return 0;
}

/** A Pod that a Service selects, and its machine. */
export type Candidate = {
  pod: Pod;
  machine: Machine;
  /** Of a Deployment with a weight. */
  share?: { owner: string; weight: number };
};

/**
 * A target that a group has now, and may send connections to. `isUnclaimed`: its machine is in nobody's records, because
 * the store was lost: it goes on serving until all that is wanted serves.
 */
export type Present = { groupId: string; machineId: string; address: string; port: number; isUnclaimed?: boolean };

const serves = ({ pod, machine }: Candidate, takesUnready: boolean): boolean =>
  isActive(pod) &&
  machine.state === "running" &&
  (takesUnready || condition(pod, "ContainersReady")?.status === "True");

const byId = (a: Target, b: Target): number => (a.machineId < b.machineId ? -1 : 1);

/** Machines that are to get connections on the port that `portOf` tells, in order of id. */
export const activeTargets = (
  candidates: readonly Candidate[],
  portOf: (pod: Pod) => number,
  takesUnready: boolean,
): Target[] =>
  candidates
    .flatMap((candidate): Target[] => {
      const { id, address } = candidate.machine;
      const port = portOf(candidate.pod);
      if (address === undefined || port === 0 || !serves(candidate, takesUnready)) return [];
      return [{ machineId: id, address, port, draining: false }];
    })
    .sort(byId);

/**
 * `wanted` with those that keep the connections they have after its active targets. A group that is no longer wanted
 * stays, without a listener, until it has none left.
 */
export function withLeaving(
  wanted: BalancerSpec,
  present: readonly Present[],
  former: readonly FormerGroup[],
  allServe = true,
) {
  const leavingIn = (groupId: string, active: readonly Target[]): Target[] => {
    const staying = new Set(active.map(({ machineId }) => machineId));
    return present
      .filter((each) => each.groupId === groupId && !staying.has(each.machineId))
      .map(({ machineId, address, port, isUnclaimed = false }) => {
        const draining = allServe || !isUnclaimed;
        return { machineId, address, port: draining ? port : port || (active[0]?.port ?? 0), draining };
      })
      .sort(byId);
  };
  const groups = wanted.groups.map((group) => ({
    ...group,
    targets: [...group.targets, ...leavingIn(group.id, group.targets)],
  }));
  const leaving = former
    .filter(({ id }) => !wanted.groups.some((group) => group.id === id))
    .map((group): TargetGroupSpec => ({ ...group, targets: leavingIn(group.id, []) }))
    .filter(({ targets }) => targets.length > 0);
  return { ...wanted, groups: [...groups, ...leaving] };
}

/** A group that a balancer has or had. */
export type FormerGroup = Omit<TargetGroupSpec, "targets">;

const graceDefaultSeconds = 30;
/** What a machine may take beyond its grace. */
const slackSeconds = 5;
const drainMaxSeconds = 3_600;

/**
 * How long the connections of a group may go on after its Pods were told to go: they get their grace to drain, and once
 * more to stop, in which the processes finish the answers they have begun.
 */
export function drainSeconds(candidates: readonly Candidate[]): number {
  const graces = candidates.map(({ pod }) => pod.spec.terminationGracePeriodSeconds ?? graceDefaultSeconds);
  const longest = graces.length > 0 ? Math.max(...graces) : graceDefaultSeconds;
  return Math.min(drainMaxSeconds, 2 * (longest + slackSeconds));
}
