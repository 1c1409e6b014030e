import type { ObjectKey } from "../api/object.ts";
import type { Event } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { eventTime } from "./events.ts";
import { keyOf, timeMs } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";

/** Events live for an hour after they were last told. */
const keepMs = 3_600_000;
const sweepMs = 300_000;
export const expiryKey: ObjectKey = { resource: "expiry", namespace: "", name: "events" };

/** Old Events go. */
export const expiryReconciler = (view: View): Reconciler<readonly Event[]> => ({
  name: "expiry",
  watches: {},
  observe: () => view.list("events"),
  plan: planExpiry,
});

function planExpiry(events: readonly Event[], nowMs: number): Plan {
  const old = events.filter((event) => timeMs(eventTime(event)) + keepMs <= nowMs);
  const actions = old.map(
    (event): Action => ({ do: "delete", key: keyOf("events", event), uid: event.metadata.uid ?? "" }),
  );
  return { actions: actions.length > 0 ? [{ do: "together", actions }] : [], againInMs: sweepMs };
}
