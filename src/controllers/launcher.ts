import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Pod } from "../api/types.gen.ts";
import { assert } from "../base/assert.ts";
import { rfc3339 } from "../base/clock.ts";
import { openPace } from "../base/pace.ts";
import { type Random, suffix } from "../base/random.ts";
import type { MachineTemplate, Offer } from "../clouds/cloud.ts";
import { claimNames, claimObstacle, zonesOf } from "../machines/disks.ts";
import type { LaunchRecord, View } from "../registry/view.ts";
import { type Claimable, type Claims, ownerOf } from "./claims.ts";
import { poolOf, type Underway } from "./ledger.ts";
import type { ImageLookup, MachineImages } from "./machine-images.ts";
import type { Memory } from "./memory.ts";
import { condition, controllerOf, keyOf, timeMs } from "./owned.ts";
import { place, type Wave } from "./placement.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";
import { type Surroundings, surroundings } from "./seats.ts";
import type { Demand } from "./selection.ts";

const ownerAnnotation = "drover.dev/owner";
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
/** A pool without capacity is left alone for so long. */
const skipMs = 180_000;
/** What found no room is tried again after this time at the latest. */
const retryMs = 15_000;

export type LauncherWorld = {
  cluster: string;
  waiting: readonly Demand[];
  /** Pods that take over a machine whose record was lost. */
  claims: readonly { demand: Demand; machine: Claimable }[];
  /** Machine images that Pods wait for. */
  lookups: readonly ImageLookup[];
  /** Pods of which no template can be made, and why. */
  broken: readonly { pod: Pod; message: string }[];
  offers?: { list: readonly Offer[]; ageMs: number } | undefined;
  /** Where other Pods are, when a Pod that waits looks at them. */
  surroundings?: Surroundings | undefined;
  records: readonly LaunchRecord[];
  /** Machines that ended before they served, lately: whose, and when. */
  losses: readonly { owner: string; atMs: number }[];
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
  poll: Pick<Poll, "offers">;
  memory: Pick<Memory, "losses">;
  claims: Pick<Claims, "machineOf">;
  images: Pick<MachineImages, "lookupOf" | "imageOf">;
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
      persistentvolumeclaims: (object) => (isWaitedFor(object, options) ? [launcherKey] : []),
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
      return {
        cluster,
        claims,
        lookups: lookupsOf(gatherLeftMs > 0 ? [] : pods, options.images),
        gatherLeftMs,
        ...demandsOf(ready, options),
        surroundings: surroundings(ready, view, roster),
        offers: poll.offers(),
        records: view.list("launches.drover.dev"),
        losses: [...options.memory.losses.values()],
        machinesMax,
        usdPerHourMax,
        idPrefix: `l-${suffix(random, 10)}`,
        failure,
      };
    },
    plan: planLaunches,
  };
}

/** A Pod that waits for a machine waits for its claims too. */
const isWaitedFor = ({ metadata }: KubeObject, { roster }: LauncherOptions): boolean =>
  [...roster.waiting()].some(
    (pod) => pod.metadata.namespace === metadata.namespace && [...claimNames(pod).values()].includes(metadata.name),
  );

/** Bare Pods that are specified alike share calls, and fail together. */
function bareOwner(pod: Pod): string {
  const { namespace, name } = ownerOf(pod);
  return `${namespace}/${name}`;
}

