import type { Machine, Offer, Placement } from "../clouds/cloud.ts";
import type { LaunchRecord } from "../registry/view.ts";
import { ownerAnnotation } from "./launch-records.ts";
import { poolOf, type Underway } from "./ledger.ts";
import { poolRestMs } from "./memory.ts";
import { timeMs } from "./owned.ts";
import type { Demand, SkippedPools } from "./selection.ts";

/** What earlier launches say about the next ones. */
export type LaunchHistory = {
  waiting: readonly Demand[];
  records: readonly LaunchRecord[];
  /** Machines of theirs that have ended; a record stays until its last machine has. */
  ended: ReadonlySet<string>;
  /** Machines of the cluster in no record: nobody ends them, so they count and cost like any other. Absent: none. */
  strangers?: readonly Machine[] | undefined;
  /** Machines that ended before they served, lately: whose, and when. */
  losses: readonly { owner: string; atMs: number }[];
  /** Pools that took machines back for want of capacity, and when. */
  poorPools: ReadonlyMap<string, number>;
};

const ownerUidOf = (record: LaunchRecord): string => record.metadata.annotations?.[ownerAnnotation] ?? "";
type Launches = Pick<LaunchHistory, "records" | "ended" | "strangers">;

/** Machines that a launch has given and that have not ended, or that it may yet give. */
const machinesOf = ({ spec, status }: LaunchRecord, ended: ReadonlySet<string>): number =>
  status?.done ? status.machines.filter(({ id }) => !ended.has(id)).length : spec.slots.length;

export const livingMachines = ({ records, ended, strangers = [] }: Launches): number =>
  records.reduce((sum, record) => sum + machinesOf(record, ended), strangers.length);

/** What all machines cost. One whose launch was not recorded, or was claimed, costs what its offer does. */
export function usdPerHour({ records, ended, strangers = [] }: Launches, offers: readonly Offer[]): number {
  const prices = new Map(offers.map((offer) => [poolOf(offer), offer.priceUsdPerHour]));
  const priceOf = (pool: Placement): number => pool.priceUsdPerHour ?? prices.get(poolOf(pool)) ?? 0;
  const strangersUsd = strangers.reduce((sum, { type, zone, capacityType = "on-demand" }) => {
    return sum + priceOf({ type, zone, capacityType });
  }, 0);
  return records.reduce(
    (sum, record) => sum + machinesOf(record, ended) * priceOf(record.spec.placement),
    strangersUsd,
  );
}

/** Failures of one owner that lie further back are forgotten. */
const rememberedMs = 1_200_000;

/** Launches that failed for another reason than capacity, and machines that ended before they served. */
function failuresOf({ records, losses }: LaunchHistory, nowMs: number) {
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
export function backoff(world: LaunchHistory, nowMs: number) {
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

/** By owner: what the provider said when it lately had no capacity for a launch. */
export function shortages({ records }: LaunchHistory, nowMs: number): ReadonlyMap<string, string> {
  const short = records.filter(({ status, spec }) => {
    return status?.failure?.code === "CLOUD_CAPACITY" && timeMs(spec.requestedAt) + poolRestMs > nowMs;
  });
  short.sort((a, b) => timeMs(a.spec.requestedAt) - timeMs(b.spec.requestedAt));
  return new Map(short.map((record) => [ownerUidOf(record), record.status?.failure?.message ?? ""]));
}

/**
 * Pools that had no capacity, gave less than they were asked for, or took back what they gave. One that refused a launch
 * as wrong may have all that others ask for: it is left out for the launch's owner alone.
 */
export function skippedPools({ records, poorPools }: LaunchHistory, nowMs: number): SkippedPools {
  const all = new Set([...poorPools].flatMap(([pool, atMs]) => (atMs + poolRestMs > nowMs ? pool : [])));
  const byOwner = new Map<string, Set<string>>();
  const spotFull = new Set<string>();
  for (const record of records) {
    const { spec, status } = record;
    const isShort = status?.done === true && status.machines.length < spec.slots.length;
    if (!isShort || timeMs(spec.requestedAt) + poolRestMs <= nowMs) continue;
    const owner = ownerUidOf(record);
    const pools = status.failure?.code === "CLOUD_INVALID" ? (byOwner.get(owner) ?? new Set()) : all;
    pools.add(poolOf(spec.placement));
    if (pools !== all) byOwner.set(owner, pools);
    if (status.failure?.code === "CLOUD_QUOTA" && spec.placement.capacityType === "spot") spotFull.add(owner);
  }
  return { all, byOwner, spotFull };
}

/** What calls under way are about to take of the offers. */
export const underway = (records: readonly LaunchRecord[]): Underway[] =>
  records
    .filter(({ status }) => !status?.done)
    .map(({ spec }) => ({ placement: spec.placement, template: spec.template, machines: spec.slots.length }));

export function zoneCounts({ records, ended }: Launches): Map<string, number> {
  const counts = new Map<string, number>();
  for (const record of records) {
    const id = `${ownerUidOf(record)}/${record.spec.placement.zone}`;
    counts.set(id, (counts.get(id) ?? 0) + machinesOf(record, ended));
  }
  return counts;
}
