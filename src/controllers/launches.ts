import type { Pod } from "../api/types.gen.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { LaunchRecord, View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { type Memory, poolRestMs } from "./memory.ts";
import { isFinished, keyOf, timeMs } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";
import type { Sight } from "./sightings.ts";

/** A machine that a launch gave, with the Pod that it is for. */
export type Berth = {
  machineId: string;
  podUid: string;
  pod?: Pod | undefined;
  sight: Sight;
  /** No balancer can send it a connection any more. */
  released: boolean;
  /** Its end was asked for so often, the last time so long ago. */
  asked?: { sinceMs: number; times: number } | undefined;
};

export type LaunchWorld = {
  record: LaunchRecord;
  berths: readonly Berth[];
  /** Machines of this launch that the provider shows and the record does not have: it was refused and yet it happened. */
  found: readonly Machine[];
  /** Pods of the slots that are still there. */
  pods: readonly Pod[];
  failure?: string | undefined;
  /** How long the machine of a finished Pod is kept for its logs. */
  finishedKeepSeconds: number;
};

const source = "drover";
/** A failed launch is remembered for so long: it decides how long its owner rests; one for want of capacity its pool. */
const failureKeepMs = 1_200_000;
/** The end of a machine that is not seen to begin is asked for again after 10, 20, 40 … seconds, and this at most. */
const askAgainMaxMs = 300_000;
const askAgainMs = (times: number): number => Math.min(askAgainMaxMs, 10_000 * 2 ** (times - 1));
const lookAgainMs = 1_000;
/** A launch is looked at so often though nothing seems to have changed: nothing unneeded outlives this for long. */
const sweepMs = 60_000;

export type LaunchOptions = {
  view: View;
  roster: Roster;
  poll: Pick<Poll, "sight" | "machines">;
  book: Pick<BalancerBook, "released">;
  memory: Memory;
  monotonicMs: () => number;
  finishedKeepSeconds: number;
};

/** Launch records: makes the call that was written down, ends the machines that nobody needs, forgets what is gone. */
export const launchReconciler = (options: LaunchOptions): Reconciler<LaunchWorld> => ({
  name: "launches",
  watches: {
    "launches.drover.dev": (object) => [keyOf("launches.drover.dev", object)],
    pods: (object) =>
      options.roster
        .recordNamesOf(object.metadata.uid ?? "")
        .map((name) => ({ resource: "launches.drover.dev", namespace: "", name })),
  },
  observe(key, failure) {
    const { view, roster, poll, book, memory, monotonicMs, finishedKeepSeconds } = options;
    const record = view.get("launches.drover.dev", "", key.name);
    if (!record) return undefined;
    const pods = record.spec.slots.flatMap((uid) => roster.podByUid(uid) ?? []);
    const berths = (record.status?.machines ?? []).map(({ id, slot }): Berth => {
      const podUid = record.spec.slots[slot] ?? "";
      const asked = memory.endAsked.get(id);
      return {
        machineId: id,
        podUid,
        pod: roster.podByUid(podUid),
        sight: poll.sight(id),
        released: book.released(id),
        ...(asked && { asked: { sinceMs: monotonicMs() - asked.atMs, times: asked.times } }),
      };
    });
    return { record, berths, found: foundOf(record, poll), pods, failure, finishedKeepSeconds };
  },
  plan: planLaunch,
});

function foundOf({ spec, status }: LaunchRecord, poll: LaunchOptions["poll"]): Machine[] {
  if (!status?.done || status.machines.length === spec.slots.length) return [];
  const known = new Set(status.machines.map(({ id }) => id));
  return poll.machines().filter(({ id, launchId }) => launchId === spec.id && !known.has(id));
}

export function planLaunch(world: LaunchWorld, nowMs: number): Plan {
  const { record, berths, found } = world;
  if (!record.status?.done) return planCall(world);
  if (found.length > 0) {
    const status = { ...record.status, machines: [...record.status.machines, ...found] };
    const key = keyOf("launches.drover.dev", record);
    return { actions: [{ do: "write", key, next: { ...record, status }, subresource: "status" }] };
  }
  const unneeded = berths.filter((berth) => keepMs(world, berth, nowMs) <= 0);
  const waits = berths.map((berth) => keepMs(world, berth, nowMs)).filter((ms) => ms > 0 && Number.isFinite(ms));
  const living = berths.filter(({ sight }) => !sight.gone);
  if (living.length === 0 && unneeded.length === berths.length) return planForget(record, nowMs);
  const ending = unneeded.filter(({ sight }) => !sight.gone);
  const due = ending.filter(
    ({ sight, released, asked }) =>
      released && sight.machine?.state !== "stopping" && (!asked || asked.sinceMs >= askAgainMs(asked.times)),
  );
  const actions: Action[] = due.map(({ machineId }) => ({ do: "terminate", machineId }));
  if (ending.length > 0) waits.push(ending.some(({ released }) => !released) ? lookAgainMs : askAgainMs(1));
  return {
    actions: actions.length > 0 ? [{ do: "together", actions }] : [],
    againInMs: Math.min(sweepMs, ...waits),
  };
}

/** How long the machine is needed still: for ever while its Pod lives, for some time after it has finished. */
function keepMs({ finishedKeepSeconds }: LaunchWorld, { pod, sight, machineId }: Berth, nowMs: number): number {
  if (!pod) return 0;
  if (pod.spec.nodeName && pod.spec.nodeName !== machineId) return 0;
  if (!isFinished(pod)) return Number.POSITIVE_INFINITY;
  if (sight.gone) return 0;
  return lastMs(pod) + finishedKeepSeconds * 1_000 - nowMs;
}

const lastMs = ({ status }: Pod): number =>
  Math.max(
    0,
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => timeMs(lastTransitionTime)),
    ...(status?.containerStatuses ?? []).map(({ state }) => timeMs(state?.terminated?.finishedAt)),
  );

/** Even a launch that nobody needs any more is carried out: only its answer tells which machines it has made. */
function planCall({ record, pods, failure }: LaunchWorld): Plan {
  const told = pods.map((about): Action => {
    const message = `The machine could not be asked for yet: ${failure}`;
    return { do: "tell", notice: { about, type: "Warning", reason: "LaunchDelayed", message, source } };
  });
  const { requestedAt: _, ...launch } = record.spec;
  const call: Action = { do: "launch", recordName: record.metadata.name, launch };
  return { actions: failure === undefined ? [call] : [...told, call] };
}

function planForget(record: LaunchRecord, nowMs: number): Plan {
  const { requestedAt, slots } = record.spec;
  const { machines = [], failure } = record.status ?? {};
  const rememberedMs = failure?.code === "CLOUD_CAPACITY" ? poolRestMs : failureKeepMs;
  const keepMs = machines.length < slots.length ? timeMs(requestedAt) + rememberedMs - nowMs : 0;
  if (keepMs > 0) return { actions: [], againInMs: keepMs };
  return { actions: [{ do: "delete", key: keyOf("launches.drover.dev", record), uid: record.metadata.uid ?? "" }] };
}
