import type { Pod } from "../api/types.gen.ts";
import type { MachineTemplate, Offer, Placement } from "../clouds/cloud.ts";
import { type Ledger, openLedger, placementOf, poolOf, type Underway } from "./ledger.ts";
import { type NamespaceLabels, type Neighbours, openNeighbours, type Seat } from "./neighbours.ts";
import { choiceSentence, overBudget, refusalSentence, restingWords, tooMany } from "./placement-words.ts";
import {
  type Bucket,
  type Demand,
  type Group,
  grouping,
  headOf,
  isSpot,
  labelsOf,
  type SkippedPools,
  shortagesOf,
} from "./selection.ts";

export type PlacementWorld = {
  demands: readonly Demand[];
  offers: readonly Offer[];
  /** What calls under way are about to take of the offers. */
  underway?: readonly Underway[];
  /** Absent: none. */
  skipped?: SkippedPools;
  /** Machines that each owner has already, by `owner/zone`. */
  zoneCounts: ReadonlyMap<string, number>;
  /** Pods that have a machine, for those that look at their neighbours; see `looksAround`. */
  seats?: readonly Seat[];
  namespaces?: NamespaceLabels;
  /** Machines that there are, calls under way included. Default: 0. */
  machines?: number;
  /** Those of them that are in nobody's records. Default: 0. */
  unclaimed?: number | undefined;
  /** As many as there may be. */
  machinesMax: number;
  /** What machines may cost together, and what those that there are do. Absent: no limit. */
  spending?: { usdPerHourMax: number; usdPerHour: number };
};

/** `reason` says why this machine was chosen, in one sentence without its full stop. */
export type Wave = {
  owner: string;
  template: MachineTemplate;
  placement: Placement;
  pods: readonly Pod[];
  reason: string;
};
/** `message` says why no machine can be had; `owner`: where no offer will do, whose last launch may tell more. */
type Refused = { pod: Pod; message: string; owner?: string };
export type Placed = { waves: readonly Wave[]; refused: readonly Refused[] };

/** Machines that one call asks for at most. */
const slotsMax = 100;
/** A zone with fewer machines of the owner may cost so much more than the cheapest. */
const spreadPriceFactor = 1.1;

/** What stands in the way of the offers that remain, and what would be taken. */
type Found = { best?: { offer: Offer; reason: () => string }; obstacles: ReadonlyMap<Bucket, string> };

/**
 * Gives each Pod the cheapest machine that fits, Pods of higher priority first. Preferences come before the price, the
 * owner's machines are spread over zones that cost up to a tenth more, and what is equal is gathered into waves of up
 * to 100. Nobody gets a spot machine who does not ask for one; who allows both gets the cheaper that has room, and one
 * on demand when spot capacity is short.
 */
export function place(world: PlacementWorld): Placed {
  const { demands, offers } = world;
  const pods = demands.map(({ pod }) => pod);
  const ledger = openLedger(offers, world.underway);
  const neighbours = openNeighbours(pods, world.seats ?? [], world.namespaces);
  const counts = new Map(world.zoneCounts);
  const groupFor = grouping(offers, neighbours.keys, world.skipped);
  const waves = new Map<string, Wave & { pods: Pod[] }>();
  const refused: Refused[] = [];
  let { machines = 0 } = world;
  const { usdPerHourMax = Number.POSITIVE_INFINITY } = world.spending ?? {};
  let usdPerHour = world.spending?.usdPerHour ?? 0;
  for (const demand of demands.toSorted((a, b) => priorityOf(b) - priorityOf(a))) {
    const { pod, owner, template } = demand;
    const group = groupFor(demand);
    const { best, obstacles } = choose(demand, group, ledger, neighbours, counts);
    if (!best) {
      refused.push({ pod, owner, message: refusal(demand, group, obstacles, ledger, offers.length) });
    } else if (machines >= world.machinesMax) {
      refused.push({ pod, message: tooMany(machines, world.machinesMax, world.unclaimed) });
    } else if (usdPerHour + best.offer.priceUsdPerHour > usdPerHourMax) {
      refused.push({ pod, message: overBudget(best.offer, usdPerHour, usdPerHourMax) });
    } else {
      machines++;
      usdPerHour += best.offer.priceUsdPerHour;
      ledger.take(best.offer, template);
      const zone = `${owner}/${best.offer.zone}`;
      counts.set(zone, (counts.get(zone) ?? 0) + 1);
      neighbours.seat({ pod, labelOf: labelsOf(best.offer) });
      addToWave(waves, demand, best.offer, best.reason);
    }
  }
  return { waves: [...waves.values()], refused };
}

