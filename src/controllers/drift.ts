import type { ObjectKey } from "../api/object.ts";
import { clusterNotice } from "./events.ts";
import type { Notice, Reconciler } from "./reconciler.ts";

export const driftKey: ObjectKey = { resource: "drift", namespace: "", name: "all" };

const lookMs = 600_000;
/** What an earlier process changed as its last deed is shown everywhere by then. */
const settledMs = 60_000;

/**
 * Has the provider asked now and then what somebody changed by hand; balancers tell of themselves. It is asked at the
 * start too, for what is wished otherwise than before.
 */
export function driftReconciler(monotonicMs: () => number): Reconciler<{ ageMs: number }> {
  const startedMs = monotonicMs();
  return {
    name: "drift",
    watches: {},
    observe: () => ({ ageMs: monotonicMs() - startedMs }),
    plan: ({ ageMs }) => ({
      actions: [{ do: "checkDrift" }],
      againInMs: ageMs < settledMs ? settledMs - ageMs : lookMs,
    }),
  };
}

/** Counted while it lasts. */
export const driftNotice = (message: string): Notice => clusterNotice("NetworkDrift", message);