function demandsOf(pods: readonly Pod[], { templateOf, view }: Pick<LauncherOptions, "templateOf" | "view">) {
  const waiting: Demand[] = [];
  const broken: { pod: Pod; message: string }[] = [];
  for (const pod of pods) {
    const message = claimObstacle(view, pod);
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
  return [...new Map(lookups.map((each) => [`${each.reference} ${each.architecture}`, each])).values()];
}

function isUnknown(pod: Pod, images: LauncherOptions["images"]): boolean {
  try {
    return images.imageOf(pod) === undefined;
  } catch {
    return false; // It is known that there is none.
  }
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
  if (world.claims.length > 0)
    return { actions: world.claims.map((claim) => claimRecord(claim, world.cluster, nowMs)), againInMs: 0 };
  if (world.gatherLeftMs > 0) return { actions: [], againInMs: world.gatherLeftMs };
  const refusedEarly = world.broken.flatMap(({ pod, message }) => refuse(pod, message, nowMs));
  if (world.waiting.length === 0) return { actions: refusedEarly };
  if (!world.offers || world.offers.ageMs > offersAgeMaxMs) {
    const message = `What machines there are can't be found out: ${world.failure}`;
    const told = world.failure === undefined ? [] : world.waiting.flatMap(({ pod }) => refuse(pod, message, nowMs));
    return { actions: [...refusedEarly, ...told, { do: "refreshOffers" }], againInMs: 0 };
  }
  const { resting, ready, againInMs } = backoff(world, nowMs);
  const living = world.records.reduce((sum, record) => sum + machinesOf(record), 0);
  const { waves, refused } = place({
    demands: ready,
    offers: world.offers.list,
    underway: underway(world.records),
    ...world.surroundings,
    skipped: skippedPools(world.records, nowMs),
    zoneCounts: zoneCounts(world.records),
    machinesLeft: world.machinesMax - living,
    ...(world.usdPerHourMax !== undefined && {
      spending: { usdPerHourMax: world.usdPerHourMax, usdPerHour: usdPerHour(world.records, world.offers.list) },
    }),
  });
  const actions = [
    ...refusedEarly,
    ...waves.flatMap((wave, index) => launchOf(wave, world.cluster, `${world.idPrefix}-${index}`, nowMs)),
    ...refused.flatMap(({ pod, message }) => refuse(pod, message, nowMs)),
    ...resting.flatMap(({ pod, message }) => refuse(pod, message, nowMs)),
  ];
  const waits = [...(refused.length > 0 ? [retryMs] : []), ...(againInMs === undefined ? [] : [againInMs])];
  return { actions, ...(waits.length > 0 && { againInMs: Math.min(...waits) }) };
}

const ownerUidOf = (record: LaunchRecord): string => record.metadata.annotations?.[ownerAnnotation] ?? "";
/** Machines that a launch has given or may yet give. */
const machinesOf = ({ spec, status }: LaunchRecord): number =>
  status?.done ? status.machines.length : spec.slots.length;

/** What the machines of all launches cost. A machine that was claimed costs what its offer does. */
function usdPerHour(records: readonly LaunchRecord[], offers: readonly Offer[]): number {
  const prices = new Map(offers.map((offer) => [poolOf(offer), offer.priceUsdPerHour]));
  return records.reduce((sum, record) => {
    const { placement } = record.spec;
    return sum + machinesOf(record) * (placement.priceUsdPerHour ?? prices.get(poolOf(placement)) ?? 0);
  }, 0);
}

/** Failures of one owner that lie further back are forgotten. */
const rememberedMs = 1_200_000;

/** Launches that failed for another reason than capacity, and machines that ended before they served. */
function failuresOf({ records, losses }: LauncherWorld, nowMs: number) {
  const refused = records.flatMap((record) => {
    const { failure } = record.status ?? {};
    if (!failure || failure.code === "CLOUD_CAPACITY") return [];
    return [{ owner: ownerUidOf(record), atMs: timeMs(record.spec.requestedAt), message: failure.message }];
  });
  const lost = losses.map((loss) => ({ ...loss, message: "its machine ended before it served" }));
  const byOwner = new Map<string, { count: number; atMs: number; message: string }>();
  for (const { owner, atMs, message } of [...refused, ...lost].sort((a, b) => a.atMs - b.atMs)) {
    if (atMs + rememberedMs > nowMs) byOwner.set(owner, { count: (byOwner.get(owner)?.count ?? 0) + 1, atMs, message });
  }
  return byOwner;
}

/** After n failures an owner rests 10 s, 20 s, 40 s … 300 s; another pool may be tried at once. */
function backoff(world: LauncherWorld, nowMs: number) {
  const failures = failuresOf(world, nowMs);
  const leftMs = (owner: string): number => {
    const { count, atMs } = failures.get(owner) ?? { count: 0, atMs: 0 };
    return count === 0 ? 0 : atMs + Math.min(300_000, 10_000 * 2 ** (count - 1)) - nowMs;
  };
  const resting = world.waiting.filter(({ owner }) => leftMs(owner) > 0);
  return {
    resting: resting.map(({ pod, owner }) => ({
      pod,
      message: `The last launch failed: ${failures.get(owner)?.message ?? ""}`,
    })),
    ready: world.waiting.filter(({ owner }) => leftMs(owner) <= 0),
    againInMs: resting.length > 0 ? Math.min(...resting.map(({ owner }) => leftMs(owner))) : undefined,
  };
}

/** Pools that had no capacity, or gave less than they were asked for. */
function skippedPools(records: readonly LaunchRecord[], nowMs: number): Set<string> {
  const poor = records.filter(({ spec, status }) => {
    const isShort = status?.done === true && status.machines.length < spec.slots.length;
    return isShort && timeMs(spec.requestedAt) + skipMs > nowMs;
  });
  return new Set(poor.map(({ spec }) => poolOf(spec.placement)));
}

/** What calls under way are about to take of the offers. */
const underway = (records: readonly LaunchRecord[]): Underway[] =>
  records
    .filter(({ status }) => !status?.done)
    .map(({ spec }) => ({ placement: spec.placement, template: spec.template, machines: spec.slots.length }));

function zoneCounts(records: readonly LaunchRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const record of records) {
    const id = `${ownerUidOf(record)}/${record.spec.placement.zone}`;
    counts.set(id, (counts.get(id) ?? 0) + machinesOf(record));
  }
  return counts;
}

