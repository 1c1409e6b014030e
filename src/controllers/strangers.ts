import type { ObjectKey } from "../api/object.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { Memory } from "./memory.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";

export const strangersKey: ObjectKey = { resource: "strangers", namespace: "", name: "all" };

export type StrangersOptions = {
  view: View;
  poll: Pick<Poll, "machines">;
  roster: Pick<Roster, "podUidOf">;
  memory: Memory;
};

/** Machines of the cluster that no launch record knows, as after the store was lost. */
export const strangersAmong = (
  machines: readonly Machine[],
  { view, roster }: Pick<StrangersOptions, "view" | "roster">,
): Machine[] =>
  machines.filter(({ id, launchId, state }) => {
    const isRecorded = view.get("launches.drover.dev", "", launchId) !== undefined || roster.podUidOf(id) !== undefined;
    return !isRecorded && (state === "pending" || state === "running");
  });

/** They are told of and left alone. */
export const strangersReconciler = (options: StrangersOptions): Reconciler<readonly Machine[]> => ({
  name: "strangers",
  watches: {},
  observe: () => {
    const { strangersTold } = options.memory;
    const strangers = strangersAmong(options.poll.machines(), options).filter(({ id }) => !strangersTold.has(id));
    for (const { id } of strangers) strangersTold.add(id);
    return strangers;
  },
  plan: planStrangers,
});

function planStrangers(strangers: readonly Machine[]): Plan {
  const actions = strangers.map(({ id, launchId, type, zone, claim }): Action => {
    const about = { apiVersion: "drover.dev/v1", kind: "Machine", metadata: { name: id, uid: id } };
    const wayOut = claim
      ? `: apply the manifest of Pod ${claim.owner.namespace}/${claim.podName} again to claim it`
      : "";
    const which = `${id} (${type} in ${zone}, launch ${launchId})`;
    const message = `Machine ${which} is in nobody's records and is left alone${wayOut}`;
    return { do: "tell", notice: { about, type: "Warning", reason: "Unclaimed", message, source: "drover" } };
  });
  return { actions };
}
