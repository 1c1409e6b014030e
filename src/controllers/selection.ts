import type { LabelLookup } from "../api/labels.ts";
import type { Pod } from "../api/types.gen.ts";
import type { MachineTemplate, Offer } from "../clouds/cloud.ts";
import { type Ledger, poolOf } from "./ledger.ts";
import { nodeChoice, type Wish } from "./node-choice.ts";
import { offerLabel } from "./offer-labels.ts";

/** A Pod that needs a machine. Demands of one `owner` are spread over zones and fail together. */
export type Demand = {
  pod: Pod;
  owner: string;
  template: MachineTemplate;
  /** Zones that its volumes pin it to; absent: any. */
  zones?: ReadonlySet<string>;
};

/** Offers of one domain and capacity type that suit a group of equal demands, the best first. */
export type Bucket = {
  labelOf: LabelLookup;
  offers: { offer: Offer; score: number }[];
  /** Those before it have no room any more. */
  next: number;
  /** Why no offer of it has room, counted when the ledger stood at `version`. */
  shortages?: { version: number; counts: ReadonlyMap<string, number> };
};
/**
 * Pools (see `poolOf`) that are left alone for a while: by everybody, and by one owner each. `spotFull`: owners whose last
 * spot machines a quota has refused.
 */
export type SkippedPools = {
  all: ReadonlySet<string>;
  byOwner: ReadonlyMap<string, ReadonlySet<string>>;
  spotFull?: ReadonlySet<string>;
};
/** Where so many spot pools had no capacity lately, who may have a machine on demand is not kept waiting for the rest. */
const restingSpotMax = 10;
const none: SkippedPools = { all: new Set(), byOwner: new Map() };

/** What Pods that say the same of their machine may get, whatever its size, the best first. */
type Selection = {
  impossible?: string | undefined;
  /** Where nothing is allowed: what is required and no offer has. */
  unmet: readonly string[];
  allowed: readonly { offer: Offer; score: number; domain: string }[];
  /** One offer's labels for each domain. */
  domains: ReadonlyMap<string, LabelLookup>;
  /** How many offers each constraint has removed. */
  removed: ReadonlyMap<string, number>;
};
/** What is left of a selection for demands of one size. */
export type Group = {
  selection: Selection;
  buckets: readonly Bucket[];
  count: number;
  cheapest: { offer: Offer; bucket: Bucket } | undefined;
  removed: ReadonlyMap<string, number>;
  /** Those among the removed that would do, and are left alone for a while; the cheapest first. */
  resting: readonly RestingOffer[];
  /** Why who may have a machine on demand gets one, though spot is cheaper; absent: there may be spot capacity. */
  spotShortage: string | undefined;
};
export type RestingOffer = { offer: Offer; why: string };

export const isSpot = ({ capacityType }: Offer): boolean => capacityType === "spot";

export const labelsOf =
  (offer: Offer): LabelLookup =>
  (key) =>
    offerLabel(offer, key);

/** Sorts the offers out once for all demands that are alike: there are thousands of both. */
export function grouping(offers: readonly Offer[], keys: readonly string[], skipped = none) {
  const selections = new Map<string, Selection>();
  const groups = new Map<string, Group>();
  return (demand: Demand): Group => {
    const { pod, template, zones, owner } = demand;
    const { nodeSelector, affinity, tolerations } = pod.spec;
    const { architecture, cpuMillis, memoryBytes, gpus } = template;
    const selectionId = JSON.stringify([architecture, nodeSelector, affinity?.nodeAffinity, tolerations]);
    const skipsMore = (skipped.byOwner.has(owner) || skipped.spotFull?.has(owner)) && owner;
    const id = JSON.stringify([selectionId, cpuMillis, memoryBytes, gpus, zones && [...zones].sort(), skipsMore]);
    const known = groups.get(id);
    if (known) return known;
    const selection = selections.get(selectionId) ?? selectionOf(pod, architecture, offers, keys);
    selections.set(selectionId, selection);
    const group = groupOf(demand, selection, skipped);
    groups.set(id, group);
    return group;
  };
}

function selectionOf(pod: Pod, architecture: string, offers: readonly Offer[], keys: readonly string[]): Selection {
  const choice = nodeChoice(pod);
  const removed = new Map<string, number>();
  const domains = new Map<string, LabelLookup>();
  const allowed: { offer: Offer; score: number; domain: string }[] = [];
  for (const offer of offers) {
    const why = offer.architecture === architecture ? choice.obstacle(offer) : `of architecture ${offer.architecture}`;
    if (why !== undefined) {
      removed.set(why, (removed.get(why) ?? 0) + 1);
      continue;
    }
    const labelOf = labelsOf(offer);
    const domain = keys.map((key) => labelOf(key) ?? "").join("\n");
    if (!domains.has(domain)) domains.set(domain, labelOf);
    allowed.push({ offer, score: choice.score(offer), domain });
  }
  allowed.sort((a, b) => b.score - a.score || a.offer.priceUsdPerHour - b.offer.priceUsdPerHour);
  const isUnmet = ({ isMet }: Wish) => !offers.some((offer) => isMet(labelsOf(offer)));
  const unmet = allowed.length > 0 ? [] : choice.wishes.filter(isUnmet).map(({ text }) => text);
  return { impossible: choice.impossible, unmet, allowed, domains, removed };
}

