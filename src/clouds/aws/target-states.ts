import type { TargetHealthDescription } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Target, TargetState } from "../balancer.ts";

/** One machine's port in one target group. */
export type TargetKey = string;
export type SeenTarget = { machineId: string; port: number; state: string; reason?: string };
/** What was asked for and can't be seen for certain yet. `isSure`: AWS said that it took the order. */
export type Told = { what: "in" | "out"; atMs: number; isSure: boolean };
export type OwnState = { machineId: string; state: TargetState; reason?: string };

export const keyOf = (machineId: string, port: number): TargetKey => `${machineId}:${port}`;

/** After so long AWS shows what was asked for, or it was not done. */
const consistentMs = 60_000;
/** An answer may show how it was so long ago: until then that a target is out may be from before it was in. */
export const staleMs = 10_000;

export function seenTargets(descriptions: readonly TargetHealthDescription[] | undefined): Map<TargetKey, SeenTarget> {
  const seen = (descriptions ?? []).map(({ Target, TargetHealth }): [TargetKey, SeenTarget] => {
    const [machineId, port] = [Target?.Id ?? "", Target?.Port ?? 0];
    const reason = TargetHealth?.Description ?? TargetHealth?.Reason;
    return [
      keyOf(machineId, port),
      { machineId, port, state: TargetHealth?.State ?? "", ...(reason ? { reason } : {}) },
    ];
  });
  return new Map(seen);
}

const isLeaving = (state: string): boolean => state === "draining" || state === "unhealthy.draining";

/** Not registered, or on its way out. */
export const isOut = (seen: SeenTarget | undefined): boolean => seen === undefined || isLeaving(seen.state);

/**
 * Whether a look that began at `lookedMs` settles what was told. Something older than the order settles nothing, and
 * what AWS showed a moment after an order may be from before it.
 */
export function isSettled(told: Told, seen: SeenTarget | undefined, lookedMs: number): boolean {
  if (lookedMs <= told.atMs) return false;
  const ageMs = lookedMs - told.atMs;
  if (told.what === "in") return !isOut(seen) || ageMs > consistentMs;
  return ageMs > (isOut(seen) ? staleMs : consistentMs);
}

/** AWS' words for a target that is registered. */
function registered({ state }: SeenTarget, isInUse: boolean): TargetState {
  if (isLeaving(state)) return "draining";
  if (state === "healthy") return "healthy";
  // Not in use: no listener leads here yet, or the load balancer is not in the machine's zone.
  if (state === "unused") return isInUse ? "unhealthy" : "initial";
  return state === "unhealthy" ? "unhealthy" : "initial";
}

const notInUse = /not (?:in use|configured to receive|associated)|NotInUse|not enabled for the load balancer/i;

/**
 * The port's view of one target. `drained` needs a look that began after the target was deregistered and no longer
 * shows it as draining; until then it is draining, whatever was seen before.
 */
export function stateOf(
  { machineId, draining }: Pick<Target, "machineId" | "draining">,
  { seen, told, isWaiting }: { seen?: SeenTarget | undefined; told?: Told | undefined; isWaiting: boolean },
): OwnState {
  if (isWaiting) return { machineId, state: draining ? "drained" : "initial", reason: "The machine does not run yet." };
  if (told?.what === "out" && (draining || isOut(seen))) return { machineId, state: "draining" };
  if (seen === undefined)
    return { machineId, state: draining && told === undefined ? "drained" : draining ? "draining" : "initial" };
  const reason = seen.reason === undefined ? {} : { reason: seen.reason };
  if (draining) {
    if (told === undefined && seen.state === "unused") return { machineId, state: "drained" };
    return { machineId, state: "draining", ...reason };
  }
  if (told?.what === "in" && isOut(seen)) return { machineId, state: "initial" };
  return { machineId, state: registered(seen, !notInUse.test(seen.reason ?? "")), ...reason };
}

/** From the least far on; what is drained in one group may still be served by another. */
const ranks: readonly TargetState[] = ["unhealthy", "initial", "draining", "healthy", "drained"];

/** One state a machine. */
export function leastFar(states: readonly OwnState[]): OwnState[] {
  const byMachine = new Map<string, OwnState>();
  for (const state of states) {
    const known = byMachine.get(state.machineId);
    if (!known || ranks.indexOf(state.state) < ranks.indexOf(known.state)) byMachine.set(state.machineId, state);
  }
  return [...byMachine.values()];
}
