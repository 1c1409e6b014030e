import { isTold } from "../base/errors.ts";
import type { Log } from "./run.ts";

/** What can't be looked at, told to the log once for as long as it fails in the same way. */
export type Complaints = {
  /** `what`: in the plural, `Balancers`. */
  failed(what: string, error: unknown): void;
  over(what: string): void;
};

export function openComplaints(log: Log): Complaints {
  const told = new Map<string, string>();
  return {
    failed(what, error) {
      const why = error instanceof Error ? error.message : String(error);
      const isKnown = isTold(error) || told.get(what) === why;
      told.set(what, why);
      log[isKnown ? "debug" : "warn"]({ error }, `${what} can't be observed: ${why}`);
    },
    over: (what) => void told.delete(what),
  };
}
