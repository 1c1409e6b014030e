import type { Offer } from "../clouds/cloud.ts";
import type { RestingOffer } from "./selection.ts";

type Amount = { cpuMillis: number; memoryBytes: number; gpus?: number | undefined };

const cpu = (cpuMillis: number): string => `${Math.max(0, cpuMillis)}m CPU`;
const gib = (memoryBytes: number): string => `${(memoryBytes / 2 ** 30).toFixed(2)} GiB`;
const gpu = (gpus: number | undefined): string => (gpus ? ` and ${gpus} ${gpus === 1 ? "GPU" : "GPUs"}` : "");
export const amount = ({ cpuMillis, memoryBytes, gpus }: Amount): string =>
  `${cpu(cpuMillis)} and ${gib(memoryBytes)}${gpu(gpus)}`;

/** Two digits that matter, and cents at least: `$0.0168`, `$1.20`. */
function dollars(usd: number): string {
  if (usd === 0) return "$0";
  const digits = Math.max(2, 2 - Math.floor(Math.log10(usd)));
  return `$${usd.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

const named = ({ type, zone }: Offer): string => `${type} in ${zone}`;
const capacity = ({ capacityType }: Offer): string => (capacityType === "spot" ? "spot" : "on demand");

/**
 * Why a machine was chosen. `count`: offers that fit and are allowed; `cheapest` of them was not taken because of `why`
 * when it costs less.
 */
export function choiceSentence(offer: Offer, need: Amount, count: number, cheapest: Offer, why: () => string): string {
  const price = `${dollars(offer.priceUsdPerHour)}/h`;
  const head = `${named(offer)}, ${capacity(offer)}, ${price}`;
  const among = count === 1 ? `the only offer that fits ${amount(need)}` : `${count} offers that fit ${amount(need)}`;
  if (count === 1) return `${head}: ${among}`;
  if (offer.priceUsdPerHour <= cheapest.priceUsdPerHour) return `${head}: the cheapest of ${among}`;
  return `${head}: of ${among}; ${named(cheapest)} at ${dollars(cheapest.priceUsdPerHour)}/h was passed over: ${why()}`;
}

const restingShown = 3;

/** What would have been as cheap as the machine that was chosen, and why it was left alone; may be empty. */
export function restingWords(resting: readonly RestingOffer[], { priceUsdPerHour }: Offer): string {
  const wanted = resting.filter(({ offer }) => offer.priceUsdPerHour <= priceUsdPerHour);
  const shown = wanted.slice(0, restingShown).map(({ offer, why }) => `; ${named(offer)} ${why}`);
  const more = wanted.length - shown.length;
  return `${shown.join("")}${more > 0 ? `, and ${more} more ${more === 1 ? "offer" : "offers"}` : ""}`;
}

/** Why the limit forbids a machine more. */
export const tooMany = (machines: number, machinesMax: number, unclaimed = 0): string =>
  `the limit on machines of this cluster is reached: it has ${machines} of at most ${machinesMax} machines${unclaimed > 0 ? `, ${unclaimed} of them unclaimed` : ""} (--max-machines)`;

/** Why the budget forbids a machine, with its numbers. */
export const overBudget = (offer: Offer, usdPerHour: number, usdPerHourMax: number): string =>
  `the limit of ${dollars(usdPerHourMax)}/h of this cluster is reached: its machines cost ${dollars(usdPerHour)}/h, and ${named(offer)} costs ${dollars(offer.priceUsdPerHour)}/h more (--max-usd-per-hour)`;

/** Why no offer will do, in the scheduler's manner, with the numbers. `unmet`: what is required and no offer has. */
export function refusalSentence(
  reasons: ReadonlyMap<string, number>,
  offers: number,
  need: Amount,
  unmet: readonly string[] = [],
): string {
  const listed = [...reasons].sort(([a], [b]) => (a < b ? -1 : 1)).map(([reason, count]) => `${count} ${reason}`);
  const nowhere = unmet.length > 0 ? ` No offer has ${unmet.join(", nor ")}.` : "";
  const needs = `The machine needs ${amount(need)}, its own overhead included.`;
  return `0/${offers} machine offers are available: ${listed.join(", ") || "none is made"}.${nowhere} ${needs}`;
}
