import type {
  DescribeAvailabilityZonesRequest,
  DescribeAvailabilityZonesResult,
  DescribeRouteTablesRequest,
  DescribeRouteTablesResult,
  DescribeSubnetsRequest,
  DescribeSubnetsResult,
  DescribeVpcsRequest,
  DescribeVpcsResult,
} from "@aws-sdk/client-ec2";
import { AwsError } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { stateAt } from "./instances.ts";
import { pageOf } from "./paging.ts";
import { shownTags, type Tags } from "./tags.ts";
import type { AwsWorld, Resource } from "./world.ts";

export type Vpc = Resource & { id: string; cidr: string; isDefault: boolean; tags: Tags };

/** `cidr` is a /20; `reserved`: addresses that others hold. */
export type Subnet = Resource & {
  id: string;
  vpcId: string;
  zone: string;
  cidr: string;
  reserved: number;
  isPublic: boolean;
  isDefault: boolean;
  nextHost: number;
  tags: Tags;
};

/** A /20 less the five addresses that AWS keeps. */
const hostsMax = 4_091;

/** Private addresses of living instances in a subnet. */
function takenIn(world: AwsWorld, subnet: Subnet): Set<string> {
  const nowMs = world.nowMs();
  const living = [...world.instances.values()].filter(
    (instance) => instance.subnetId === subnet.id && stateAt(instance, nowMs) !== "terminated",
  );
  return new Set(living.map(({ privateIp }) => privateIp));
}

export function freeAddresses(world: AwsWorld, subnet: Subnet): number {
  const nowMs = world.nowMs();
  const interfaces = [...world.interfaces.values()].filter(
    ({ subnetId, goneAtMs }) => subnetId === subnet.id && nowMs < goneAtMs,
  );
  return Math.max(0, hostsMax - subnet.reserved - interfaces.length - takenIn(world, subnet).size);
}

/** The next `count` free addresses; there must be as many. */
export function takeAddresses(world: AwsWorld, subnet: Subnet, count: number): string[] {
  const taken = takenIn(world, subnet);
  const [first = "", second = "", third = "0"] = subnet.cidr.split(".");
  const given: string[] = [];
  while (given.length < count) {
    const host = 4 + (subnet.nextHost++ % hostsMax);
    const address = `${first}.${second}.${Number(third) + (host >> 8)}.${host & 255}`;
    if (!taken.has(address)) given.push(address);
  }
  return given;
}

const vpcFields: Fields<Vpc> = {
  "vpc-id": ({ id }) => [id],
  cidr: ({ cidr }) => [cidr],
  "is-default": ({ isDefault }) => [String(isDefault)],
  isDefault: ({ isDefault }) => [String(isDefault)],
  state: () => ["available"],
};

const subnetFields: Fields<Subnet> = {
  "subnet-id": ({ id }) => [id],
  "vpc-id": ({ vpcId }) => [vpcId],
  "availability-zone": ({ zone }) => [zone],
  "default-for-az": ({ isDefault }) => [String(isDefault)],
  "map-public-ip-on-launch": ({ isPublic }) => [String(isPublic)],
  state: () => ["available"],
};

function named<T>(things: ReadonlyMap<string, T>, ids: readonly string[] | undefined, code: string, what: string): T[] {
  if (ids === undefined) return [...things.values()];
  return ids.map((id) => {
    const thing = things.get(id);
    if (thing === undefined) throw new AwsError(code, `The ${what} ID '${id}' does not exist`);
    return thing;
  });
}

export const vpcNamed = (world: AwsWorld, id: string): Vpc =>
  named(world.vpcs, [id], "InvalidVpcID.NotFound", "vpc")[0] as Vpc;
export const subnetNamed = (world: AwsWorld, id: string): Subnet =>
  named(world.subnets, [id], "InvalidSubnetID.NotFound", "subnet")[0] as Subnet;

