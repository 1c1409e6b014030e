import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  type Volume as EbsVolume,
  ModifyVolumeCommand,
} from "@aws-sdk/client-ec2";
import { DroverError } from "../../base/errors.ts";
import type { Volume, VolumeSpec, Volumes } from "../volume.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import { allPages } from "./pages.ts";
import { clusterTag, lentTag, type Tags, tagList, tagsOf } from "./tags.ts";
import { diskRequest } from "./volume-parameters.ts";

const volumeTag = "drover.dev/volume";
const claimTag = "drover.dev/claim";
/** A volume that somebody else made. */
const handleForm = /^vol-[0-9a-f]+$/;
/** AWS takes so many values of a filter. */
const filterMax = 200;
const GiB = 2 ** 30;
const gibOf = ({ sizeBytes }: Pick<VolumeSpec, "sizeBytes">): number => Math.ceil(sizeBytes / GiB);
/** Names that Linux instances may give further disks, by AWS' recommendation. */
const deviceNames = [..."fghijklmnop"].map((letter) => `/dev/sd${letter}`);
const pageSize = 500;

/** EBS volumes of one cluster, and others by their names. */
function openFinder(send: Send, cluster: string) {
  const describe = (filters: Record<string, string[]>, signal?: AbortSignal): Promise<EbsVolume[]> =>
    allPages(
      (NextToken) =>
        send(
          "ec2",
          new DescribeVolumesCommand({
            Filters: Object.entries(filters).map(([Name, Values]) => ({ Name, Values })),
            MaxResults: pageSize,
            ...(NextToken !== undefined && { NextToken }),
          }),
          { signal },
        ),
      ({ Volumes: volumes }) => volumes,
    );
  const ours = { [`tag:${clusterTag}`]: [cluster] };
  return {
    all: (signal?: AbortSignal) => describe({ ...ours, "tag-key": [volumeTag] }, signal),
    on: (machineId: string, signal?: AbortSignal) => describe({ "attachment.instance-id": [machineId] }, signal),
    async named(handles: readonly string[], signal?: AbortSignal): Promise<EbsVolume[]> {
      const names = handles.filter((handle) => handleForm.test(handle));
      const parts = Array.from({ length: Math.ceil(names.length / filterMax) }, (_, index) =>
        describe({ "volume-id": names.slice(index * filterMax, (index + 1) * filterMax) }, signal),
      );
      return (await Promise.all(parts)).flat();
    },
    async find(id: string, signal?: AbortSignal): Promise<EbsVolume | undefined> {
      const filter = handleForm.test(id) ? { "volume-id": [id] } : { ...ours, [`tag:${volumeTag}`]: [id] };
      const found = await describe(filter, signal);
      return found.find(({ State }) => State !== "deleting" && State !== "deleted");
    },
  };
}

/** Names under which machines' further disks are attached. `on`: the volumes that AWS shows on a machine. */
function openDevices(on: (machineId: string, signal?: AbortSignal) => Promise<EbsVolume[]>) {
  /** By volume: of several that are attached at once AWS may not show the others yet. */
  const given = new Map<string, { machineId: string; device: string }>();
  return {
    forget: (id: string) => given.delete(id),
    /** AWS refuses a name that is taken. What the process before this one gave may not be shown yet. */
    async give(machineId: string, id: string, signal?: AbortSignal): Promise<string> {
      const present = await on(machineId, signal);
      const taken = new Set(present.flatMap(({ Attachments }) => Attachments?.map(({ Device }) => Device) ?? []));
      for (const [other, place] of given) if (other !== id && place.machineId === machineId) taken.add(place.device);
      const free = deviceNames.filter((name) => !taken.has(name));
      const [last = "0"] = /[0-9a-f]$/.exec(id) ?? [];
      const device = free[Number.parseInt(last, 16) % Math.max(1, free.length)];
      if (device === undefined) {
        const message = `Machine ${machineId} has ${deviceNames.length} further disks, which is all.`;
        throw new DroverError("CLOUD_QUOTA", message);
      }
      given.set(id, { machineId, device });
      return device;
    },
  };
}

