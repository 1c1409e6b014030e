import type { ObjectKey } from "../api/object.ts";
import type { PersistentVolume, Pod } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import { openPace } from "../base/pace.ts";
import { type Random, suffix } from "../base/random.ts";
import type { Cloud, MachineTemplate, Offer } from "../clouds/cloud.ts";
import { claimNames, claimObstacle, zonesOf } from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import { type Claims, ownerOf } from "./claims.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { disksProblem } from "./disk-request.ts";
import {
  backoff,
  type LaunchHistory,
  livingMachines,
  shortages,
  skippedPools,
  underway,
  usdPerHour,
  zoneCounts,
} from "./launch-accounts.ts";
import { claimRecord, launchOf, type MachineClaim } from "./launch-records.ts";
import { lostDiskObstacle } from "./lost-disks.ts";
import { type ImageLookup, isUnknown, lookupKey, type MachineImages } from "./machine-images.ts";
import type { Memory } from "./memory.ts";
import { condition, controllerOf, keyOf } from "./owned.ts";
import { place } from "./placement.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";
import { type Surroundings, surroundings } from "./seats.ts";
import type { Demand } from "./selection.ts";
import { strangersAmong } from "./strangers.ts";

/** The one key of the launcher: all Pods that wait are looked at together. */
export const launcherKey: ObjectKey = { resource: "launcher", namespace: "", name: "all" };

/** A Pod waits this long for others, so that they share a call; `gatherMaxMs` when they keep coming. */
const gatherMs = 300;
const gatherMaxMs = 1_500;
/** During a large rollout Pods come all the time: they are looked at so often, each time all that have come. */
const rounds = { burst: 8, everyMs: 4_000 };
const sameRoundMs = 2_000;
/** Offers older than this are asked for again before anything is launched. */
const offersAgeMaxMs = 1_000;
/** What found no room, or could not be made for another reason, is tried again after this time at the latest. */
const retryMs = 15_000;

export type LauncherWorld = LaunchHistory & {
  cluster: string;
  claims: readonly MachineClaim[];
  /** Machine images that Pods wait for. */
  lookups: readonly ImageLookup[];
  /** Pods of which no template can be made, and why. */
  broken: readonly { pod: Pod; message: string }[];
  offers?: { list: readonly Offer[]; ageMs: number } | undefined;
  /** Where other Pods are, when a Pod that waits looks at them. */
  surroundings?: Surroundings | undefined;
  /** How long the Pods that have come wait for others still; until then none is in `waiting`. */
  gatherLeftMs: number;
  /** Machines that the budget allows, counted with those there are. */
  machinesMax: number;
  /** What the machines may cost together; absent: no limit. */
  usdPerHourMax?: number | undefined;
  /** Ids of new launches begin with this. */
  idPrefix: string;
  /** Why the last plan could not be carried out, the refreshing of offers for one. */
  failure?: string | undefined;
};

export type LauncherOptions = {
  view: View;
  roster: Roster;
  poll: Pick<Poll, "machines" | "offers" | "sight">;
  disks: Pick<DiskPoll, "disks">;
  memory: Pick<Memory, "losses" | "poorPools">;
  claims: Pick<Claims, "machineOf">;
  images: Pick<MachineImages, "lookupOf" | "imageOf">;
  cloud: Pick<Cloud, "volumes">;
  random: Random;
  cluster: string;
  machinesMax: number;
  usdPerHourMax?: number;
  /** @throws DroverError when no machine can be made for this Pod */
  templateOf: (pod: Pod) => MachineTemplate;
  monotonicMs: () => number;
};