/** Writes the record down, and then says on each Pod what it gets. */
function launchOf(wave: Wave, cluster: string, id: string, nowMs: number): Action[] {
  const { template, placement, reason: message } = wave;
  const said = { type: "Normal", reason: "MachineChosen", message, source: "default-scheduler" } as const;
  const told = wave.pods.map((about): Action => ({ do: "tell", notice: { about, ...said } }));
  const slots = wave.pods.map(({ metadata }) => metadata.uid ?? "");
  const names = wave.pods.map(({ metadata }) => metadata.name);
  const [first] = wave.pods;
  assert(first, "a wave has Pods");
  const owner = ownerOf(first);
  const object: LaunchRecord & KubeObject = {
    apiVersion: "drover.dev/v1",
    kind: "Launch",
    metadata: { name: id, annotations: { [ownerAnnotation]: wave.owner } },
    spec: { id, cluster, template, placement, slots, owner, names, requestedAt: rfc3339(nowMs) },
  };
  return [{ do: "create", resource: "launches.drover.dev", object }, ...told];
}

/** The record that a machine would have, had it not been lost: a launch of its own that is done. */
function claimRecord({ demand, machine }: LauncherWorld["claims"][number], cluster: string, nowMs: number): Action {
  const { pod, owner, template } = demand;
  const { type, zone, capacityType = "on-demand", launchId, claim } = machine;
  const object: LaunchRecord & KubeObject = {
    apiVersion: "drover.dev/v1",
    kind: "Launch",
    metadata: { name: `claim-${machine.id}`, annotations: { [ownerAnnotation]: owner } },
    spec: {
      id: launchId,
      cluster,
      template,
      placement: { type, zone, capacityType },
      slots: [claim.podUid],
      owner: claim.owner,
      names: [claim.podName],
      requestedAt: rfc3339(nowMs),
    },
    status: { done: true, machines: [{ ...machine, slot: 0 }] },
  };
  const message = `Machine ${machine.id} serves this Pod already: it was claimed`;
  const told = { about: pod, type: "Normal", reason: "Claimed", message, source: "drover" } as const;
  return { do: "create", resource: "launches.drover.dev", object, told };
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
