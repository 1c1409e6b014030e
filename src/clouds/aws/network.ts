import {
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  type Filter,
  type RouteTable,
  type Subnet as SubnetRow,
  type Vpc,
} from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Send } from "./api.ts";
import { allPages } from "./pages.ts";
import { clusterTag, type Tags, tagsOf } from "./tags.ts";

export type NetworkOptions = {
  cluster: string;
  /** Default: the VPC of the subnets, else the one tagged with the cluster, else the account's default VPC. */
  vpcId?: string;
  /** Default: the VPC's subnets that are tagged with the cluster, else all of them. */
  subnetIds?: readonly string[];
};

export type Subnet = {
  id: string;
  zone: string;
  /** `use1-az4`: the same place for every account, which zones' names are not. */
  zoneId?: string;
  freeAddresses: number;
  /** Its route table leads to an internet gateway, or it gives out public addresses. */
  isPublic: boolean;
  /** Machines in it get a public address without being asked to. */
  givesPublicAddresses: boolean;
  tags: Tags;
};

export type Network = { vpcId: string; cidrs: readonly string[]; subnets: readonly Subnet[] };

export type Networks = {
  /** @throws CLOUD_INVALID: says which option or tag is missing */
  find(): Promise<Network>;
};

/** A network changes so rarely that what was found is believed for so long; subnets fill up meanwhile. */
const believedMs = 300_000;
const named = "drover serve --vpc ID, --subnets IDS";

const invalid = (message: string): DroverError => new DroverError("CLOUD_INVALID", message);

export function openNetworks(send: Send, clock: Clock, options: NetworkOptions): Networks {
  let known: { network: Promise<Network>; atMs: number } | undefined;
  return {
    async find() {
      if (!known || clock.monotonicMs() - known.atMs > believedMs) {
        known = { network: find(send, options), atMs: clock.monotonicMs() };
      }
      const asked = known;
      try {
        return await asked.network;
      } catch (error) {
        if (known === asked) known = undefined;
        throw error;
      }
    },
  };
}

