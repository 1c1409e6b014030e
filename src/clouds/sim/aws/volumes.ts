import type {
  CreateVolumeRequest,
  DeleteVolumeRequest,
  DescribeVolumesRequest,
  DescribeVolumesResult,
  ModifyVolumeRequest,
  ModifyVolumeResult,
  Volume as Shown,
} from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError, invalidValue, missingParameter } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { draw } from "./latencies.ts";
import { pageOf } from "./paging.ts";
import { shownTags, type Tags, tagsFor } from "./tags.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

/** A volume's life as moments on the monotonic scale in ms; Infinity: not foreseen. */
export type Volume = Resource & {
  id: string;
  zone: string;
  gib: number;
  type: string;
  iops?: number;
  throughput?: number;
  encrypted: boolean;
  kmsKeyId?: string;
  madeWallMs: number;
  availableAtMs: number;
  deletingAtMs: number;
  goneAtMs: number;
  attachment?: Attachment;
  /** From when on it may be changed again. */
  modifiableAtMs?: number;
  tags: Tags;
};

/** attaching → attached → detaching → none. */
type Attachment = {
  instanceId: string;
  device: string;
  deleteOnTermination: boolean;
  attachedAtMs: number;
  attachWallMs: number;
  detachingAtMs: number;
  detachedAtMs: number;
};

/** GiB that a type may have, and IOPS where they can be given. */
const types: Readonly<Record<string, { gib: readonly [number, number]; iops?: readonly [number, number] }>> = {
  gp2: { gib: [1, 16_384] },
  gp3: { gib: [1, 65_536], iops: [3_000, 80_000] },
  io1: { gib: [4, 16_384], iops: [100, 64_000] },
  io2: { gib: [4, 65_536], iops: [100, 256_000] },
  st1: { gib: [125, 16_384] },
  sc1: { gib: [125, 16_384] },
  standard: { gib: [1, 1_024] },
};

/** Two changes of a volume lie so far apart at least. */
const modificationMs = 6 * 3_600_000;

export function attachmentAt(world: AwsWorld, { attachment }: Volume, atMs: number) {
  if (attachment === undefined) return undefined;
  const endedAtMs = world.instances.get(attachment.instanceId)?.terminatedAtMs ?? Number.POSITIVE_INFINITY;
  if (atMs >= Math.min(attachment.detachedAtMs, endedAtMs)) return undefined;
  const state =
    atMs >= attachment.detachingAtMs
      ? ("detaching" as const)
      : atMs >= attachment.attachedAtMs
        ? ("attached" as const)
        : ("attaching" as const);
  return { ...attachment, state };
}

/** When it was or will be gone; with its instance, if it was made for that. */
function goneAtMs(world: AwsWorld, { attachment, goneAtMs: deletedAtMs }: Volume): number {
  if (!attachment?.deleteOnTermination || Number.isFinite(attachment.detachedAtMs)) return deletedAtMs;
  return Math.min(deletedAtMs, world.instances.get(attachment.instanceId)?.terminatedAtMs ?? deletedAtMs);
}

export function volumeStateAt(world: AwsWorld, volume: Volume, atMs: number) {
  if (atMs >= volume.deletingAtMs) return "deleting" as const;
  if (atMs < volume.availableAtMs) return "creating" as const;
  return attachmentAt(world, volume, atMs) === undefined ? ("available" as const) : ("in-use" as const);
}

const isSeen = (world: AwsWorld, volume: Volume, atMs: number): boolean =>
  visibleAt(atMs)(volume) && atMs < goneAtMs(world, volume);

/** @throws InvalidVolume.NotFound */
export function volumeOf(world: AwsWorld, id: string | undefined, atMs: number): Volume {
  const volume = world.volumes.get(id ?? "");
  if (volume === undefined || !isSeen(world, volume, atMs))
    throw new AwsError("InvalidVolume.NotFound", `The volume '${id}' does not exist.`);
  return volume;
}

