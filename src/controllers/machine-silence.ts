import { stageCondition } from "../machines/stage.ts";
import { condition, timeMs } from "./owned.ts";
import type { PodWorld } from "./pod-world.ts";
import type { Notice } from "./reconciler.ts";

/** A machine has booted long before, so that something stands in the way. */
const lateMs = 180_000;

/** A machine that runs and can't be given its Pod: `leftMs` until its reader is told why. */
export function unreached(
  { pod, machine, contact }: Pick<PodWorld, "pod" | "machine" | "contact">,
  nowMs: number,
): { notice: Notice; leftMs: number } | undefined {
  const { reachable, failure, failingSinceMs = 0, report } = contact ?? {};
  if (machine?.state !== "running" || !pod.spec.nodeName || reachable || failure === undefined) return undefined;
  if (report?.uid === pod.metadata.uid) return undefined;
  const message = `drover can't get into machine ${machine.id} to give it the Pod: ${failure}`;
  const notice: Notice = { about: pod, type: "Warning", reason: "MachineUnreachable", message, source: "drover" };
  // A Pod may have waited long before for something else, and drover may have been started just now.
  const sinceMs = Math.max(failingSinceMs, timeMs(condition(pod, stageCondition)?.lastTransitionTime));
  return { notice, leftMs: sinceMs + lateMs - nowMs };
}
