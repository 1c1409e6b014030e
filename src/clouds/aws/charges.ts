import { readFileSync } from "node:fs";

/** The rows of `data/charges.json`. */
type Charges = {
  date: string;
  source: string;
  gp3UsdPerGibMonth: number;
  gp3UsdPerIopsMonth: number;
  gp3UsdPerMibPerSecondMonth: number;
  publicAddressUsdPerHour: number;
  networkBalancerUsdPerHour: number;
  applicationBalancerUsdPerHour: number;
  privateZoneUsdPerMonth: number;
};

const charges: Charges = JSON.parse(readFileSync(new URL("./data/charges.json", import.meta.url), "utf8"));

export const hoursPerMonth = 730;
/** Included in every gp3 volume. */
const gp3Included = { iops: 3_000, mibPerSecond: 125 };

type Volume = { sizeGib: number; iops?: number; mibPerSecond?: number };

/** What stands there, by number; what is absent does not. Traffic is not known beforehand and not counted. */
export type Inventory = {
  machines?: readonly { type: string; count: number; usdPerHour: number }[];
  /** gp3, root disks included. */
  volumes?: readonly Volume[];
  /** One for every machine with a public address, and one a zone for every balancer that faces the internet. */
  publicAddresses?: number;
  networkBalancers?: number;
  applicationBalancers?: number;
  privateZones?: number;
};

export type CostLine = { what: string; count: number; usdPerHour: number };

const volumeUsdPerHour = ({ sizeGib, iops = 0, mibPerSecond = 0 }: Volume): number =>
  (sizeGib * charges.gp3UsdPerGibMonth +
    Math.max(0, iops - gp3Included.iops) * charges.gp3UsdPerIopsMonth +
    Math.max(0, mibPerSecond - gp3Included.mibPerSecond) * charges.gp3UsdPerMibPerSecondMonth) /
  hoursPerMonth;

/** The sum and its lines, without those that cost nothing. */
export function costPerHour(inventory: Inventory): { usdPerHour: number; lines: readonly CostLine[] } {
  const { machines = [], volumes = [], publicAddresses = 0, privateZones = 0 } = inventory;
  const { networkBalancers = 0, applicationBalancers = 0 } = inventory;
  const each = (what: string, count: number, usd: number): CostLine => ({ what, count, usdPerHour: count * usd });
  const gib = volumes.reduce((sum, { sizeGib }) => sum + sizeGib, 0);
  const lines = [
    ...machines.map(({ type, count, usdPerHour }) => each(type, count, usdPerHour)),
    {
      what: `gp3 disks, ${gib} GiB together`,
      count: volumes.length,
      usdPerHour: volumes.reduce((sum, volume) => sum + volumeUsdPerHour(volume), 0),
    },
    each("public IPv4 addresses", publicAddresses, charges.publicAddressUsdPerHour),
    each("network load balancers, traffic not counted", networkBalancers, charges.networkBalancerUsdPerHour),
    each(
      "application load balancers, traffic not counted",
      applicationBalancers,
      charges.applicationBalancerUsdPerHour,
    ),
    each("private zones", privateZones, charges.privateZoneUsdPerMonth / hoursPerMonth),
  ].filter(({ usdPerHour }) => usdPerHour > 0);
  return { usdPerHour: lines.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0), lines };
}
