import type { MachineTemplate, Offer, Placement } from "../clouds/cloud.ts";
import { amount } from "./placement-words.ts";

/** Machines that calls under way are about to take. */
export type Underway = {
  placement: Placement;
  template: Pick<MachineTemplate, "cpuMillis" | "memoryBytes">;
  machines: number;
};
type Need = Underway["template"];
type Left = { machines: number; cpuMillis: number; memoryBytes: number };

/** Machines of the same type, zone and capacity type come from one pool. */
export const poolOf = ({ type, zone, capacityType }: Placement): string => `${type}/${zone}/${capacityType}`;

/** What a launch keeps of the offer that it takes. */
export function placementOf({ type, zone, capacityType, labels, priceUsdPerHour }: Offer): Placement {
  const price = priceUsdPerHour > 0 && { priceUsdPerHour };
  return { type, zone, capacityType, ...(labels && { labels }), ...price };
}

/** What is left of types and quotas while a plan hands it out. */
export type Ledger = {
  /** Why there is no room for a machine more, as the words after a number of offers; absent: there is. */
  shortage(offer: Offer, need: Need): string | undefined;
  take(offer: Offer, need: Need): void;
  /** Grows whenever something is taken. */
  version(): number;
};

/** Elastic types share over zones what they have; offers of one quota share it. */
export function openLedger(offers: readonly Offer[], underway: readonly Underway[] = []): Ledger {
  const pools = new Map<Offer, Left>();
  const elastic = new Map<string, Left>();
  const quotas = new Map<string, number>();
  let version = 0;

  function poolLeft(offer: Offer): Left {
    const known = offer.elastic ? elastic.get(offer.type) : pools.get(offer);
    if (known) return known;
    const left = { ...offer.left };
    if (offer.elastic) elastic.set(offer.type, left);
    else pools.set(offer, left);
    return left;
  }
  const quotaLeft = (quota: string, offer: Offer): number => quotas.get(quota) ?? offer.left.cpuMillis;

  function take(offer: Offer, need: Need, machines: number): void {
    const left = poolLeft(offer);
    left.machines -= machines;
    left.cpuMillis -= need.cpuMillis * machines;
    left.memoryBytes -= need.memoryBytes * machines;
    const { quota, quotaCpuMillis = 0 } = offer;
    if (quota !== undefined) quotas.set(quota, quotaLeft(quota, offer) - quotaCpuMillis * machines);
    version++;
  }

  const waiting = new Map<string, Underway[]>();
  for (const one of underway) waiting.set(poolOf(one.placement), [...(waiting.get(poolOf(one.placement)) ?? []), one]);
  if (waiting.size > 0) {
    for (const offer of offers) {
      for (const { template, machines } of waiting.get(poolOf(offer)) ?? []) take(offer, template, machines);
    }
  }
  return {
    version: () => version,
    take: (offer, need) => take(offer, need, 1),
    shortage(offer, need) {
      const left = poolLeft(offer);
      const { quota, quotaCpuMillis = 0 } = offer;
      if (quota !== undefined && quotaLeft(quota, offer) < quotaCpuMillis) {
        return `with only ${Math.max(0, quotaLeft(quota, offer) / 1_000)} vCPU left of the quota ${quota}`;
      }
      if (left.machines < 1) return "with no machine left of the quota";
      const isShort = left.cpuMillis < need.cpuMillis || left.memoryBytes < need.memoryBytes;
      return offer.elastic && isShort ? `with only ${amount(left)} left` : undefined;
    },
  };
}
