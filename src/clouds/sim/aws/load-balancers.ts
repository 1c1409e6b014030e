import type {
  CreateLoadBalancerInput,
  CreateLoadBalancerOutput,
  DeleteLoadBalancerInput,
  DeleteLoadBalancerOutput,
  DescribeLoadBalancersInput,
  DescribeLoadBalancersOutput,
  SetIpAddressTypeInput,
  SetIpAddressTypeOutput,
  SetSecurityGroupsInput,
  SetSecurityGroupsOutput,
  SetSubnetsInput,
  SetSubnetsOutput,
  LoadBalancer as Shown,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { dateOf } from "../../../base/clock.ts";
import { checkCount, checkName, elbError, validation } from "./elb-errors.ts";
import { AwsError } from "./errors.ts";
import { draw } from "./latencies.ts";
import { freeAddresses, type Subnet } from "./networks.ts";
import { pageOf } from "./paging.ts";
import { type Tags, tagsFrom } from "./tags.ts";
import { refreshUses } from "./uses.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

export type LoadBalancer = Resource & {
  arn: string;
  name: string;
  type: "network" | "application";
  scheme: "internal" | "internet-facing";
  addressType: string;
  vpcId: string;
  subnets: { id: string; zone: string; allocationId?: string; privateAddress?: string }[];
  groupIds: string[];
  webAclArn?: string;
  madeWallMs: number;
  activeAtMs: number;
  attributes: Map<string, string>;
  tags: Tags;
};

/** What load balancers need free in each of their subnets. */
const freeAddressesMin = 8;
/** Where aliases to load balancers of us-east-1 point. */
const zoneIds = { network: "Z26RNL4JYFTOTI", application: "Z35SXDOTRQ7X7K" } as const;
const quotaCodes = { network: "L-69A177A2", application: "L-53DA6B97" } as const;

const commonAttributes: readonly (readonly [string, string])[] = [
  ["access_logs.s3.bucket", ""],
  ["access_logs.s3.enabled", "false"],
  ["access_logs.s3.prefix", ""],
  ["deletion_protection.enabled", "false"],
];

const defaultAttributes: Readonly<Record<LoadBalancer["type"], readonly (readonly [string, string])[]>> = {
  network: [
    ...commonAttributes,
    ["dns_record.client_routing_policy", "any_availability_zone"],
    ["ipv6.deny_all_igw_traffic", "false"],
    ["load_balancing.cross_zone.enabled", "false"],
    ["zonal_shift.config.enabled", "false"],
  ],
  application: [
    ...commonAttributes,
    ["client_keep_alive.seconds", "3600"],
    ["idle_timeout.timeout_seconds", "60"],
    ["load_balancing.cross_zone.enabled", "true"],
    ["routing.http.desync_mitigation_mode", "defensive"],
    ["routing.http.drop_invalid_header_fields.enabled", "false"],
    ["routing.http.preserve_host_header.enabled", "false"],
    ["routing.http.xff_client_port.enabled", "false"],
    ["routing.http.xff_header_processing.mode", "append"],
    ["routing.http2.enabled", "true"],
    ["waf.fail_open.enabled", "false"],
    ["zonal_shift.config.enabled", "false"],
  ],
};

export function loadBalancerOf(world: AwsWorld, arn: string | undefined): LoadBalancer {
  const found = arn === undefined ? undefined : world.loadBalancers.get(arn);
  if (found === undefined) throw elbError("LoadBalancerNotFound", `Load balancer '${arn}' not found`);
  return found;
}

type Places = Pick<CreateLoadBalancerInput, "Subnets" | "SubnetMappings">;

/** @throws SubnetNotFound, InvalidSubnet, InvalidConfigurationRequest, ValidationError */
function placesOf(world: AwsWorld, type: LoadBalancer["type"], { Subnets, SubnetMappings }: Places) {
  const mappings = SubnetMappings ?? (Subnets ?? []).map((SubnetId) => ({ SubnetId }));
  const places = mappings.map(({ SubnetId: id = "", ...mapping }) => {
    const subnet = world.subnets.get(id);
    if (subnet === undefined) throw elbError("SubnetNotFound", `The subnet ID '${id}' does not exist`);
    return { subnet, mapping: mapping as { AllocationId?: string; PrivateIPv4Address?: string } };
  });
  const zones = new Set(places.map(({ subnet }) => subnet.zone));
  if (places.length === 0) throw validation("At least one subnet must be specified");
  if (type === "application" && zones.size < 2)
    throw validation("At least two subnets in two different Availability Zones must be specified");
  if (zones.size < places.length) {
    throw elbError(
      "InvalidConfigurationRequest",
      "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
    );
  }
  return places;
}

const shownPlace = ({ subnet, mapping }: ReturnType<typeof placesOf>[number]): LoadBalancer["subnets"][number] => ({
  id: subnet.id,
  zone: subnet.zone,
  ...(mapping.AllocationId !== undefined && { allocationId: mapping.AllocationId }),
  ...(mapping.PrivateIPv4Address !== undefined && { privateAddress: mapping.PrivateIPv4Address }),
});

function checkRoom(world: AwsWorld, subnet: Subnet): void {
  if (freeAddresses(world, subnet) >= freeAddressesMin) return;
  throw elbError(
    "InvalidSubnet",
    `Not enough IP space available in ${subnet.id}. ELB requires at least ${freeAddressesMin} free IP addresses in each subnet.`,
  );
}

function checkGroups(world: AwsWorld, ids: readonly string[]): string[] {
  const bad = ids.find((id) => !world.securityGroups.has(id));
  if (bad !== undefined) throw elbError("InvalidSecurityGroup", `The security group '${bad}' does not exist`);
  return [...ids];
}

/** Repeated with the same settings it answers with the one that is there. */
export function createLoadBalancer(world: AwsWorld, input: CreateLoadBalancerInput): CreateLoadBalancerOutput {
  const name = checkName("load balancer", input.Name);
  const type = input.Type === "network" ? "network" : "application";
  const places = placesOf(world, type, input);
  const settings = {
    type,
    scheme: input.Scheme ?? "internet-facing",
    addressType: input.IpAddressType ?? "ipv4",
    subnets: places.map(shownPlace),
    groupIds: checkGroups(world, input.SecurityGroups ?? []),
  } as const;
  const same = [...world.loadBalancers.values()].find((other) => other.name === name);
  if (same !== undefined) return known(world, same, settings);
  const count = [...world.loadBalancers.values()].filter((other) => other.type === type).length;
  if (count >= world.quotas.value(quotaCodes[type]))
    throw elbError("TooManyLoadBalancers", "The maximum number of load balancers has been reached");
  for (const { subnet } of places) checkRoom(world, subnet);
  const vpcId = places[0]?.subnet.vpcId ?? "";
  const wait = type === "network" ? world.latencies.networkBalancerActive : world.latencies.applicationBalancerActive;
  const balancer: LoadBalancer = {
    ...world.made(),
    ...settings,
    arn: arnOf(world, "loadbalancer", type, name, world.id("x", 16).slice(2)),
    name,
    vpcId,
    madeWallMs: world.clock.wallMs(),
    activeAtMs: world.nowMs() + draw(world.random, wait),
    attributes: new Map(defaultAttributes[type]),
    tags: tagsFrom(input.Tags),
  };
  world.loadBalancers.set(balancer.arn, balancer);
  attachInterfaces(world, balancer);
  return { LoadBalancers: [shown(world, balancer)] };
}

function known(world: AwsWorld, same: LoadBalancer, settings: Partial<LoadBalancer>): CreateLoadBalancerOutput {
  const { type, scheme, addressType, subnets, groupIds } = same;
  if (JSON.stringify({ type, scheme, addressType, subnets, groupIds }) !== JSON.stringify(settings)) {
    throw elbError(
      "DuplicateLoadBalancerName",
      `A load balancer with the same name '${same.name}' exists, but with different settings`,
    );
  }
  return { LoadBalancers: [shown(world, same)] };
}

export function arnOf(world: AwsWorld, kind: string, type: LoadBalancer["type"], ...rest: string[]): string {
  const short = type === "network" ? "net" : "app";
  return `arn:aws:elasticloadbalancing:${world.account.region}:${world.account.id}:${kind}/${short}/${rest.join("/")}`;
}

/** One in each subnet, with the load balancer's groups. */
function attachInterfaces(world: AwsWorld, { arn, subnets, groupIds }: LoadBalancer): void {
  for (const key of world.interfaces.keys()) if (key.startsWith(`${arn} `)) world.interfaces.delete(key);
  for (const { id } of subnets) {
    world.interfaces.set(`${arn} ${id}`, { groupIds, subnetId: id, goneAtMs: Number.POSITIVE_INFINITY });
  }
}

export function describeLoadBalancers(
  world: AwsWorld,
  input: DescribeLoadBalancersInput,
  atMs: number,
): DescribeLoadBalancersOutput {
  checkCount("load balancers", input.LoadBalancerArns);
  checkCount("load balancers", input.Names);
  const all = [...world.loadBalancers.values()];
  const byName = input.Names?.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) throw elbError("LoadBalancerNotFound", `Load balancers '[${name}]' not found`);
    return found;
  });
  const byArn = input.LoadBalancerArns?.map((arn) => loadBalancerOf(world, arn));
  const { page, next } = pageOf(
    byArn ?? byName ?? all.filter(visibleAt(atMs)),
    Math.min(400, input.PageSize ?? 400),
    input.Marker,
  );
  return { LoadBalancers: page.map((one) => shown(world, one, atMs)), NextMarker: next };
}

