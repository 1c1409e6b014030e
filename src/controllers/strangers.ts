import type { ObjectKey } from "../api/object.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { Memory } from "./memory.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";

export const strangersKey: ObjectKey = { resource: "strangers", namespace: "", name: "all" };

export type StrangersOptions = { view: View; poll: Pick<Poll, "machines">; memory: Memory };

/** Machines of the cluster that no launch record knows: they are told of and left alone. */
export const strangersReconciler = ({ view, poll, memory }: StrangersOptions): Reconciler<readonly Machine[]> => ({
  name: "strangers",
  watches: {},
  observe: () => {
    const strangers = poll.machines().filter(({ id, launchId, state }) => {
      const isKnown = view.get("launches.drover.dev", "", launchId) !== undefined || memory.strangersTold.has(id);
      return !isKnown && (state === "pending" || state === "running");
    });
    for (const { id } of strangers) memory.strangersTold.add(id);
    return strangers;
  },
  plan: planStrangers,
});

function planStrangers(strangers: readonly Machine[]): Plan {
  const actions = strangers.map(({ id, launchId, type, zone }): Action => {
    const about = { apiVersion: "drover.dev/v1", kind: "Machine", metadata: { name: id, uid: id } };
    const message = `Machine ${id} (${type} in ${zone}, launch ${launchId}) is in nobody's records: it is left alone`;
    return { do: "tell", notice: { about, type: "Warning", reason: "Unclaimed", message, source: "drover" } };
  });
  return { actions };
}
