import type {
  LaunchTemplateTagSpecificationRequest,
  RequestLaunchTemplateData,
  Reservation,
  RunInstancesRequest,
  TagSpecification,
} from "@aws-sdk/client-ec2";
import { AwsError, invalidValue, missingParameter } from "./errors.ts";
import { type Image, imageNamed } from "./images.ts";
import { type Instance, reservations, type StateReason } from "./instances.ts";
import { draw, drawMixture } from "./latencies.ts";
import { rootDisks } from "./launch-disks.ts";
import { checkUserData, templateData } from "./launch-templates.ts";
import { freeAddresses, type Subnet, subnetNamed, takeAddresses } from "./networks.ts";
import { type Lifecycle, noCapacity, overQuota, roomFor } from "./pools.ts";
import { defaultGroup, groupsForLaunch } from "./security-groups.ts";
import { type Tags, tagsFor } from "./tags.ts";
import { type InstanceType, typeNamed } from "./type-table.ts";
import type { AwsWorld } from "./world.ts";

/** A launch with everything looked up, as every one of its instances will have it. */
type Plan = {
  image: Image;
  type: InstanceType;
  subnet: Subnet;
  lifecycle: Lifecycle;
  groupIds: string[];
  publicIp: boolean;
  profileArn?: string;
  tags: Tags;
  settings: Settings;
};

type Settings = RequestLaunchTemplateData & { SubnetId?: string };

/** The request's own parameters stand before the launch template's; tags of both are put together. */
function settingsOf(world: AwsWorld, input: RunInstancesRequest, atMs: number): Settings {
  const { LaunchTemplate: reference, MinCount, MaxCount, ClientToken, DryRun, ...given } = input;
  const base = reference === undefined ? {} : templateData(world, reference, atMs).data;
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const tags = mergedTags(base.TagSpecifications, input.TagSpecifications);
  const settings = { ...base, ...own, TagSpecifications: tags } as Settings;
  if (settings.NetworkInterfaces !== undefined) checkInterfaces(settings);
  return settings;
}

/** An interface that is spelled out has its own subnet and groups, also where it comes from the launch template. */
function checkInterfaces({ SubnetId, SecurityGroupIds }: Settings): void {
  const other = SubnetId !== undefined ? "subnet ID" : SecurityGroupIds !== undefined ? "security groups" : undefined;
  if (other === undefined) return;
  throw new AwsError(
    "InvalidParameterCombination",
    `Network interfaces and an instance-level ${other} may not be specified on the same request`,
  );
}

function mergedTags(
  base: readonly LaunchTemplateTagSpecificationRequest[] = [],
  own: readonly TagSpecification[] = [],
): LaunchTemplateTagSpecificationRequest[] {
  const kinds = [...new Set([...base, ...own].map(({ ResourceType }) => ResourceType))];
  return kinds.map((ResourceType) => {
    const tags = [...base, ...own].filter((one) => one.ResourceType === ResourceType).flatMap(({ Tags }) => Tags ?? []);
    const last = new Map(tags.map(({ Key, Value }) => [Key, Value]));
    return { ResourceType, Tags: [...last].map(([Key, Value]) => ({ Key, Value })) };
  });
}

function planOf(world: AwsWorld, input: RunInstancesRequest, atMs: number): Plan {
  const settings = settingsOf(world, input, atMs);
  if (settings.ImageId === undefined) throw missingParameter("ImageId");
  const image = imageNamed(world, resolveImage(world, settings.ImageId));
  const type = typeNamed(settings.InstanceType ?? "m1.small");
  checkArchitecture(type, image);
  checkUserData(settings.UserData);
  const subnet = subnetOf(world, settings);
  checkOffered(world, type, subnet);
  const nic = settings.NetworkInterfaces?.[0];
  const groups = [...(nic?.Groups ?? []), ...(settings.SecurityGroupIds ?? [])];
  const tags = tagsFor(settings.TagSpecifications, "instance");
  checkMetadataTags(world, settings, tags);
  const profileArn = profileOf(world, settings);
  return {
    image,
    type,
    subnet,
    settings,
    tags,
    lifecycle: settings.InstanceMarketOptions?.MarketType === "spot" ? "spot" : "on-demand",
    groupIds: groups.length > 0 ? groupsForLaunch(world, groups, subnet, atMs) : [defaultGroup(world, subnet.vpcId).id],
    publicIp: nic?.AssociatePublicIpAddress ?? subnet.isPublic,
    ...(profileArn !== undefined && { profileArn }),
  };
}