async function find(send: Send, options: NetworkOptions): Promise<Network> {
  const given = options.subnetIds ?? [];
  const subnetsBy = (Filters: Filter[]) =>
    allPages(
      (NextToken) => send("ec2", new DescribeSubnetsCommand({ Filters, NextToken })),
      ({ Subnets }) => Subnets,
    );
  const tagged = { Name: `tag:${clusterTag}`, Values: [options.cluster] };
  const chosen =
    given.length > 0 ? await subnetsBy([{ Name: "subnet-id", Values: [...given] }]) : await subnetsBy([tagged]);
  checkGiven(chosen, options);
  const vpc = await findVpc(send, options, chosen);
  const vpcId = vpc.VpcId ?? "";
  const inVpc = [{ Name: "vpc-id", Values: [vpcId] }];
  const own = chosen.filter(({ VpcId }) => VpcId === vpcId);
  const rows = own.length > 0 ? own : await subnetsBy(inVpc);
  if (rows.length === 0) throw invalid(`The VPC ${vpcId} has no subnets: make one in every zone (${named}).`);
  const tables = await allPages(
    (NextToken) => send("ec2", new DescribeRouteTablesCommand({ Filters: inVpc, NextToken })),
    ({ RouteTables }) => RouteTables,
  );
  const blocks = (vpc.CidrBlockAssociationSet ?? []).filter(
    ({ CidrBlockState }) => (CidrBlockState?.State ?? "associated") === "associated",
  );
  const cidrs = blocks.flatMap(({ CidrBlock }) => CidrBlock ?? []);
  return {
    vpcId,
    cidrs: cidrs.length > 0 ? cidrs : [vpc.CidrBlock ?? ""],
    subnets: rows.map((row) => subnetOf(row, tables)).sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

function checkGiven(subnets: readonly SubnetRow[], { subnetIds = [], vpcId, cluster }: NetworkOptions): void {
  const missing = subnetIds.filter((id) => !subnets.some(({ SubnetId }) => SubnetId === id));
  if (missing.length > 0) throw invalid(`There is no subnet ${missing.join(", ")} in this region (--subnets).`);
  const vpcs = [...new Set(subnets.map(({ VpcId }) => VpcId ?? ""))];
  if (subnetIds.length > 0 && vpcId !== undefined && vpcs.some((id) => id !== vpcId)) {
    throw invalid(`The subnets ${subnetIds.join(", ")} are not all in the VPC ${vpcId} (--vpc, --subnets).`);
  }
  if (vpcId === undefined && vpcs.length > 1) {
    const which = subnetIds.length > 0 ? "given subnets" : `subnets tagged ${clusterTag}=${cluster}`;
    throw invalid(`The ${which} are in several VPCs, ${vpcs.join(" and ")}: say which one (--vpc ID).`);
  }
}

async function findVpc(send: Send, { vpcId, cluster }: NetworkOptions, subnets: readonly SubnetRow[]): Promise<Vpc> {
  const vpcsBy = async (Name: string, value: string) => {
    const command = new DescribeVpcsCommand({ Filters: [{ Name, Values: [value] }] });
    return (await send("ec2", command)).Vpcs ?? [];
  };
  const id = vpcId ?? subnets[0]?.VpcId;
  if (id !== undefined) {
    const [vpc] = await vpcsBy("vpc-id", id);
    if (!vpc) throw invalid(`There is no VPC ${id} in this region (--vpc).`);
    return vpc;
  }
  const tagged = await vpcsBy(`tag:${clusterTag}`, cluster);
  if (tagged.length > 1) {
    const ids = tagged.map(({ VpcId }) => VpcId).join(" and ");
    throw invalid(`Several VPCs are tagged ${clusterTag}=${cluster}, ${ids}: say which one (--vpc ID).`);
  }
  const [vpc] = tagged.length > 0 ? tagged : await vpcsBy("is-default", "true");
  if (vpc) return vpc;
  throw invalid(
    `This account has no default VPC in this region and none tagged ${clusterTag}=${cluster}: ` +
      `name one (${named}), make one with the Terraform module in infra/, or \`aws ec2 create-default-vpc\`.`,
  );
}

/** A subnet without a route table of its own has the VPC's main one. */
function subnetOf(row: SubnetRow, tables: readonly RouteTable[]): Subnet {
  const has = ({ Associations = [] }: RouteTable) => Associations.some(({ SubnetId }) => SubnetId === row.SubnetId);
  const main = ({ Associations = [] }: RouteTable) => Associations.some(({ Main }) => Main === true);
  const table = tables.find(has) ?? tables.find(main);
  const givesPublicAddresses = row.MapPublicIpOnLaunch ?? false;
  const leadsOut = (table?.Routes ?? []).some(({ GatewayId }) => GatewayId?.startsWith("igw-"));
  return {
    id: row.SubnetId ?? "",
    zone: row.AvailabilityZone ?? "",
    ...(row.AvailabilityZoneId && { zoneId: row.AvailabilityZoneId }),
    freeAddresses: row.AvailableIpAddressCount ?? 0,
    isPublic: leadsOut || givesPublicAddresses,
    givesPublicAddresses,
    tags: tagsOf(row.Tags),
  };
}

const isTruthy = (value: string | undefined): boolean => value !== undefined && value !== "0" && value !== "false";

/**
 * Subnets for load balancers, one a zone: those with the role's tag
 * (`kubernetes.io/role/elb` or `…/internal-elb`), else by their routes. @throws CLOUD_INVALID: there are none
 */
export function balancerSubnets(network: Network, scheme: "internal" | "internet-facing"): Subnet[] {
  const role = scheme === "internal" ? "kubernetes.io/role/internal-elb" : "kubernetes.io/role/elb";
  const withRole = network.subnets.filter(({ tags }) => isTruthy(tags[role]) || tags[role] === "");
  const byRoute = network.subnets.filter(({ isPublic }) => isPublic === (scheme === "internet-facing"));
  const fallback = scheme === "internal" ? network.subnets : [];
  const found = [withRole, byRoute, fallback].find((list) => list.length > 0) ?? [];
  if (found.length === 0) {
    throw invalid(
      `The VPC ${network.vpcId} has no public subnet for an internet-facing load balancer: tag one a zone with ${role}=1.`,
    );
  }
  return onePerZone(found);
}

/** Zones that machines may be in, in order. */
export const zonesOf = ({ subnets }: Network): string[] => [...new Set(subnets.map(({ zone }) => zone))].sort();

/** Zones' ids by their names, as far as they are known. */
export const zoneIdsOf = ({ subnets }: Network): Record<string, string> =>
  Object.fromEntries(subnets.flatMap(({ zone, zoneId }) => (zoneId === undefined ? [] : [[zone, zoneId]])));

/** The subnet of a zone that new machines go to. @throws CLOUD_INVALID: the network has none there */
export function machineSubnet(network: Network, zone: string, publicAddress: boolean): Subnet {
  const { vpcId, subnets } = network;
  const inZone = subnets.filter((subnet) => subnet.zone === zone);
  const fit = publicAddress ? inZone.filter(({ isPublic }) => isPublic) : inZone;
  const [subnet] = onePerZone(fit);
  if (subnet) return subnet;
  const zones = zonesOf(network).join(", ");
  throw invalid(
    `The VPC ${vpcId} has no ${publicAddress ? "public " : ""}subnet in ${zone} (its zones: ${zones}; ${named}).`,
  );
}

/** A subnet with so many free addresses is as good as any. */
const ampleAddresses = 256;

/** Of each zone the first subnet with ample addresses, so that a repeated call names the same, else the emptiest. */
function onePerZone(subnets: readonly Subnet[]): Subnet[] {
  const best = new Map<string, Subnet>();
  const worth = ({ freeAddresses }: Subnet) => Math.min(ampleAddresses, freeAddresses);
  for (const subnet of subnets) {
    const known = best.get(subnet.zone);
    if (!known || worth(subnet) > worth(known)) best.set(subnet.zone, subnet);
  }
  return [...best.values()].sort((a, b) => (a.zone < b.zone ? -1 : 1));
}
