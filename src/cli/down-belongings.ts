import { DroverError, isCode } from "../base/errors.ts";
import { costPerHour } from "../clouds/aws/charges.ts";
import type { AwsCloud } from "../clouds/aws/cloud.ts";
import { listRest, type Rest, usdPerHour } from "../clouds/aws/rest.ts";
import type { BalancerState } from "../clouds/balancer.ts";
import type { Machine, NameRecord } from "../clouds/cloud.ts";
import type { Volume } from "../clouds/volume.ts";

/** Everything at AWS that carries the cluster's tag. */
export type Belongings = {
  machines: readonly Machine[];
  balancers: readonly BalancerState[];
  volumes: readonly Volume[];
  names: readonly NameRecord[];
  /** The private zone that drover made. */
  zone: string | undefined;
  rest: Rest;
};

type Look = Pick<AwsCloud, "machines" | "balancers" | "volumes" | "names" | "madeZone" | "send">;

/** @throws CLOUD_UNAVAILABLE: not everything could be seen; CLOUD_AUTH */
export async function findBelongings(cloud: Look, cluster: string): Promise<Belongings> {
  const { machines, complete } = await cloud.machines.observe();
  const { balancers, complete: sawBalancers } = await cloud.balancers.observe();
  const { volumes, complete: sawVolumes } = await cloud.volumes.observe();
  if (!complete || !sawBalancers || !sawVolumes) {
    throw new DroverError("CLOUD_UNAVAILABLE", "Not everything of the cluster could be listed, so nothing was ended.");
  }
  // A VPC without the private zone has no names of the cluster either.
  const names = await cloud.names.list().catch((error: unknown) => {
    if (isCode(error, "CLOUD_INVALID")) return [];
    throw error;
  });
  return {
    machines: machines.filter(({ state }) => state !== "gone"),
    balancers,
    volumes: volumes.filter(({ state }) => state !== "gone"),
    names,
    zone: await cloud.madeZone(),
    rest: await listRest(cloud.send, cluster),
  };
}

export const isNothing = ({ machines, balancers, volumes, names, zone, rest }: Belongings): boolean =>
  zone === undefined &&
  [machines, balancers, volumes, names, rest.launchTemplates, rest.securityGroups].every(({ length }) => length === 0);

const usd = (price: number): string => `${price.toFixed(3)} USD/h`;

const claimText = ({ claim, launchId }: Machine): string =>
  claim ? `${claim.owner.namespace}/${claim.podName}` : `launch ${launchId}`;

/** One row a thing: kind, id, what it is, for whom. */
export function rowsOf({ machines, balancers, volumes, names, zone, rest }: Belongings): string[][] {
  return [
    ...machines.map((machine) => {
      const { id, type, zone, capacityType } = machine;
      const price = usdPerHour(type, capacityType);
      const cost = price === undefined ? "price unknown" : usd(price);
      return ["machine", id, `${type} in ${zone}, ${cost}`, claimText(machine)];
    }),
    ...balancers.map(({ id, name, addresses }) => ["balancer", id, addresses[0]?.hostname ?? "", name]),
    ...volumes.map(({ handle, name, sizeBytes, zone }) => [
      "volume",
      handle,
      `${Math.round(sizeBytes / 2 ** 30)} GiB in ${zone}`,
      name,
    ]),
    ...names.map(({ name, type, values }) => ["name", name, type, values.slice(0, 3).join(" ")]),
    ...(zone === undefined ? [] : [["private zone", zone, "", ""]]),
    ...rest.launchTemplates.map((name) => ["launch template", name, "", ""]),
    ...rest.securityGroups.map((name) => ["security group", name, "", ""]),
  ];
}

/** What all of it costs an hour, traffic not counted: a sum and its parts, in words. */
export function costLines({ machines, balancers, zone, rest }: Belongings, kept: boolean): string[] {
  const byType = new Map<string, { type: string; count: number; usdPerHour: number }>();
  for (const { type, capacityType } of machines) {
    const key = `${type} ${capacityType}`;
    const known = byType.get(key) ?? { type, count: 0, usdPerHour: usdPerHour(type, capacityType) ?? 0 };
    byType.set(key, { ...known, count: known.count + 1 });
  }
  const disks = rest.disks.filter(({ machineId }) => !kept || machines.some(({ id }) => id === machineId));
  // Several Services and Ingresses may share one.
  const bills = new Map(balancers.flatMap(({ bill }) => (bill ? [[bill.loadBalancer, bill] as const] : [])));
  const countOf = (wanted: string) => [...bills.values()].filter(({ kind }) => kind === wanted).length;
  const ofBalancers = [...bills.values()].reduce((sum, { publicAddresses }) => sum + publicAddresses, 0);
  const { usdPerHour: sum, lines } = costPerHour({
    machines: [...byType.values()],
    volumes: disks,
    publicAddresses: ofBalancers + machines.filter(({ publicAddress }) => publicAddress !== undefined).length,
    networkBalancers: countOf("network"),
    applicationBalancers: countOf("application"),
    privateZones: zone === undefined ? 0 : 1,
  });
  const parts = lines.map(({ what, count, usdPerHour: each }) => `  ${count} × ${what}: ${usd(each)}`);
  return [`together about ${usd(sum)}, by the list prices of us-east-1`, ...parts];
}