function shown(world: AwsWorld, balancer: LoadBalancer, atMs = world.nowMs()): Shown {
  const { arn, name, type, scheme, subnets } = balancer;
  const id = arn.split("/").at(-1);
  const { region } = world.account;
  const prefix = type === "application" && scheme === "internal" ? "internal-" : "";
  const dns = type === "network" ? `${name}-${id}.elb.${region}` : `${prefix}${name}-${id}.${region}.elb`;
  return {
    LoadBalancerArn: arn,
    LoadBalancerName: name,
    DNSName: `${dns}.amazonaws.com`,
    CanonicalHostedZoneId: zoneIds[type],
    CreatedTime: dateOf(balancer.madeWallMs),
    Scheme: scheme,
    VpcId: balancer.vpcId,
    State: { Code: atMs >= balancer.activeAtMs ? "active" : "provisioning" },
    Type: type,
    IpAddressType: balancer.addressType as NonNullable<Shown["IpAddressType"]>,
    SecurityGroups: [...balancer.groupIds],
    AvailabilityZones: subnets.map((subnet) => ({
      SubnetId: subnet.id,
      ZoneName: subnet.zone,
      LoadBalancerAddresses:
        subnet.allocationId === undefined && subnet.privateAddress === undefined
          ? []
          : [{ AllocationId: subnet.allocationId, PrivateIPv4Address: subnet.privateAddress }],
    })),
  };
}