/** PersistentVolumes as EBS volumes: those that are made here by their tags alone, others by their names. */
export function openAwsVolumes(send: Send, cluster: string, userTags: Tags = {}): Volumes {
  const { all, on, named, find } = openFinder(send, cluster);
  const devices = openDevices(on);
  const shown = (volume: EbsVolume) => shownFor(cluster, volume);

  async function create(spec: VolumeSpec, signal?: AbortSignal): Promise<Volume> {
    const gib = gibOf(spec);
    const { tags, ...request } = diskRequest(spec, gib);
    const own = { Name: spec.name, [clusterTag]: cluster, [volumeTag]: spec.id, [claimTag]: spec.name };
    const made = await send(
      "ec2",
      new CreateVolumeCommand({
        AvailabilityZone: spec.zone,
        Size: gib,
        ...request,
        ClientToken: spec.id,
        TagSpecifications: [{ ResourceType: "volume", Tags: tagList({ ...userTags, ...tags, ...own }) }],
      }),
      { signal },
    );
    return shown({ ...made, Tags: tagList(own) });
  }

  async function grow(known: EbsVolume, spec: VolumeSpec, signal?: AbortSignal): Promise<Volume> {
    const Size = gibOf(spec);
    if (Size <= (known.Size ?? 0)) return shown(known);
    await send("ec2", new ModifyVolumeCommand({ VolumeId: known.VolumeId, Size }), { signal });
    return shown({ ...known, Size });
  }

  async function needed(id: string, signal?: AbortSignal): Promise<EbsVolume> {
    const volume = await find(id, signal);
    if (!volume) throw new DroverError("CLOUD_INVALID", `There is no EBS volume for ${id}.`);
    return volume;
  }

  return {
    problem(spec) {
      try {
        diskRequest(spec, gibOf(spec));
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    async ensure(spec, signal) {
      const known = await find(spec.id, signal);
      return known ? await grow(known, spec, signal) : await create(spec, signal);
    },
    async attach(id, machineId, signal) {
      const volume = await needed(id, signal);
      if (placeOf(volume)?.InstanceId === machineId) return;
      refuseAttached(id, volume);
      const Device = await devices.give(machineId, id, signal);
      const { VolumeId } = volume;
      const command = new AttachVolumeCommand({ VolumeId, InstanceId: machineId, Device });
      try {
        await send("ec2", command, { signal }).catch(tellOfTag(volume, cluster));
      } catch (error) {
        devices.forget(id);
        throw error;
      }
    },
    async detach(id, signal) {
      devices.forget(id);
      const volume = await find(id, signal);
      if (!volume) return;
      const place = placeOf(volume);
      if (!place || place.State === "detaching") return;
      const { VolumeId, InstanceId } = place;
      const command = new DetachVolumeCommand({ VolumeId, InstanceId });
      await send("ec2", command, { signal }).catch(tellOfTag(volume, cluster)).catch(unlessDetached);
    },
    async remove(id, signal) {
      const volume = await find(id, signal);
      if (!volume) return;
      refuseAttached(id, volume);
      await send("ec2", new DeleteVolumeCommand({ VolumeId: volume.VolumeId }), { signal }).catch(unlessAbsent);
    },
    async observe(signal) {
      return { volumes: (await all(signal)).map(shown), complete: true };
    },
    find: async (handles, signal) => (await named(handles, signal)).map(shown),
  };
}

const placeOf = ({ Attachments = [] }: EbsVolume) => Attachments.find(({ State }) => State !== "detached");

function refuseAttached(id: string, volume: EbsVolume): void {
  const holder = placeOf(volume)?.InstanceId;
  if (holder === undefined) return;
  throw new DroverError("CLOUD_INVALID", `The EBS volume of ${id} is attached to machine ${holder}.`);
}

/** Of a volume that drover did not make the owner says by a tag who may attach it: the policy asks for it. */
const tellOfTag =
  ({ VolumeId, Tags = [] }: EbsVolume, cluster: string) =>
  (error: unknown): never => {
    const tags = tagsOf(Tags);
    if (!isKind(error, "denied") || tags[lentTag] === cluster || tags[clusterTag] === cluster) throw error;
    const wayOut =
      `Of volumes that drover did not make its policy permits those that are tagged ${lentTag}=${cluster}: ` +
      `\`aws ec2 create-tags --resources ${VolumeId} --tags Key=${lentTag},Value=${cluster}\`.`;
    throw new DroverError(error.code, `${wayOut} ${error.message}`, error.details, error);
  };

function unlessAbsent(error: unknown): void {
  if (!isKind(error, "absent")) throw error;
}

/** AWS calls a volume that is attached nowhere "IncorrectState". */
function unlessDetached(error: unknown): void {
  if (!(error instanceof DroverError) || error.details["awsCode"] !== "IncorrectState") throw error;
}

const placeStates = {
  attaching: "attaching",
  attached: "attached",
  detaching: "detaching",
  busy: "detaching",
} as const;

function stateOf(volume: EbsVolume): Volume["state"] {
  if (volume.State === "creating") return "creating";
  if (volume.State === "deleting" || volume.State === "deleted" || volume.State === "error") return "gone";
  const place = placeOf(volume)?.State;
  return place === undefined || place === "detached" ? "available" : placeStates[place];
}

function shownFor(cluster: string, volume: EbsVolume): Volume {
  const { VolumeId = "", AvailabilityZone = "", Size = 0, CreateTime } = volume;
  const { [clusterTag]: owner, ...tags } = tagsOf(volume.Tags);
  const machineId = placeOf(volume)?.InstanceId;
  const state = stateOf(volume);
  // A Nitro instance shows the volume's id without its dash as the disk's serial number.
  const device = `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VolumeId.replace("-", "")}`;
  return {
    id: (owner === cluster ? tags[volumeTag] : undefined) ?? VolumeId,
    name: tags[claimTag] ?? "",
    handle: VolumeId,
    zone: AvailabilityZone,
    sizeBytes: Size * GiB,
    ...(CreateTime && { madeMs: CreateTime.getTime() }),
    state,
    ...(machineId !== undefined && { machineId }),
    ...(state === "attached" && { device }),
  };
}
