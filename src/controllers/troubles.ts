import type { ObjectKey } from "../api/object.ts";
import type { Denial } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { clusterNotice } from "./events.ts";
import type { Notice, Reconciler } from "./reconciler.ts";

export const denialsKey: ObjectKey = { resource: "denials", namespace: "", name: "all" };

const lookMs = 15_000;

/**
 * Tells of actions that the provider does not permit where no Event names them yet: what is done for no object in
 * particular, or for one that is gone.
 */
export const denialsReconciler = (view: View, denials: () => readonly Denial[]): Reconciler<readonly Notice[]> => ({
  name: "denials",
  watches: {},
  observe: () => denials().flatMap((denial) => (isNamed(view, denial) ? [] : [deniedNotice(denial)])),
  plan: (notices) => ({ actions: notices.map((notice) => ({ do: "tell", notice })), againInMs: lookMs }),
});

const isNamed = (view: View, { action }: Denial): boolean =>
  view.list("events").some(({ message = "" }) => message.includes(` ${action} `));

const deniedNotice = ({ message }: Denial): Notice => clusterNotice("NotPermitted", message);