/** One that isn't there is deleted with success. Its network interfaces go some time later. */
export function deleteLoadBalancer(world: AwsWorld, input: DeleteLoadBalancerInput): DeleteLoadBalancerOutput {
  const { LoadBalancerArn: arn = "" } = input;
  const balancer = world.loadBalancers.get(arn);
  if (balancer === undefined) return {};
  if (balancer.attributes.get("deletion_protection.enabled") === "true") {
    throw elbError(
      "OperationNotPermitted",
      `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`,
    );
  }
  world.loadBalancers.delete(arn);
  for (const [listenerArn, { loadBalancerArn }] of world.listeners) {
    if (loadBalancerArn === arn) world.listeners.delete(listenerArn);
  }
  const goneAtMs = world.nowMs() + draw(world.random, world.latencies.interfacesLinger);
  for (const [key, nic] of world.interfaces) if (key.startsWith(`${arn} `)) nic.goneAtMs = goneAtMs;
  refreshUses(world);
  return {};
}

export function setSecurityGroups(world: AwsWorld, input: SetSecurityGroupsInput): SetSecurityGroupsOutput {
  const balancer = loadBalancerOf(world, input.LoadBalancerArn);
  if (balancer.type === "network" && balancer.groupIds.length === 0) {
    throw elbError(
      "InvalidConfigurationRequest",
      "The load balancer was created without security groups, and none can be added to it",
    );
  }
  balancer.groupIds = checkGroups(world, input.SecurityGroups ?? []);
  attachInterfaces(world, balancer);
  return { SecurityGroupIds: balancer.groupIds };
}

export function setSubnets(world: AwsWorld, input: SetSubnetsInput): SetSubnetsOutput {
  const balancer = loadBalancerOf(world, input.LoadBalancerArn);
  balancer.subnets = placesOf(world, balancer.type, input).map(shownPlace);
  attachInterfaces(world, balancer);
  return { AvailabilityZones: shown(world, balancer).AvailabilityZones };
}

export function setIpAddressType(world: AwsWorld, input: SetIpAddressTypeInput): SetIpAddressTypeOutput {
  const balancer = loadBalancerOf(world, input.LoadBalancerArn);
  if (input.IpAddressType === undefined) throw new AwsError("ValidationError", "IpAddressType is required");
  balancer.addressType = input.IpAddressType;
  return { IpAddressType: input.IpAddressType };
}
