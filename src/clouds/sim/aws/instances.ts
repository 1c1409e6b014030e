import type {
  DescribeInstancesRequest,
  DescribeInstancesResult,
  InstanceMetadataOptionsRequest,
  Instance as ShownInstance,
  TerminateInstancesRequest,
  TerminateInstancesResult,
} from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError, invalidValue } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { draw } from "./latencies.ts";
import { pageOf } from "./paging.ts";
import type { Lifecycle } from "./pools.ts";
import { shownTags, type Tags } from "./tags.ts";
import { typeNamed } from "./type-table.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

export type StateReason = { code: string; message: string };

/** An instance's life as the moments at which it changes, on the monotonic scale in ms; Infinity: not foreseen. */
export type Instance = Resource & {
  id: string;
  reservationId: string;
  launchIndex: number;
  clientToken: string;
  launchedWallMs: number;
  runningAtMs: number;
  /** It stands still from then on: powered off by itself or by hand. */
  stoppedAtMs?: number;
  shuttingDownAtMs: number;
  terminatedAtMs: number;
  stateReason?: StateReason;
  type: string;
  lifecycle?: "spot";
  /** From when on a spot instance is known to be interrupted. */
  interruptedAtMs?: number;
  imageId: string;
  architecture: "x86_64" | "arm64";
  rootDevice: string;
  zone: string;
  subnetId: string;
  vpcId: string;
  privateIp: string;
  publicIp?: string;
  securityGroupIds: string[];
  /** Base64, as it was given. */
  userData?: string;
  keyName?: string;
  profileArn?: string;
  metadata: InstanceMetadataOptionsRequest;
  shutdownBehavior: "stop" | "terminate";
  disks: { device: string; volumeId: string; deleteOnTermination: boolean }[];
  tags: Tags;
};

/** Terminated instances can be seen for about an hour. */
const terminatedVisibleMs = 3_600_000;

export type InstanceState = "pending" | "running" | "shutting-down" | "terminated" | "stopped";
const stateCodes = { pending: 0, running: 16, "shutting-down": 32, terminated: 48, stopped: 80 } as const;

export function stateAt(instance: Instance, atMs: number): InstanceState {
  if (atMs >= instance.terminatedAtMs) return "terminated";
  if (atMs >= instance.shuttingDownAtMs) return "shutting-down";
  if (atMs >= (instance.stoppedAtMs ?? Number.POSITIVE_INFINITY)) return "stopped";
  return atMs >= instance.runningAtMs ? "running" : "pending";
}

export const lifecycleOf = ({ lifecycle }: Instance): Lifecycle => lifecycle ?? "on-demand";

const isSeen = (instance: Instance, atMs: number): boolean =>
  visibleAt(atMs)(instance) && atMs < instance.terminatedAtMs + terminatedVisibleMs;

/** @throws InvalidInstanceID.Malformed, InvalidInstanceID.NotFound: one bad id fails all */
export function instancesNamed(world: AwsWorld, ids: readonly string[], atMs: number): Instance[] {
  const malformed = ids.find((id) => !/^i-[0-9a-f]{8,17}$/.test(id));
  if (malformed !== undefined) throw new AwsError("InvalidInstanceID.Malformed", `Invalid id: "${malformed}"`);
  const found = ids.map((id) => world.instances.get(id));
  const missing = ids.filter((_, index) => {
    const instance = found[index];
    return instance === undefined || !isSeen(instance, atMs);
  });
  if (missing.length === 1)
    throw new AwsError("InvalidInstanceID.NotFound", `The instance ID '${missing[0]}' does not exist`);
  if (missing.length > 1)
    throw new AwsError("InvalidInstanceID.NotFound", `The instance IDs '${missing.join(", ")}' do not exist`);
  return found as Instance[];
}

const fieldsAt = (atMs: number): Fields<Instance> => ({
  "instance-id": ({ id }) => [id],
  "instance-state-name": (instance) => [stateAt(instance, atMs)],
  "instance-state-code": (instance) => [String(stateCodes[stateAt(instance, atMs)])],
  "instance-type": ({ type }) => [type],
  "instance-lifecycle": ({ lifecycle }) => [lifecycle],
  "availability-zone": ({ zone }) => [zone],
  architecture: ({ architecture }) => [architecture],
  "client-token": ({ clientToken }) => [clientToken],
  "image-id": ({ imageId }) => [imageId],
  "instance.group-id": ({ securityGroupIds }) => securityGroupIds,
  "ip-address": ({ publicIp }) => [publicIp],
  "private-ip-address": ({ privateIp }) => [privateIp],
  "launch-index": ({ launchIndex }) => [String(launchIndex)],
  "reservation-id": ({ reservationId }) => [reservationId],
  "subnet-id": ({ subnetId }) => [subnetId],
  "vpc-id": ({ vpcId }) => [vpcId],
});

