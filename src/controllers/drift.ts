import type { ObjectKey } from "../api/object.ts";
import { clusterNotice } from "./events.ts";
import type { Notice, Reconciler } from "./reconciler.ts";

export const driftKey: ObjectKey = { resource: "drift", namespace: "", name: "all" };

const lookMs = 600_000;

/** Has the provider asked now and then what somebody changed by hand; balancers tell of themselves. */
export const driftReconciler = (): Reconciler<true> => ({
  name: "drift",
  watches: {},
  observe: () => true,
  plan: () => ({ actions: [{ do: "checkDrift" }], againInMs: lookMs }),
});

/** Counted while it lasts. */
export const driftNotice = (message: string): Notice => clusterNotice("NetworkDrift", message);
