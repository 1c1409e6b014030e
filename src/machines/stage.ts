import type { Pod } from "../api/types.gen.ts";
import { parseTimeMs } from "../base/clock.ts";

/** How far a Pod has come, in the order in which it gets there. */
export const stages = [
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

/** The Pod condition whose reason is the stage and whose transition time is its beginning. */
export const stageCondition = "drover.dev/Stage";

/**
 * The stage that a Pod's status tells. Before a report has come the controllers say it in the condition, for only they
 * know of launches; from then on the containers say it themselves.
 */
export function stageOf(pod: Pod): Stage {
  const { phase, conditions = [], containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return phase;
  const isTrue = (type: string) =>
    conditions.some((condition) => condition.type === type && condition.status === "True");
  if (isTrue("Ready")) return "InService";
  if (isTrue("ContainersReady")) return "Registering";
  const statuses = [...initContainerStatuses, ...containerStatuses];
  if (statuses.some(({ state }) => state?.running || state?.terminated)) return "Starting";
  const waiting = statuses.map(({ state }) => state?.waiting?.reason ?? "");
  if (waiting.some((reason) => /ImagePull|Pulling/.test(reason))) return "Pulling";
  const told = stages.find((stage) => stage === conditions.find(({ type }) => type === stageCondition)?.reason);
  return told ?? (pod.spec.nodeName ? "Booting" : "Requested");
}

/** The stage and the whole seconds since it began, as far as that is known. */
export function stageWithSeconds(pod: Pod, nowMs: number): { stage: Stage; seconds: number } {
  const stage = stageOf(pod);
  const condition = pod.status?.conditions?.find(({ type, reason }) => type === stageCondition && reason === stage);
  const sinceMs = parseTimeMs(condition?.lastTransitionTime ?? pod.metadata.creationTimestamp ?? "");
  return { stage, seconds: Number.isNaN(sinceMs) ? 0 : Math.max(0, Math.round((nowMs - sinceMs) / 1000)) };
}