/** `resolve:ssm:NAME` is looked up by EC2 itself. */
function resolveImage(world: AwsWorld, reference: string): string {
  if (!reference.startsWith("resolve:ssm:")) return reference;
  const value = world.parameters.get(reference.slice("resolve:ssm:".length));
  if (value === undefined) throw invalidValue(`The parameter value ${reference} for imageId is invalid.`);
  return value;
}

function checkArchitecture(type: InstanceType, image: Image): void {
  if (type.architecture === image.architecture) return;
  throw invalidValue(
    `The architecture '${type.architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.`,
  );
}

function checkOffered(world: AwsWorld, { name }: InstanceType, { zone }: Subnet): void {
  if (!world.notOffered.has(`${name} ${zone}`)) return;
  const others = world.account.zones.filter((other) => !world.notOffered.has(`${name} ${other}`));
  throw new AwsError(
    "Unsupported",
    `Your requested instance type (${name}) is not supported in your requested Availability Zone (${zone}). Please retry your request by not specifying an Availability Zone or choosing ${others.join(", ")}.`,
  );
}

function subnetOf(world: AwsWorld, settings: Settings): Subnet {
  const id = settings.NetworkInterfaces?.[0]?.SubnetId ?? settings.SubnetId;
  if (id !== undefined) return subnetNamed(world, id);
  const zone = settings.Placement?.AvailabilityZone;
  const found = [...world.subnets.values()].find((one) => one.isDefault && (zone === undefined || one.zone === zone));
  if (found !== undefined) return found;
  throw new AwsError("MissingInput", "No default subnet for availability zone: 'null'.");
}

/** With tags at the metadata address a key must be a path element there. */
function checkMetadataTags(world: AwsWorld, settings: RequestLaunchTemplateData, tags: Tags): void {
  if ((settings.MetadataOptions?.InstanceMetadataTags ?? world.instanceMetadataTags) !== "enabled") return;
  const bad = [...tags.keys()].find((key) => !/^[0-9a-zA-Z\-_+=,.@:]{1,255}$/.test(key));
  if (bad === undefined) return;
  throw invalidValue(
    `'${bad}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')`,
  );
}

function profileOf(world: AwsWorld, { IamInstanceProfile: given }: RequestLaunchTemplateData): string | undefined {
  if (given === undefined) return undefined;
  const name = given.Name ?? given.Arn?.split("/").at(-1) ?? "";
  const profile = world.instanceProfiles.get(name);
  if (profile !== undefined && profile.visibleAtMs <= world.nowMs()) return profile.arn;
  throw invalidValue(
    given.Name === undefined
      ? `Value (${given.Arn}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN`
      : `Value (${given.Name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`,
  );
}

/** How many there can be now, between MinCount and MaxCount. */
function countFor(world: AwsWorld, { type, subnet, lifecycle }: Plan, min: number, max: number): number {
  const room = roomFor(world, type, subnet.zone, lifecycle);
  const free = freeAddresses(world, subnet);
  if (free < min) {
    throw new AwsError(
      "InsufficientFreeAddressesInSubnet",
      `There are not enough free addresses in subnet '${subnet.id}' to satisfy the requested number of instances.`,
    );
  }
  if (room.quota < min) throw overQuota(lifecycle, room.quotaVcpus);
  const others = world.account.zones.filter((zone) => zone !== subnet.zone);
  if (room.pool < min) throw noCapacity(type.name, subnet.zone, lifecycle, others);
  return Math.min(max, free, room.quota, room.pool, world.faults.given(max));
}

