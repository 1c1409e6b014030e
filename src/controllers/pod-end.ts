import type { Pod, PodCondition } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import { condition, isFinished, isSame, keyOf, timeMs } from "./owned.ts";
import { nextStatus } from "./pod-status.ts";
import { type PodWorld, planReported } from "./pod-world.ts";
import type { Action, Plan } from "./reconciler.ts";

/** The step that a Pod on its way out is at, and since when. */
const endCondition = "drover.dev/Ending";
/** What a machine may take beyond the grace to say that it has stopped. */
const slackMs = 5_000;
/** Balancers and machines tell what changes; what nobody tells (a target that never was) is looked for this often. */
const lookAgainMs = 2_000;

/**
 * The end of a Pod: its endpoint is out at once; when every balancer has let go of the machine, or has had the grace for
 * it, the containers are told to stop, and when they have, or the grace is over once more, the object goes. The machine
 * is ended after that, and never before the balancers have let go of it.
 */
export function planEnd(world: PodWorld, nowMs: number): Plan {
  const { pod, machine, gone, contact, released } = world;
  const isBound = contact?.report?.uid === pod.metadata.uid;
  const neverRan = machine === undefined || (!isBound && contact?.report !== undefined) || !pod.spec.nodeName;
  // A Node that is none of drover's may still run it: its grace is waited for.
  const strangerMs = machine === undefined && pod.spec.nodeName ? timeMs(pod.metadata.deletionTimestamp) - nowMs : 0;
  if (!gone && !isFinished(pod) && strangerMs > 0) return { actions: [], againInMs: strangerMs };
  if (gone || isFinished(pod) || neverRan) return planRemoval(pod);
  const graceSeconds = pod.metadata.deletionGracePeriodSeconds ?? 30;
  const stopping = condition(pod, endCondition);
  if (!released && stopping?.reason !== "Stopping") {
    // Idle kept-alive connections never end by themselves: after the grace the process is asked to close them.
    const leftMs = graceSeconds * 1_000 - (world.drainingForMs ?? 0);
    if (leftMs > 0) return { actions: mark(world, "Draining", nowMs), againInMs: Math.min(leftMs, lookAgainMs) };
  }
  if (stopping?.reason !== "Stopping") return { actions: mark(world, "Stopping", nowMs) };
  const leftMs = timeMs(stopping.lastTransitionTime) + graceSeconds * 1_000 + slackMs - nowMs;
  const isFinal = isBound && contact?.report?.finished === true;
  if (isFinal || leftMs <= 0) return planRemoval(pod, [...mark(world, "Stopping", nowMs), ...planReported(world)]);
  const told = [...mark(world, "Stopping", nowMs), ...planReported(world)];
  if (contact?.report?.stopping || !contact?.reachable) return { actions: told, againInMs: Math.min(leftMs, 1_000) };
  return {
    actions: [...told, { do: "stop", machineId: machine.id, graceSeconds }],
    againInMs: Math.min(leftMs, 1_000),
  };
}

const planRemoval = (pod: Pod, before: readonly Action[] = []): Plan => ({
  actions: [...before, { do: "delete", key: keyOf("pods", pod), uid: pod.metadata.uid ?? "", graceSeconds: 0 }],
});

/** The status as the machine tells it, with the step of the end. */
function mark(world: PodWorld, step: "Draining" | "Stopping", nowMs: number): Action[] {
  const { pod } = world;
  const told = nextStatus(world, nowMs);
  const current = condition(pod, endCondition);
  const next: PodCondition =
    current?.reason === step
      ? current
      : { type: endCondition, status: "True", reason: step, lastTransitionTime: rfc3339(nowMs) };
  const others = (told.conditions ?? []).filter(({ type }) => type !== endCondition);
  const status = { ...told, conditions: [...others, next] };
  if (isSame(sorted(status), sorted(pod.status))) return [];
  return [{ do: "write", key: keyOf("pods", pod), next: { ...pod, status }, subresource: "status" }];
}

const sorted = (status: Pod["status"]) => ({
  ...status,
  conditions: [...(status?.conditions ?? [])].sort((a, b) => (a.type < b.type ? -1 : 1)),
});