function groupOf(demand: Demand, selection: Selection, skipped: SkippedPools): Group {
  const { template, zones } = demand;
  const takesGpus = (template.gpus ?? 0) > 0 || namesTypes(demand.pod);
  const recentFailure = recentFailures(skipped, demand.owner);
  const removed = new Map(selection.removed);
  const buckets = new Map<string, Bucket>();
  const resting: RestingOffer[] = [];
  let cheapest: Group["cheapest"];
  let count = 0;
  for (const { offer, score, domain } of selection.allowed) {
    const unfit = shortcoming(offer, template, zones) ?? waste(offer, takesGpus);
    const failure = unfit === undefined ? recentFailure(offer) : undefined;
    if (failure !== undefined) resting.push({ offer, why: failure });
    const why = unfit ?? failure;
    if (why !== undefined) {
      removed.set(why, (removed.get(why) ?? 0) + 1);
      continue;
    }
    const key = `${domain}\n${offer.capacityType}`;
    const bucket = buckets.get(key) ?? { labelOf: labelsOf(offer), offers: [], next: 0 };
    bucket.offers.push({ offer, score });
    buckets.set(key, bucket);
    count++;
    if (!cheapest || offer.priceUsdPerHour < cheapest.offer.priceUsdPerHour) cheapest = { offer, bucket };
  }
  const spotShortage = skipped.spotFull?.has(demand.owner)
    ? "a quota has refused spot machines"
    : shortageOf(resting.filter(({ offer }) => isSpot(offer)).length);
  return { selection, buckets: [...buckets.values()], count, cheapest, removed, resting, spotShortage };
}

const shortageOf = (restingSpot: number): string | undefined =>
  restingSpot < restingSpotMax ? undefined : `spot is short in ${restingSpot} pools`;

function shortcoming(offer: Offer, template: MachineTemplate, zones?: ReadonlySet<string>): string | undefined {
  if (zones && !zones.has(offer.zone)) return "had volume node affinity conflict";
  if ((offer.gpus ?? 0) < (template.gpus ?? 0)) return "Insufficient nvidia.com/gpu";
  if (offer.cpuMillis < template.cpuMillis) return "Insufficient cpu";
  return offer.memoryBytes < template.memoryBytes ? "Insufficient memory" : undefined;
}

/** Who says nothing of graphics processors is not to pay for them, though all else may be used up. */
const waste = (offer: Offer, takesGpus: boolean): string | undefined =>
  (offer.gpus ?? 0) > 0 && !takesGpus ? "with a GPU that the Pod doesn't ask for" : undefined;

/** The Pod chooses among types by their labels: `node.kubernetes.io/instance-type`, `karpenter.k8s.aws/instance-…`. */
const namesTypes = ({ spec }: Pod): boolean =>
  /instance-/.test(JSON.stringify([spec.nodeSelector, spec.affinity?.nodeAffinity]));

function recentFailures({ all, byOwner }: SkippedPools, owner: string): (offer: Offer) => string | undefined {
  const own = byOwner.get(owner);
  if (all.size === 0 && own === undefined) return () => undefined;
  return (offer) => {
    const pool = poolOf(offer);
    if (all.has(pool)) return "had no capacity lately";
    return own?.has(pool) ? "refused the last launch" : undefined;
  };
}

/** The first that has room still; what has none now has none later. */
export function headOf(
  bucket: Bucket,
  ledger: Ledger,
  template: MachineTemplate,
): Bucket["offers"][number] | undefined {
  for (; bucket.next < bucket.offers.length; bucket.next++) {
    const head = bucket.offers[bucket.next];
    if (head && ledger.shortage(head.offer, template) === undefined) return head;
  }
  return undefined;
}

/** Counted anew only when something was taken since. */
export function shortagesOf(bucket: Bucket, ledger: Ledger, template: MachineTemplate): ReadonlyMap<string, number> {
  const version = ledger.version();
  if (bucket.shortages?.version === version) return bucket.shortages.counts;
  const counts = new Map<string, number>();
  for (const { offer } of bucket.offers) {
    const why = ledger.shortage(offer, template);
    if (why !== undefined) counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  bucket.shortages = { version, counts };
  return counts;
}
