import { DroverError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";

/** Everything that may go wrong between drover and the provider. Each method is asked once a call. */
export type Faults = {
  /** Throws what the provider answers instead of doing the work. */
  refuse(call: string): void;
  /** The work is done but its answer never arrives. */
  loseReply(call: string): boolean;
  /** How many of `wanted` machines a launch gives. */
  given(wanted: number): number;
  /** How old the state is that an observation shows. */
  staleMs(): number;
  /** The observation misses some of what exists, and says so. */
  incomplete(): boolean;
};

export const noFaults: Faults = {
  refuse: () => {},
  loseReply: () => false,
  given: (wanted) => wanted,
  staleMs: () => 0,
  incomplete: () => false,
};

/** Each chance is 0 to 1, drawn anew at every call. */
export type FaultChances = {
  throttle: number;
  outage: number;
  lostReply: number;
  partialLaunch: number;
  noCapacity: number;
  stale: number;
  incomplete: number;
};

/** Faults drawn from `random` for as long as `active()`. */
export function drawnFaults(random: Random, chances: FaultChances, active: () => boolean): Faults {
  const happens = (chance: number): boolean => active() && random.next() < chance;
  return {
    refuse(call) {
      if (happens(chances.throttle))
        throw new DroverError("CLOUD_THROTTLED", `${call}: request limit exceeded`, { call });
      if (happens(chances.outage)) throw new DroverError("CLOUD_UNAVAILABLE", `${call}: no answer`, { call });
      if (call === "launch" && happens(chances.noCapacity)) {
        throw new DroverError("CLOUD_CAPACITY", "launch: insufficient capacity in the zone", { call });
      }
    },
    loseReply: () => happens(chances.lostReply),
    given: (wanted) =>
      wanted > 1 && happens(chances.partialLaunch) ? 1 + Math.floor(random.next() * (wanted - 1)) : wanted,
    staleMs: () => (happens(chances.stale) ? random.next() * 8_000 : 0),
    incomplete: () => happens(chances.incomplete),
  };
}