export function describeInstances(
  world: AwsWorld,
  input: DescribeInstancesRequest,
  atMs: number,
): DescribeInstancesResult {
  const { InstanceIds: ids, MaxResults: max } = input;
  if (ids !== undefined && max !== undefined) {
    throw new AwsError(
      "InvalidParameterCombination",
      "The parameter instancesSet cannot be used with the parameter maxResults",
    );
  }
  if (max !== undefined && max < 5)
    throw invalidValue(`Value ( ${max} ) for parameter maxResults is invalid. Expecting a value greater than 5.`);
  const seen = ids
    ? instancesNamed(world, ids, atMs)
    : [...world.instances.values()].filter((one) => isSeen(one, atMs));
  const found = seen.filter(matcher(input.Filters, fieldsAt(atMs)));
  const size = ids ? found.length : Math.min(1_000, max ?? 1_000);
  const { page, next } = pageOf(found, size, input.NextToken);
  return { Reservations: reservations(world, page, atMs), NextToken: next };
}

export function reservations(world: AwsWorld, instances: readonly Instance[], atMs: number) {
  const found = new Map<string, ShownInstance[]>();
  for (const instance of instances) {
    const shown = found.get(instance.reservationId) ?? [];
    shown.push(shownAt(world, instance, atMs));
    found.set(instance.reservationId, shown);
  }
  return [...found].map(([id, shown]) => ({
    ReservationId: id,
    OwnerId: world.account.id,
    Groups: [],
    Instances: shown,
  }));
}

const stateShown = (state: InstanceState) => ({ Code: stateCodes[state], Name: state });

/** Addresses are gone with the end; what it was made of stays visible. */
function shownAt(world: AwsWorld, instance: Instance, atMs: number): ShownInstance {
  const state = stateAt(instance, atMs);
  const type = typeNamed(instance.type);
  const ended = state === "terminated";
  const address = ended
    ? {}
    : {
        PrivateIpAddress: instance.privateIp,
        PrivateDnsName: `ip-${instance.privateIp.replaceAll(".", "-")}.ec2.internal`,
        SubnetId: instance.subnetId,
        VpcId: instance.vpcId,
        ...(state !== "pending" && instance.publicIp && { PublicIpAddress: instance.publicIp }),
      };
  return {
    ...address,
    InstanceId: instance.id,
    AmiLaunchIndex: instance.launchIndex,
    ClientToken: instance.clientToken,
    LaunchTime: dateOf(instance.launchedWallMs),
    State: stateShown(state),
    StateTransitionReason:
      instance.stateReason !== undefined && state !== "running" && state !== "pending"
        ? instance.stateReason.message
        : "",
    ...(instance.stateReason !== undefined &&
      (ended || state === "shutting-down") && {
        StateReason: { Code: instance.stateReason.code, Message: instance.stateReason.message },
      }),
    InstanceType: instance.type as NonNullable<ShownInstance["InstanceType"]>,
    ...(instance.lifecycle && { InstanceLifecycle: instance.lifecycle }),
    ImageId: instance.imageId,
    Architecture: instance.architecture,
    RootDeviceName: instance.rootDevice,
    RootDeviceType: "ebs",
    VirtualizationType: "hvm",
    Hypervisor: "xen",
    EbsOptimized: true,
    EnaSupport: true,
    Placement: { AvailabilityZone: instance.zone, Tenancy: "default", GroupName: "" },
    CpuOptions: { CoreCount: Math.max(1, type.vcpus / 2), ThreadsPerCore: type.architecture === "arm64" ? 1 : 2 },
    SecurityGroups: ended
      ? []
      : instance.securityGroupIds.map((id) => ({ GroupId: id, GroupName: world.securityGroups.get(id)?.name })),
    BlockDeviceMappings: ended
      ? []
      : instance.disks.map(({ device, volumeId, deleteOnTermination }) => ({
          DeviceName: device,
          Ebs: { VolumeId: volumeId, Status: "attached", DeleteOnTermination: deleteOnTermination },
        })),
    ...(instance.profileArn && { IamInstanceProfile: { Arn: instance.profileArn, Id: "AIPAEXAMPLEPROFILE000" } }),
    ...(instance.keyName && { KeyName: instance.keyName }),
    MetadataOptions: { ...instance.metadata, State: "applied" },
    Tags: shownTags(instance.tags),
  };
}

/** Terminating what is ending or has ended is a success. */
export function terminateInstances(
  world: AwsWorld,
  input: TerminateInstancesRequest,
  atMs: number,
): TerminateInstancesResult {
  const instances = instancesNamed(world, [...new Set(input.InstanceIds)], atMs);
  const before = instances.map((instance) => stateAt(instance, world.nowMs()));
  for (const instance of instances) {
    endInstance(world, instance, {
      code: "Client.UserInitiatedShutdown",
      message: "Client.UserInitiatedShutdown: User initiated shutdown",
    });
  }
  return {
    TerminatingInstances: instances.map((instance, index) => ({
      InstanceId: instance.id,
      PreviousState: stateShown(before[index] ?? "running"),
      CurrentState: stateShown(stateAt(instance, world.nowMs())),
    })),
  };
}

/** Begins the end, by whomever; an instance that has begun to end goes on as it was. */
export function endInstance(world: AwsWorld, instance: Instance, reason: StateReason): void {
  const nowMs = world.nowMs();
  if (nowMs >= instance.shuttingDownAtMs) return;
  instance.shuttingDownAtMs = nowMs;
  instance.terminatedAtMs = nowMs + draw(world.random, world.latencies.shuttingDown);
  instance.stateReason = reason;
  world.bodies.ending(instance);
}
