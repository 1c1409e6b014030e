import type { ObjectKey } from "../api/object.ts";
import { clusterNotice } from "./events.ts";
import type { Notice, Reconciler } from "./reconciler.ts";

export const driftKey: ObjectKey = { resource: "drift", namespace: "", name: "all" };

const lookMs = 600_000;
/** What an earlier process changed as its last deed is shown everywhere by then. */
const firstLookMs = 60_000;

/** Has the provider asked now and then what somebody changed by hand; balancers tell of themselves. */
export function driftReconciler(): Reconciler<{ isDue: boolean }> {
  let looks = 0;
  return {
    name: "drift",
    watches: {},
    observe: () => ({ isDue: looks++ > 0 }),
    plan: ({ isDue }) =>
      isDue ? { actions: [{ do: "checkDrift" }], againInMs: lookMs } : { actions: [], againInMs: firstLookMs },
  };
}

/** Counted while it lasts. */
export const driftNotice = (message: string): Notice => clusterNotice("NetworkDrift", message);