export function runInstances(world: AwsWorld, input: RunInstancesRequest, atMs: number): Reservation {
  const { MinCount: min, MaxCount: max, ClientToken: token } = input;
  if (min === undefined) throw missingParameter("MinCount");
  if (max === undefined) throw missingParameter("MaxCount");
  if (min < 1 || max < min)
    throw invalidValue(`Invalid value for the minimum/maximum count of instances: ${min}/${max}`);
  if (token !== undefined && token.length > 64)
    throw invalidValue("The client token must be no longer than 64 ASCII characters.");
  const mismatch = () =>
    new AwsError(
      "IdempotentParameterMismatch",
      "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    );
  const ids = world.once("RunInstances", token, input, mismatch, () => {
    const plan = planOf(world, input, atMs);
    return launch(world, plan, countFor(world, plan, min, max), token ?? "").map(({ id }) => id);
  });
  const instances = ids.flatMap((id) => world.instances.get(id) ?? []);
  return reservations(world, instances, world.nowMs())[0] ?? {};
}

function launch(world: AwsWorld, plan: Plan, count: number, clientToken: string): Instance[] {
  const reservationId = world.id("r");
  const addresses = takeAddresses(world, plan.subnet, count);
  const visibleAtMs = world.nowMs() + draw(world.random, world.latencies.instanceVisible);
  return addresses.map((privateIp, launchIndex) => {
    const runningAtMs = world.nowMs() + drawMixture(world.random, world.latencies.pendingToRunning);
    const instance: Instance = {
      ...world.made(),
      visibleAtMs,
      id: world.id("i"),
      reservationId,
      launchIndex,
      clientToken,
      launchedWallMs: world.clock.wallMs(),
      runningAtMs,
      shuttingDownAtMs: Number.POSITIVE_INFINITY,
      terminatedAtMs: Number.POSITIVE_INFINITY,
      privateIp,
      ...(plan.publicIp && { publicIp: publicAddress(world) }),
      ...shape(plan),
      disks: [],
      tags: new Map(plan.tags),
    };
    instance.disks = rootDisks(world, instance, plan.image, plan.settings);
    world.instances.set(instance.id, instance);
    const failure = world.faults.failsToStart(instance);
    if (failure !== undefined) failToStart(instance, failure);
    world.bodies.launched(instance);
    return instance;
  });
}

function shape({ image, type, subnet, lifecycle, groupIds, profileArn, settings }: Plan) {
  const { MetadataOptions: metadata } = settings;
  return {
    type: type.name,
    ...(lifecycle === "spot" && { lifecycle: "spot" as const }),
    imageId: image.id,
    architecture: image.architecture,
    rootDevice: image.rootDevice,
    zone: subnet.zone,
    subnetId: subnet.id,
    vpcId: subnet.vpcId,
    securityGroupIds: groupIds,
    ...(settings.UserData !== undefined && { userData: settings.UserData }),
    ...(settings.KeyName !== undefined && { keyName: settings.KeyName }),
    ...(profileArn !== undefined && { profileArn }),
    metadata: { HttpTokens: "optional", HttpEndpoint: "enabled", HttpPutResponseHopLimit: 1, ...metadata } as const,
    shutdownBehavior: settings.InstanceInitiatedShutdownBehavior ?? ("stop" as const),
  };
}

/** It never runs: pending, then terminated, with the reason. */
function failToStart(instance: Instance, reason: StateReason): void {
  instance.shuttingDownAtMs = instance.runningAtMs;
  instance.terminatedAtMs = instance.runningAtMs;
  instance.stateReason = reason;
}

const publicAddress = (world: AwsWorld): string =>
  `203.0.${100 + Math.floor(world.random.next() * 28)}.${1 + Math.floor(world.random.next() * 254)}`;