export function describeVpcs(world: AwsWorld, input: DescribeVpcsRequest): DescribeVpcsResult {
  const found = named(world.vpcs, input.VpcIds, "InvalidVpcID.NotFound", "vpc").filter(
    matcher(input.Filters, vpcFields),
  );
  const { page, next } = pageOf(found, input.MaxResults ?? 1_000, input.NextToken);
  return {
    Vpcs: page.map(({ id, cidr, isDefault, tags }) => ({
      VpcId: id,
      CidrBlock: cidr,
      IsDefault: isDefault,
      State: "available",
      OwnerId: world.account.id,
      CidrBlockAssociationSet: [{ CidrBlock: cidr, CidrBlockState: { State: "associated" } }],
      Tags: shownTags(tags),
    })),
    NextToken: next,
  };
}

export function describeSubnets(world: AwsWorld, input: DescribeSubnetsRequest): DescribeSubnetsResult {
  const found = named(world.subnets, input.SubnetIds, "InvalidSubnetID.NotFound", "subnet").filter(
    matcher(input.Filters, subnetFields),
  );
  const { page, next } = pageOf(found, input.MaxResults ?? 1_000, input.NextToken);
  return {
    Subnets: page.map((subnet) => ({
      SubnetId: subnet.id,
      SubnetArn: `arn:aws:ec2:${world.account.region}:${world.account.id}:subnet/${subnet.id}`,
      VpcId: subnet.vpcId,
      AvailabilityZone: subnet.zone,
      AvailabilityZoneId: zoneId(world, subnet.zone),
      CidrBlock: subnet.cidr,
      AvailableIpAddressCount: freeAddresses(world, subnet),
      DefaultForAz: subnet.isDefault,
      MapPublicIpOnLaunch: subnet.isPublic,
      State: "available",
      OwnerId: world.account.id,
      Tags: shownTags(subnet.tags),
    })),
    NextToken: next,
  };
}

/** `use1-az1`: what a zone is called in every account. */
function zoneId(world: AwsWorld, zone: string): string {
  const [area = "", side = "", number = ""] = world.account.region.split("-");
  return `${area}${side[0]}${number}-az${world.account.zones.indexOf(zone) + 1}`;
}

type RouteTable = Resource & { subnet: Subnet; tags: Tags };

const routeTableFields: Fields<RouteTable> = {
  "vpc-id": ({ subnet }) => [subnet.vpcId],
  "association.subnet-id": ({ subnet }) => [subnet.id],
};

/** Each subnet has a table of its own: public ones lead to an internet gateway. */
export function describeRouteTables(world: AwsWorld, input: DescribeRouteTablesRequest): DescribeRouteTablesResult {
  const tables = [...world.subnets.values()].map((subnet): RouteTable => ({ ...subnet, subnet, tags: new Map() }));
  const { page, next } = pageOf(
    tables.filter(matcher(input.Filters, routeTableFields)),
    input.MaxResults ?? 100,
    input.NextToken,
  );
  return {
    RouteTables: page.map(({ subnet }) => ({
      RouteTableId: subnet.id.replace("subnet-", "rtb-"),
      VpcId: subnet.vpcId,
      Associations: [{ SubnetId: subnet.id, Main: false, AssociationState: { State: "associated" } }],
      Routes: [
        { DestinationCidrBlock: world.vpcs.get(subnet.vpcId)?.cidr, GatewayId: "local", State: "active" },
        ...(subnet.isPublic
          ? [{ DestinationCidrBlock: "0.0.0.0/0", GatewayId: "igw-0a1b2c3d4e5f60718", State: "active" as const }]
          : [{ DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: "nat-0a1b2c3d4e5f60718", State: "active" as const }]),
      ],
    })),
    NextToken: next,
  };
}

export function describeAvailabilityZones(
  world: AwsWorld,
  input: DescribeAvailabilityZonesRequest,
): DescribeAvailabilityZonesResult {
  const zones = world.account.zones.filter((zone) => input.ZoneNames?.includes(zone) ?? true);
  return {
    AvailabilityZones: zones.map((zone) => ({
      ZoneName: zone,
      ZoneId: zoneId(world, zone),
      RegionName: world.account.region,
      State: "available",
      ZoneType: "availability-zone",
      OptInStatus: "opt-in-not-required",
    })),
  };
}
