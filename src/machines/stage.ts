import type { Pod, PodCondition } from "../api/types.gen.ts";
import { parseTimeMs } from "../base/clock.ts";
import type { Report } from "../clouds/box.ts";

/** How far a Pod has come, in the order in which it gets there. */
const stages = [
  "Requested",
  "Booting",
  "Configuring",
  "Pulling",
  "Starting",
  "Registering",
  "InService",
  "Succeeded",
  "Failed",
] as const;
export type Stage = (typeof stages)[number];

/** The Pod condition whose reason is the stage and whose transition time is the stage's beginning. */
export const stageCondition = "drover.dev/Stage";

const isTrue = (conditions: readonly PodCondition[], type: string): boolean =>
  conditions.some((condition) => condition.type === type && condition.status === "True");

/** The stage that a Pod's status tells; before the machine has reported, controllers say it in the condition. */
export function stageOf(pod: Pod): Stage {
  const { phase, conditions = [] } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return phase;
  if (isTrue(conditions, "Ready")) return "InService";
  if (isTrue(conditions, "ContainersReady")) return "Registering";
  const told = stages.find((stage) => stage === conditions.find(({ type }) => type === stageCondition)?.reason);
  return told ?? (pod.spec.nodeName ? "Booting" : "Requested");
}

/** The stage of a Pod whose machine has reported. `conditions` are those that follow from the report. */
export function stageOfReport(report: Report, phase: string, conditions: readonly PodCondition[]): Stage {
  if (phase === "Succeeded" || phase === "Failed") return phase;
  if (isTrue(conditions, "Ready")) return "InService";
  if (isTrue(conditions, "ContainersReady")) return "Registering";
  const statuses = [...report.initContainerStatuses, ...report.containerStatuses];
  if (statuses.some(({ state }) => state?.waiting?.reason?.includes("ImagePull"))) return "Pulling";
  const newest = new Map(report.events.map(({ container, reason }) => [container, reason]));
  if ([...newest.values()].includes("Pulling")) return "Pulling";
  return newest.size > 0 || statuses.some(({ state }) => state?.running) ? "Starting" : "Configuring";
}

/** The stage and the whole seconds since it began, as far as that is known. */
export function stageWithSeconds(pod: Pod, nowMs: number): { stage: Stage; seconds: number } {
  const stage = stageOf(pod);
  const condition = pod.status?.conditions?.find(({ type, reason }) => type === stageCondition && reason === stage);
  const sinceMs = parseTimeMs(condition?.lastTransitionTime ?? pod.metadata.creationTimestamp ?? "");
  return { stage, seconds: Number.isNaN(sinceMs) ? 0 : Math.max(0, Math.round((nowMs - sinceMs) / 1000)) };
}
