import type { AttachVolumeRequest, DetachVolumeRequest, VolumeAttachment } from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError, invalidValue, missingParameter } from "./errors.ts";
import { instancesNamed, stateAt } from "./instances.ts";
import { draw } from "./latencies.ts";
import { attachmentAt, type Volume, volumeOf, volumeStateAt } from "./volumes.ts";
import type { AwsWorld } from "./world.ts";

/** Volumes of a Nitro instance, its network interface counted among the places. */
const placesMax = 27;

export function attachVolume(world: AwsWorld, input: AttachVolumeRequest, atMs: number): VolumeAttachment {
  const { InstanceId: instanceId = "", Device: device } = input;
  if (device === undefined) throw missingParameter("device");
  const volume = volumeOf(world, input.VolumeId, atMs);
  const [instance] = instancesNamed(world, [instanceId], atMs);
  const nowMs = world.nowMs();
  if (instance === undefined || !["running", "stopped"].includes(stateAt(instance, nowMs)))
    throw new AwsError("IncorrectState", `Instance '${instanceId}' is not 'running'.`);
  if (instance.zone !== volume.zone) {
    throw new AwsError(
      "InvalidVolume.ZoneMismatch",
      `The volume '${volume.id}' is not in the same availability zone as instance '${instanceId}'`,
    );
  }
  const state = volumeStateAt(world, volume, nowMs);
  if (state === "in-use") throw new AwsError("VolumeInUse", `${volume.id} is already attached to an instance`);
  if (state !== "available") throw new AwsError("IncorrectState", `${volume.id} is not 'available'.`);
  if (instance.disks.some((disk) => disk.device === device)) {
    throw invalidValue(`Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`);
  }
  if (instance.disks.length >= placesMax)
    throw new AwsError("AttachmentLimitExceeded", `Cannot attach more than ${placesMax} volumes to the instance`);
  volume.attachment = {
    instanceId,
    device,
    deleteOnTermination: false,
    attachedAtMs: nowMs + draw(world.random, world.latencies.volumeAttach),
    attachWallMs: world.clock.wallMs(),
    detachingAtMs: Number.POSITIVE_INFINITY,
    detachedAtMs: Number.POSITIVE_INFINITY,
  };
  instance.disks.push({ device, volumeId: volume.id, deleteOnTermination: false });
  return shown(world, volume);
}

/** The disk's place is free from now on; the volume only once it is detached. */
export function detachVolume(world: AwsWorld, input: DetachVolumeRequest, atMs: number): VolumeAttachment {
  const volume = volumeOf(world, input.VolumeId, atMs);
  const nowMs = world.nowMs();
  const place = attachmentAt(world, volume, nowMs);
  const { attachment } = volume;
  if (place === undefined || attachment === undefined)
    throw new AwsError("IncorrectState", `Volume '${volume.id}' is in the 'available' state.`);
  if (input.InstanceId !== undefined && input.InstanceId !== place.instanceId) {
    throw new AwsError(
      "InvalidAttachment.NotFound",
      `The volume '${volume.id}' is not attached to instance '${input.InstanceId}'.`,
    );
  }
  if (place.state === "detaching") return shown(world, volume);
  attachment.detachingAtMs = nowMs;
  attachment.detachedAtMs = nowMs + draw(world.random, world.latencies.volumeDetach);
  const instance = world.instances.get(place.instanceId);
  if (instance !== undefined) instance.disks = instance.disks.filter(({ volumeId }) => volumeId !== volume.id);
  return shown(world, volume, "detaching");
}

function shown(world: AwsWorld, volume: Volume, state?: "detaching"): VolumeAttachment {
  const place = attachmentAt(world, volume, world.nowMs());
  return {
    VolumeId: volume.id,
    InstanceId: volume.attachment?.instanceId,
    Device: volume.attachment?.device,
    State: state ?? place?.state ?? "detached",
    AttachTime: dateOf(volume.attachment?.attachWallMs ?? world.clock.wallMs()),
    DeleteOnTermination: volume.attachment?.deleteOnTermination,
  };
}
