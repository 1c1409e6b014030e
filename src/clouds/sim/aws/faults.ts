import type { Random } from "../../../base/random.ts";
import type { CallFault, CallFaults } from "./calls.ts";
import type { StateReason } from "./instances.ts";

export const noCallFaults: CallFaults = {
  ofAttempt: () => undefined,
  staleMs: () => 0,
  given: (wanted) => wanted,
  failsToStart: () => undefined,
};

/** Each chance is 0 to 1, drawn anew for every attempt, launch or instance. */
export type AwsFaultChances = Record<CallFault, number> & {
  stale: number;
  partialLaunch: number;
  failsToStart: number;
};

/** The oldest that a stale read is. */
const staleMsMax = 8_000;

const startFailures: readonly StateReason[] = [
  {
    code: "Server.InsufficientInstanceCapacity",
    message: "Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request",
  },
  { code: "Server.InternalError", message: "Server.InternalError: Internal error on launch" },
  { code: "Client.VolumeLimitExceeded", message: "Client.VolumeLimitExceeded: Volume limit exceeded" },
  { code: "Client.InternalError", message: "Client.InternalError: Client error on launch" },
];

/** Faults drawn from `random` for as long as `active()`. */
export function drawnCallFaults(
  random: Random,
  chances: Partial<AwsFaultChances>,
  active: () => boolean = () => true,
): CallFaults {
  const happens = (chance = 0): boolean => active() && random.next() < chance;
  const kinds: readonly CallFault[] = ["lost-request", "lost-reply", "duplicate", "throttle", "unavailable"];
  return {
    ofAttempt: () => kinds.find((kind) => happens(chances[kind])),
    staleMs: () => (happens(chances.stale) ? random.next() * staleMsMax : 0),
    given: (wanted) =>
      wanted > 1 && happens(chances.partialLaunch) ? 1 + Math.floor(random.next() * (wanted - 1)) : wanted,
    failsToStart: () =>
      happens(chances.failsToStart) ? startFailures[Math.floor(random.next() * startFailures.length)] : undefined,
  };
}
