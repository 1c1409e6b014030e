import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Offer } from "../cloud.ts";
import type { Send } from "./api.ts";
import { type Catalog, openCatalog } from "./catalog.ts";
import type { InstanceType } from "./instance-types.ts";
import { type Kept, keptIn } from "./kept.ts";
import {
  listSpotPrices,
  onDemandUsdPerHour,
  type PriceTable,
  priceTableShape,
  regionNote,
  shippedPrices,
  spotShare,
  spotUsdPerHour,
} from "./prices.ts";
import { openQuotas, quotaOf, type Running } from "./quotas.ts";
import { remember } from "./remember.ts";

export type OfferOptions = {
  send: Send;
  clock: Clock;
  region: string;
  /** Zones that have a subnet for machines. */
  zones: () => Promise<readonly string[]>;
  /** `us-east-1a` to `use1-az4`. */
  zoneIds: () => Promise<Readonly<Record<string, string>>>;
  /** A folder for what was asked of AWS and changes seldom. Absent: each process asks anew. */
  cacheDir?: string;
  /** Instances that are known beside those that a list shows: those just launched. */
  running?: () => Iterable<Running>;
  /** Told once what is not known and what is done instead. */
  tell: (message: string) => void;
};

/** Prices of a region that `refreshPrices` brought and that `offers` goes by from its next start on. */
export const keptPrices = (cacheDir: string, region: string): Kept<PriceTable> =>
  keptIn(join(cacheDir, `prices-${region}.json`), priceTableShape);

/** Spot prices move slowly; AWS smooths them over days. */
const spotAgeMaxMs = 3_600_000;
/** No quota is known: as many as anybody will ask for. */
const unlimited = 1_000_000;

/** `zones`: names and ids, as JSON. */
type Sources = { catalog: Catalog; zones: string; spot: ReadonlyMap<string, number>; table: PriceTable };

/**
 * What may be launched: each type in each zone, on demand and spot, with its price and what is left of its quota.
 * Answers from memory but for quotas (5 min), instances (15 s), spot prices (an hour) and the catalog (a day). What may
 * not be read, but for the catalog, is told and done without.
 */
export function openOffers(options: OfferOptions): (signal?: AbortSignal) => Promise<readonly Offer[]> {
  const { send, clock, region, cacheDir } = options;
  const tell = once(options.tell);
  const catalogOf = openCatalog({ send, clock, region, cacheDir, tell });
  const vcpus = new Map<string, number>();
  const quotas = openQuotas({ ...options, tell, vcpusOf: (type) => vcpus.get(type) });
  const spotPrices = remember(clock, spotAgeMaxMs, new Map<string, number>(), {
    read: (signal) => listSpotPrices(send, clock, signal),
    failed: (why) => tell(`Spot prices are taken to be ${spotShare * 100} % of those on demand: ${why}`),
  });
  let table: Promise<PriceTable> | undefined;
  let made: { from: Sources; offers: readonly Offer[] } | undefined;
  let shared: { of: readonly Offer[]; left: string; offers: readonly Offer[] } | undefined;

  async function prices(): Promise<PriceTable> {
    const found = (cacheDir === undefined ? undefined : await keptPrices(cacheDir, region).read()) ?? shippedPrices;
    const note = regionNote(found, region);
    if (note !== undefined) tell(note);
    return found;
  }

  /** Thousands of offers, and asked for before every launch: they are made again only when something has changed. */
  function offersOf(from: Sources): readonly Offer[] {
    const isSame = made && (Object.keys(from) as (keyof Sources)[]).every((key) => made?.from[key] === from[key]);
    if (made && isSame) return made.offers;
    const { offers, unpriced } = listOffers(from, region);
    if (unpriced.length > 0) {
      const shown = unpriced.length > 5 ? [...unpriced.slice(0, 5), "…"] : unpriced;
      tell(`Instance types without a known price are not offered, ${unpriced.length}: ${shown.join(", ")}.`);
    }
    for (const type of from.catalog.types) vcpus.set(type.name, type.vcpus);
    made = { from, offers };
    return offers;
  }

  return async (signal) => {
    const [zones, zoneIds] = await Promise.all([options.zones(), options.zoneIds()]);
    table ??= prices();
    const [catalog, spot, priceTable] = await Promise.all([catalogOf(zones, signal), spotPrices(signal), table]);
    const named = JSON.stringify([...zones].sort().map((zone) => [zone, zoneIds[zone]]));
    const of = offersOf({ catalog, zones: named, spot, table: priceTable });
    const left = await quotas.left(signal);
    const id = JSON.stringify([...left]);
    if (shared?.of !== of || shared.left !== id)
      shared = { of, left: id, offers: of.map((offer) => withLeft(offer, vcpus.get(offer.type) ?? 0, left)) };
    return shared.offers;
  };
}

function listOffers({ catalog, zones, spot, table }: Sources, region: string) {
  const offers: Offer[] = [];
  const unpriced: string[] = [];
  const zonesById: readonly (readonly [zone: string, id: string | null])[] = JSON.parse(zones);
  for (const type of catalog.types) {
    const onDemand = onDemandUsdPerHour(table, type.name);
    if (onDemand === undefined) {
      unpriced.push(type.name);
      continue;
    }
    for (const [zone, id] of zonesById.filter(([each]) => catalog.offerings.has(`${type.name} ${each}`))) {
      const zoneId = id !== null && { "topology.k8s.aws/zone-id": id };
      const labels = { ...type.labels, ...zoneId, "topology.kubernetes.io/region": region };
      for (const capacityType of type.capacityTypes) {
        const price = capacityType === "spot" ? spotUsdPerHour(spot, type.name, zone, onDemand) : onDemand;
        offers.push(offerOf(type, zone, capacityType, price, labels));
      }
    }
  }
  return { offers, unpriced };
}

function offerOf(
  { name, architecture, cpuMillis, memoryBytes, gpus }: InstanceType,
  zone: string,
  capacityType: Offer["capacityType"],
  priceUsdPerHour: number,
  labels: Readonly<Record<string, string>>,
): Offer {
  return {
    ...{ type: name, zone, capacityType, architecture, cpuMillis, memoryBytes, priceUsdPerHour, labels },
    elastic: false,
    ...(gpus > 0 && { gpus }),
    left: { machines: unlimited, cpuMillis: 0, memoryBytes: 0 },
  };
}

/** The offer with its share in a quota, when that is known. */
function withLeft(offer: Offer, vcpus: number, left: ReadonlyMap<string, number>): Offer {
  const quota = quotaOf(offer.type, offer.capacityType);
  const vcpusLeft = quota && left.get(quota.code);
  if (!quota || vcpusLeft === undefined) return offer;
  const machines = Math.max(0, Math.floor(vcpusLeft / Math.max(1, vcpus)));
  return {
    ...offer,
    quota: `${quota.name} (${quota.code})`,
    quotaCpuMillis: vcpus * 1_000,
    left: { machines, cpuMillis: vcpusLeft * 1_000, memoryBytes: 0 },
  };
}

/** AWS is asked again and again; nobody wants to read the same sentence each time. */
function once(tell: (message: string) => void): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (told.has(message)) return;
    told.add(message);
    tell(message);
  };
}
