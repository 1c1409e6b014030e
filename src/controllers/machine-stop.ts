import { isSame, keyOf } from "./owned.ts";
import { lostStatus, stoppedStatus } from "./pod-status.ts";
import type { PodWorld } from "./pod-world.ts";
import type { Notice, Plan } from "./reconciler.ts";

/** A machine that somebody stopped has so long to be started again. */
const stoppedMaxMs = 300_000;

/** Of a Pod whose machine somebody stopped: it is not ready, and after a while it is replaced. */
export function planStopped({ pod, machine, stoodStillMs }: PodWorld, nowMs: number): Plan | undefined {
  if (stoodStillMs === undefined || machine === undefined) return undefined;
  const isOver = stoodStillMs >= stoppedMaxMs;
  const what = `Machine ${machine.id} was stopped (${machine.cause ?? "the provider does not say why"})`;
  const message = isOver
    ? `${what} and not started again: the Pod is replaced`
    : `${what}; the Pod is replaced when it is not started again within ${stoppedMaxMs / 60_000} minutes`;
  const status = isOver ? lostStatus(pod, message, nowMs) : stoppedStatus(pod, message, nowMs);
  const againInMs = Math.max(1_000, stoppedMaxMs - stoodStillMs);
  if (isSame(status, pod.status)) return { actions: [], againInMs };
  const reason = isOver ? "MachineLost" : "MachineStopped";
  const told: Notice = { about: pod, type: "Warning", reason, message, source: "drover" };
  const next = { ...pod, status };
  return { actions: [{ do: "write", key: keyOf("pods", pod), next, subresource: "status", told }], againInMs };
}