function checkShape(type: string, gib: number, iops: number | undefined, throughput: number | undefined): void {
  const limits = types[type];
  if (limits === undefined) throw invalidValue(`Invalid value '${type}' for VolumeType.`);
  if (gib < limits.gib[0] || gib > limits.gib[1])
    throw invalidValue(
      `Volume of ${gib}GiB is outside of the range of ${limits.gib.join(" to ")}GiB for ${type} volumes.`,
    );
  if (iops !== undefined && limits.iops === undefined)
    throw new AwsError("InvalidParameterCombination", `The parameter iops is not supported for ${type} volumes.`);
  if (iops !== undefined && limits.iops && (iops < limits.iops[0] || iops > limits.iops[1]))
    throw invalidValue(`Volume iops of ${iops} is outside of the range of ${limits.iops.join(" to ")}.`);
  if (iops === undefined && /^io/.test(type)) throw missingParameter("iops");
  if (throughput !== undefined && type !== "gp3")
    throw new AwsError("InvalidParameterCombination", `The parameter throughput is not supported for ${type} volumes.`);
}

export function createVolume(world: AwsWorld, input: CreateVolumeRequest): Shown {
  const mismatch = () =>
    new AwsError(
      "IdempotentParameterMismatch",
      "The client token you have provided is associated with a resource with different parameters.",
    );
  const id = world.once("CreateVolume", input.ClientToken, input, mismatch, () => {
    const { AvailabilityZone: zone, Size: gib, VolumeType: type = "gp2", Iops: iops, Throughput: throughput } = input;
    if (zone === undefined) throw missingParameter("availabilityZone");
    if (!world.account.zones.includes(zone))
      throw new AwsError("InvalidZone.NotFound", `The zone '${zone}' does not exist.`);
    if (gib === undefined)
      throw new AwsError("MissingParameter", "The request must contain the parameter size/snapshot");
    checkShape(type, gib, iops, throughput);
    checkQuota(world, gib);
    const volume: Volume = {
      ...world.made(),
      id: world.id("vol"),
      zone,
      gib,
      type,
      ...(iops !== undefined && { iops }),
      ...(throughput !== undefined && { throughput }),
      encrypted: input.Encrypted ?? false,
      ...(input.KmsKeyId !== undefined && { kmsKeyId: input.KmsKeyId }),
      madeWallMs: world.clock.wallMs(),
      availableAtMs: world.nowMs() + draw(world.random, world.latencies.volumeCreate),
      deletingAtMs: Number.POSITIVE_INFINITY,
      goneAtMs: Number.POSITIVE_INFINITY,
      tags: tagsFor(input.TagSpecifications, "volume"),
    };
    world.volumes.set(volume.id, volume);
    return volume.id;
  });
  return shownAt(world, world.volumes.get(id) as Volume, world.nowMs());
}

function checkQuota(world: AwsWorld, gib: number): void {
  const nowMs = world.nowMs();
  const present = [...world.volumes.values()].filter((volume) => nowMs < goneAtMs(world, volume));
  const used = present.reduce((sum, volume) => sum + volume.gib, 0);
  if (used + gib > world.quotas.value("L-7A658B76") * 1_024)
    throw new AwsError("VolumeLimitExceeded", "You have exceeded your maximum gp3 storage limit in this region.");
}

export function modifyVolume(world: AwsWorld, input: ModifyVolumeRequest, atMs: number): ModifyVolumeResult {
  const volume = volumeOf(world, input.VolumeId, atMs);
  const { Size: gib = volume.gib, VolumeType: type = volume.type, Iops: iops, Throughput: throughput } = input;
  const nowMs = world.nowMs();
  if (volumeStateAt(world, volume, nowMs) === "creating")
    throw new AwsError("IncorrectState", `Volume '${volume.id}' is in the 'creating' state.`);
  if (gib < volume.gib) throw invalidValue("New size cannot be smaller than existing size");
  if (nowMs < (volume.modifiableAtMs ?? 0)) {
    throw new AwsError(
      "VolumeModificationRateExceeded",
      "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.",
    );
  }
  checkShape(type, gib, iops ?? (type === volume.type ? volume.iops : undefined), throughput);
  const originalGib = volume.gib;
  Object.assign(volume, {
    gib,
    type,
    ...(iops !== undefined && { iops }),
    ...(throughput !== undefined && { throughput }),
  });
  volume.modifiableAtMs = nowMs + modificationMs;
  return {
    VolumeModification: {
      VolumeId: volume.id,
      ModificationState: "optimizing",
      OriginalSize: originalGib,
      TargetSize: gib,
    },
  };
}