/** Writes launch records for the Pods that need a machine. */
export function launcherReconciler(options: LauncherOptions): Reconciler<LauncherWorld> {
  const { view, roster, poll, random, cluster, machinesMax, usdPerHourMax, monotonicMs } = options;
  const arrivals = new Map<string, number>();
  const pace = openPace(monotonicMs, rounds);
  let roundMs = Number.NEGATIVE_INFINITY;
  /** How long until the Pods that have gathered may be looked at; one look may take a few steps. */
  const roundLeftMs = (nowMs: number): number => {
    if (nowMs - roundMs < sameRoundMs) return 0;
    const leftMs = pace.leftMs();
    if (leftMs > 0) return leftMs;
    pace.take();
    roundMs = nowMs;
    return 0;
  };
  return {
    name: "launcher",
    watches: {
      pods: (object) => (roster.isWaiting(object.metadata.uid ?? "") ? [launcherKey] : []),
      "launches.drover.dev": () => [launcherKey],
      persistentvolumeclaims: (object) => (isWaitedFor(object.metadata, options) ? [launcherKey] : []),
      persistentvolumes: (object) => {
        const { claimRef = {} } = (object as unknown as PersistentVolume).spec; // By its resource.
        return isWaitedFor(claimRef, options) ? [launcherKey] : [];
      },
    },
    observe(_key, failure) {
      const { claims, pods } = sorted([...roster.waiting()], options);
      const nowMs = monotonicMs();
      const uids = new Set(pods.map(({ metadata }) => metadata.uid ?? ""));
      for (const uid of arrivals.keys()) if (!uids.has(uid)) arrivals.delete(uid);
      for (const uid of uids) arrivals.set(uid, arrivals.get(uid) ?? nowMs);
      const times = [...arrivals.values()];
      const sinceFirstMs = nowMs - Math.min(nowMs, ...times);
      const sinceLastMs = nowMs - Math.max(0, ...times);
      const gathering = pods.length === 0 ? 0 : Math.min(gatherMs - sinceLastMs, gatherMaxMs - sinceFirstMs);
      const gatherLeftMs = gathering > 0 || pods.length === 0 ? gathering : roundLeftMs(nowMs);
      const ready = gatherLeftMs > 0 ? [] : pods;
      const records = view.list("launches.drover.dev");
      const given = records.flatMap(({ status }) => status?.machines ?? []);
      return {
        cluster,
        claims,
        lookups: lookupsOf(gatherLeftMs > 0 ? [] : pods, options.images),
        gatherLeftMs,
        ...demandsOf(ready, options),
        surroundings: surroundings(ready, view, roster),
        offers: poll.offers(),
        records,
        ended: new Set(given.flatMap(({ id }) => (poll.sight(id).gone ? id : []))),
        strangers: ready.length > 0 ? strangersAmong(poll.machines(), options) : [],
        losses: [...options.memory.losses.values()],
        poorPools: options.memory.poorPools,
        machinesMax,
        usdPerHourMax,
        idPrefix: `l-${suffix(random, 10)}`,
        failure,
      };
    },
    plan: planLaunches,
  };
}

/** A Pod that waits for a machine waits for its claims and their volumes too. */
const isWaitedFor = (
  { namespace, name = "" }: { namespace?: string | undefined; name?: string | undefined },
  { roster }: LauncherOptions,
): boolean =>
  [...roster.waiting()].some(
    (pod) => pod.metadata.namespace === namespace && [...claimNames(pod).values()].includes(name),
  );

/** Bare Pods that are specified alike share calls, and fail together. */
function bareOwner(pod: Pod): string {
  const { namespace, name } = ownerOf(pod);
  return `${namespace}/${name}`;
}

