import type { RequestLaunchTemplateData } from "@aws-sdk/client-ec2";
import { AwsError } from "./errors.ts";
import type { Image } from "./images.ts";
import type { Instance } from "./instances.ts";
import { tagsFor } from "./tags.ts";
import type { Volume } from "./volumes.ts";
import type { AwsWorld } from "./world.ts";

/** The disks that come with a launch: the image's root, changed by a mapping of its device, and what else is mapped. */
export function rootDisks(
  world: AwsWorld,
  instance: Instance,
  image: Image,
  settings: RequestLaunchTemplateData,
): Instance["disks"] {
  const mappings = settings.BlockDeviceMappings ?? [];
  const root = mappings.find(({ DeviceName }) => DeviceName === image.rootDevice) ?? { DeviceName: image.rootDevice };
  const others = mappings.filter(({ DeviceName, Ebs }) => DeviceName !== image.rootDevice && Ebs !== undefined);
  const tags = tagsFor(settings.TagSpecifications, "volume");
  return [root, ...others].map(({ DeviceName: device = "", Ebs: ebs }) => {
    const gib = ebs?.VolumeSize ?? image.rootGib;
    if (device === image.rootDevice && gib < image.rootGib) {
      throw new AwsError(
        "InvalidBlockDeviceMapping",
        `Volume of size ${gib}GB is smaller than snapshot '${image.id.replace("ami-", "snap-")}', expect size >= ${image.rootGib}GB`,
      );
    }
    const deleteOnTermination = ebs?.DeleteOnTermination ?? true;
    const volume: Volume = {
      ...world.made(),
      id: world.id("vol"),
      zone: instance.zone,
      gib,
      type: ebs?.VolumeType ?? "gp3",
      ...(ebs?.Iops !== undefined && { iops: ebs.Iops }),
      ...(ebs?.Throughput !== undefined && { throughput: ebs.Throughput }),
      encrypted: ebs?.Encrypted ?? false,
      ...(ebs?.KmsKeyId !== undefined && { kmsKeyId: ebs.KmsKeyId }),
      madeWallMs: world.clock.wallMs(),
      availableAtMs: world.nowMs(),
      deletingAtMs: Number.POSITIVE_INFINITY,
      goneAtMs: Number.POSITIVE_INFINITY,
      attachment: {
        instanceId: instance.id,
        device,
        deleteOnTermination,
        attachedAtMs: world.nowMs(),
        attachWallMs: world.clock.wallMs(),
        detachingAtMs: Number.POSITIVE_INFINITY,
        detachedAtMs: Number.POSITIVE_INFINITY,
      },
      tags: new Map(tags),
    };
    world.volumes.set(volume.id, volume);
    return { device, volumeId: volume.id, deleteOnTermination };
  });
}