export function deleteVolume(world: AwsWorld, input: DeleteVolumeRequest, atMs: number): object {
  const volume = volumeOf(world, input.VolumeId, atMs);
  const nowMs = world.nowMs();
  const holder = attachmentAt(world, volume, nowMs);
  if (holder !== undefined)
    throw new AwsError("VolumeInUse", `Volume ${volume.id} is currently attached to ${holder.instanceId}`);
  const state = volumeStateAt(world, volume, nowMs);
  if (state === "creating") throw new AwsError("IncorrectState", `Volume '${volume.id}' is in the '${state}' state.`);
  if (state === "deleting") return {};
  volume.deletingAtMs = nowMs;
  volume.goneAtMs = nowMs + draw(world.random, world.latencies.volumeCreate);
  return {};
}

const fieldsAt = (world: AwsWorld, atMs: number): Fields<Volume> => ({
  "volume-id": ({ id }) => [id],
  "availability-zone": ({ zone }) => [zone],
  "volume-type": ({ type }) => [type],
  size: ({ gib }) => [String(gib)],
  encrypted: ({ encrypted }) => [String(encrypted)],
  status: (volume) => [volumeStateAt(world, volume, atMs)],
  "attachment.instance-id": (volume) => [attachmentAt(world, volume, atMs)?.instanceId],
  "attachment.device": (volume) => [attachmentAt(world, volume, atMs)?.device],
  "attachment.status": (volume) => [attachmentAt(world, volume, atMs)?.state],
  "attachment.delete-on-termination": (volume) => [
    String(attachmentAt(world, volume, atMs)?.deleteOnTermination ?? false),
  ],
});

export function describeVolumes(world: AwsWorld, input: DescribeVolumesRequest, atMs: number): DescribeVolumesResult {
  const { VolumeIds: ids, MaxResults: max } = input;
  if (ids !== undefined && max !== undefined)
    throw new AwsError(
      "InvalidParameterCombination",
      "The parameter volumeIds cannot be used with the parameter maxResults",
    );
  const all = () => [...world.volumes.values()].filter((volume) => isSeen(world, volume, atMs));
  const wanted = ids?.map((id) => volumeOf(world, id, atMs)) ?? all();
  const found = wanted.filter(matcher(input.Filters, fieldsAt(world, atMs)));
  const { page, next } = pageOf(found, Math.min(1_000, max ?? 1_000), input.NextToken);
  return { Volumes: page.map((volume) => shownAt(world, volume, atMs)), NextToken: next };
}

function shownAt(world: AwsWorld, volume: Volume, atMs: number): Shown {
  const place = attachmentAt(world, volume, atMs);
  return {
    VolumeId: volume.id,
    AvailabilityZone: volume.zone,
    Size: volume.gib,
    VolumeType: volume.type as NonNullable<Shown["VolumeType"]>,
    ...(volume.iops !== undefined && { Iops: volume.iops }),
    ...(volume.throughput !== undefined && { Throughput: volume.throughput }),
    Encrypted: volume.encrypted,
    ...(volume.kmsKeyId !== undefined && { KmsKeyId: volume.kmsKeyId }),
    CreateTime: dateOf(volume.madeWallMs),
    State: volumeStateAt(world, volume, atMs),
    MultiAttachEnabled: false,
    Attachments:
      place === undefined
        ? []
        : [
            {
              VolumeId: volume.id,
              InstanceId: place.instanceId,
              Device: place.device,
              State: place.state,
              AttachTime: dateOf(place.attachWallMs),
              DeleteOnTermination: place.deleteOnTermination,
            },
          ],
    Tags: shownTags(volume.tags),
  };
}