function demandsOf(pods: readonly Pod[], options: LauncherOptions) {
  const { templateOf, view, disks } = options;
  const waiting: Demand[] = [];
  const broken: { pod: Pod; message: string }[] = [];
  const seen = disks.disks();
  for (const pod of pods) {
    const message = claimObstacle(view, pod) ?? lostDiskObstacle(view, seen, pod) ?? disksProblem(pod, options);
    if (message !== undefined) {
      broken.push({ pod, message });
      continue;
    }
    try {
      const template = templateOf(pod);
      const zones = zonesOf(view, pod);
      const owner = controllerOf(pod.metadata)?.uid ?? bareOwner(pod);
      waiting.push({ pod, owner, template, ...(zones && { zones }) });
    } catch (error) {
      broken.push({ pod, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { waiting, broken };
}

/** What has to be looked up before these Pods can have machines, each once. */
function lookupsOf(pods: readonly Pod[], images: LauncherOptions["images"]): ImageLookup[] {
  const lookups = pods.flatMap((pod) => (isUnknown(pod, images) ? images.lookupOf(pod) : []));
  return [...new Map(lookups.map((each) => [lookupKey(each), each])).values()];
}

/** Pods that have a machine already but for its record, and those that need one. */
function sorted(waiting: readonly Pod[], options: LauncherOptions) {
  const { claims } = options;
  const claimed = waiting.flatMap((pod) => {
    const machine = claims.machineOf(pod);
    const [demand] = machine ? demandsOf([pod], options).waiting : [];
    return machine && demand ? [{ demand, machine }] : [];
  });
  const uids = new Set(claimed.map(({ demand }) => demand.pod.metadata.uid));
  return { claims: claimed, pods: waiting.filter(({ metadata }) => !uids.has(metadata.uid)) };
}

export function planLaunches(world: LauncherWorld, nowMs: number): Plan {
  if (world.lookups.length > 0)
    return { actions: world.lookups.map((lookup) => ({ do: "lookUpImage", lookup })), againInMs: 0 };
  if (world.claims.length > 0) return planClaims(world, nowMs);
  if (world.gatherLeftMs > 0) return { actions: [], againInMs: world.gatherLeftMs };
  const refusedEarly = world.broken.flatMap(({ pod, message }) => refuse(pod, message, nowMs));
  const isRefused = world.broken.length > 0;
  if (world.waiting.length === 0) return { actions: refusedEarly, ...(isRefused && { againInMs: retryMs }) };
  if (!world.offers || world.offers.ageMs > offersAgeMaxMs) {
    const message = `What machines there are can't be found out: ${world.failure}`;
    const told = world.failure === undefined ? [] : world.waiting.flatMap(({ pod }) => refuse(pod, message, nowMs));
    return { actions: [...refusedEarly, ...told, { do: "refreshOffers" }], againInMs: 0 };
  }
  const { resting, ready, againInMs } = backoff(world, nowMs);
  const { waves, refused } = place({
    demands: ready,
    offers: world.offers.list,
    underway: underway(world.records),
    ...world.surroundings,
    skipped: skippedPools(world, nowMs),
    zoneCounts: zoneCounts(world),
    machines: livingMachines(world),
    unclaimed: world.strangers?.length,
    machinesMax: world.machinesMax,
    ...(world.usdPerHourMax !== undefined && {
      spending: { usdPerHourMax: world.usdPerHourMax, usdPerHour: usdPerHour(world, world.offers.list) },
    }),
  });
  const short = shortages(world, nowMs);
  const actions = [
    ...refusedEarly,
    ...waves.flatMap((wave, index) => launchOf(wave, world.cluster, `${world.idPrefix}-${index}`, nowMs)),
    ...refused.flatMap(({ pod, message, owner = "" }) => {
      const said = short.get(owner);
      return refuse(pod, said === undefined ? message : `${message} The last launch failed: ${said}`, nowMs);
    }),
    ...resting.flatMap(({ pod, message }) => refuse(pod, message, nowMs)),
  ];
  const waits = [
    ...(isRefused || refused.length > 0 ? [retryMs] : []),
    ...(againInMs === undefined ? [] : [againInMs]),
  ];
  return { actions, ...(waits.length > 0 && { againInMs: Math.min(...waits) }) };
}

/** The labels and the price of a machine are those of its offer; where none can be had, it is claimed without. */
function planClaims({ claims, cluster, offers, failure }: LauncherWorld, nowMs: number): Plan {
  if (!offers && failure === undefined) return { actions: [{ do: "refreshOffers" }], againInMs: 0 };
  return { actions: claims.map((claim) => claimRecord(claim, cluster, offers?.list ?? [], nowMs)), againInMs: 0 };
}

/** Says on the Pod why it waits, once per message. */
function refuse(pod: Pod, message: string, nowMs: number): Action[] {
  const current = condition(pod, "PodScheduled");
  if (current?.status === "False" && current.message === message) return [];
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  const lastTransitionTime = current?.status === "False" ? current.lastTransitionTime : rfc3339(nowMs);
  const said = { type: "PodScheduled", status: "False", reason: "Unschedulable", message, lastTransitionTime };
  const next = { ...pod, status: { ...pod.status, conditions: [...others, said] } };
  const told = {
    about: pod,
    type: "Warning",
    reason: "FailedScheduling",
    message,
    source: "default-scheduler",
  } as const;
  return [{ do: "write", key: keyOf("pods", pod), next, subresource: "status", told }];
}
