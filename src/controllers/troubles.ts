import type { ObjectKey } from "../api/object.ts";
import type { Trouble } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { clusterNotice } from "./events.ts";
import type { Notice, Reconciler } from "./reconciler.ts";

export const troublesKey: ObjectKey = { resource: "troubles", namespace: "", name: "all" };

const lookMs = 15_000;

/**
 * Tells of what only the user can mend at the provider where no Event tells of it yet: calls that are made for no
 * object in particular, or for one that is gone.
 */
export const troublesReconciler = (view: View, troubles: () => readonly Trouble[]): Reconciler<readonly Notice[]> => ({
  name: "troubles",
  watches: {},
  observe: () =>
    troubles().flatMap(({ reason, cause, message }) => (isToldOf(view, cause) ? [] : [clusterNotice(reason, message)])),
  plan: (notices) => ({ actions: notices.map((notice) => ({ do: "tell", notice })), againInMs: lookMs }),
});

const isToldOf = (view: View, cause: string): boolean =>
  view.list("events").some(({ message = "" }) => message.includes(cause));