const priorityOf = ({ pod }: Demand): number => pod.spec.priority ?? 0;
/** The best of the buckets' best: what is preferred, then what is cheap enough and spreads the owner, then the price. */
function choose(
  { pod, owner, template }: Demand,
  group: Group,
  ledger: Ledger,
  neighbours: Neighbours,
  counts: ReadonlyMap<string, number>,
): Found {
  const { obstacle, score } = neighbours.judge(pod, [...group.selection.domains.values()]);
  const obstacles = new Map<Bucket, string>();
  const heads: { offer: Offer; score: number }[] = [];
  for (const bucket of group.buckets) {
    const why = obstacle(bucket.labelOf);
    if (why !== undefined) obstacles.set(bucket, why);
    const head = why === undefined ? headOf(bucket, ledger, template) : undefined;
    if (head) heads.push({ offer: head.offer, score: head.score + score(bucket.labelOf) });
  }
  const onDemand = group.spotShortage === undefined ? [] : heads.filter(({ offer }) => !isSpot(offer));
  const open = onDemand.length > 0 ? onDemand : heads;
  const scoreMax = Math.max(...open.map((head) => head.score));
  const liked = open.filter((head) => head.score === scoreMax).map(({ offer }) => offer);
  const priceMax = Math.min(...liked.map(({ priceUsdPerHour }) => priceUsdPerHour)) * spreadPriceFactor;
  const countOf = ({ zone }: Offer) => counts.get(`${owner}/${zone}`) ?? 0;
  const [offer] = liked
    .filter(({ priceUsdPerHour }) => priceUsdPerHour <= priceMax)
    .sort((a, b) => countOf(a) - countOf(b) || a.priceUsdPerHour - b.priceUsdPerHour);
  const { cheapest } = group;
  if (!offer || !cheapest) return { obstacles };
  const hasRoom = ledger.shortage(cheapest.offer, template) === undefined;
  const short = onDemand.length > 0 && isSpot(cheapest.offer) ? group.spotShortage : undefined;
  const why = () => obstacles.get(cheapest.bucket) ?? short ?? passedOverWhy(cheapest.offer, liked, hasRoom);
  const reason = () =>
    choiceSentence(offer, template, group.count, cheapest.offer, why) + restingWords(group.resting, offer);
  return { best: { offer, reason }, obstacles };
}

/** Why the cheapest offer of a group was not taken, though its domain was open. */
function passedOverWhy(cheapest: Offer, liked: readonly Offer[], hasRoom: boolean): string {
  if (!hasRoom) return "it has no room left";
  return liked.includes(cheapest) ? "its zone has more of these Pods" : "the Pod prefers others";
}

function refusal(
  { template }: Demand,
  { selection, buckets, removed }: Group,
  obstacles: ReadonlyMap<Bucket, string>,
  ledger: Ledger,
  offerCount: number,
): string {
  if (selection.impossible !== undefined) return selection.impossible;
  const reasons = new Map(removed);
  for (const bucket of buckets) {
    const obstacle = obstacles.get(bucket);
    const counted =
      obstacle === undefined ? shortagesOf(bucket, ledger, template) : [[obstacle, bucket.offers.length] as const];
    for (const [reason, count] of counted) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }
  return refusalSentence(reasons, offerCount, template, selection.unmet);
}

function addToWave(
  waves: Map<string, Wave & { pods: Pod[] }>,
  { pod, owner, template }: Demand,
  offer: Offer,
  reason: () => string,
): void {
  const placement = placementOf(offer);
  for (let number = 0; ; number++) {
    const id = [owner, template.hash, poolOf(placement), number].join("\n");
    const wave = waves.get(id) ?? { owner, template, placement, pods: [], reason: reason() };
    if (wave.pods.length >= slotsMax) continue;
    wave.pods.push(pod);
    waves.set(id, wave);
    return;
  }
}
