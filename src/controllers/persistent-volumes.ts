import type { KubeObject } from "../api/object.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../api/types.gen.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Volume } from "../clouds/volume.ts";
import {
  affinityZones,
  attachedAnnotation,
  claimNames,
  deviceAnnotation,
  diskUsers,
  diskZoneAnnotation,
  handleOf,
  isMade,
  isProvisioned,
  volumeOf,
} from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { isActive, isSame, keyOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";

export type PersistentVolumeWorld = {
  volume: PersistentVolume;
  claim?: PersistentVolumeClaim | undefined;
  disk?: Volume | undefined;
  /** All was looked at, for this disk too: what is not seen is not there. */
  isCertain: boolean;
  /** It is attached to something that is no machine of the cluster. */
  isStrangers: boolean;
  /** The Pod that is to have the disk, on a machine that runs. */
  consumer?: { pod: Pod; machineId: string } | undefined;
  /** Nothing on the machine that has the disk can write to it any more. */
  letGo: boolean;
  failure?: string | undefined;
};

const source = "attachdetach-controller";
const protection = "kubernetes.io/pv-protection";
const lookAgainMs = 1_000;
const seekAgainMs = 5_000;

export type PersistentVolumeOptions = {
  view: View;
  roster: Pick<Roster, "podUidOf" | "podByUid">;
  poll: Pick<Poll, "sight" | "complete">;
  boxes: Pick<Boxes, "contact">;
  disks: Pick<DiskPoll, "named">;
};

const toKey = (volume: KubeObject) => keyOf("persistentvolumes", volume);

/** PersistentVolumes: their phase, the machine that has their disk, and what becomes of them. */
export const persistentVolumeReconciler = (options: PersistentVolumeOptions): Reconciler<PersistentVolumeWorld> => ({
  name: "persistent-volumes",
  watches: {
    persistentvolumes: (object) => [toKey(object)],
    persistentvolumeclaims: (object) => {
      const { volumeName } = (object as unknown as PersistentVolumeClaim).spec; // By its resource.
      return volumeName ? [{ resource: "persistentvolumes", namespace: "", name: volumeName }] : [];
    },
    pods: (object, view) => volumesOf(object as Pod, view).map(toKey),
  },
  observe({ name }, failure) {
    const { view, disks } = options;
    const volume = view.get("persistentvolumes", "", name);
    if (!volume) return undefined;
    const { claimRef } = volume.spec;
    const named = claimRef && view.get("persistentvolumeclaims", claimRef.namespace ?? "", claimRef.name ?? "");
    const claim = named && named.metadata.uid === claimRef?.uid ? named : undefined;
    const handle = handleOf(volume);
    const { disk, sought } = handle === undefined ? { sought: false } : disks.named(handle);
    return {
      volume,
      claim,
      disk,
      isCertain: sought && options.poll.complete(),
      isStrangers: disk?.machineId !== undefined && isStranger(disk.machineId, options),
      consumer: claim && consumerOf(claim, options),
      letGo: disk?.machineId === undefined || hasLetGo(disk.machineId, options),
      failure,
    };
  },
  plan: planPersistentVolume,
});

const volumesOf = (pod: Pod, view: View): PersistentVolume[] =>
  [...claimNames(pod).values()].flatMap((name) => {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    return (claim && volumeOf(view, claim)) ?? [];
  });

/** The Pod whose machine gets the disk: one that has been assigned to a machine and is not on its way out. */
function consumerOf(claim: PersistentVolumeClaim, { view, poll }: PersistentVolumeOptions) {
  for (const pod of diskUsers(view, claim)) {
    const machineId = pod.spec.nodeName;
    if (machineId === undefined || !isActive(pod)) continue;
    const { machine, gone } = poll.sight(machineId);
    if (!gone && machine?.state === "running") return { pod, machineId };
  }
  return undefined;
}

const isStranger = (machineId: string, { roster, poll }: PersistentVolumeOptions): boolean =>
  poll.sight(machineId).machine === undefined && roster.podUidOf(machineId) === undefined;

/** The machine has ended, or its agent says that everything of the Pod has stopped, unmounted disks included. */
function hasLetGo(machineId: string, { roster, poll, boxes }: PersistentVolumeOptions): boolean {
  if (poll.sight(machineId).gone) return true;
  const contact = boxes.contact(machineId);
  const isStopped = contact?.report?.stopping === true && contact.report.finished;
  const pod = roster.podByUid(roster.podUidOf(machineId) ?? "");
  return isStopped && (pod === undefined || !isActive(pod));
}

/** Why no Pod can have a disk that somebody else made, in one sentence; before a look what the last one said holds. */
function problemOf({ volume, disk, isCertain, isStrangers }: PersistentVolumeWorld): string | undefined {
  const handle = handleOf(volume);
  if (handle === undefined || isMade(volume)) return undefined;
  if (!isCertain) return volume.status?.message;
  if (!disk || disk.state === "gone") {
    const places = "at AWS in this account and region, on this computer among those that drover made and kept";
    return `there is no disk ${handle}: it is looked for ${places}`;
  }
  const zones = affinityZones(volume);
  if (zones && !zones.includes(disk.zone))
    return `its disk ${handle} is in zone ${disk.zone}, and spec.nodeAffinity allows ${zones.join(", ")} only`;
  return isStrangers
    ? `its disk ${handle} is attached to ${disk.machineId}, which is no machine of this cluster: detach it there`
    : undefined;
}

/** As Kubernetes does: what no provisioner is said to have made, nobody deletes. */
const isKept = (volume: PersistentVolume): boolean =>
  volume.spec.persistentVolumeReclaimPolicy === "Delete" && handleOf(volume) !== undefined && !isProvisioned(volume);

function statusOf(world: PersistentVolumeWorld) {
  const { volume, claim } = world;
  const phase = claim ? "Bound" : volume.spec.claimRef?.uid ? "Released" : "Available";
  if (phase !== "Released" || !isKept(volume)) return { phase, message: problemOf(world) };
  const message = `no provisioner made the disk ${handleOf(volume)}, so that it stays: the annotation pv.kubernetes.io/provisioned-by=ebs.csi.aws.com would have it deleted`;
  return { phase: "Failed", message };
}

function planPersistentVolume(world: PersistentVolumeWorld): Plan {
  const { volume, claim } = world;
  const { phase, message } = statusOf(world);
  const { message: said, ...status } = volume.status ?? {};
  if (status.phase !== phase || said !== message) {
    const next = { ...volume, status: { ...status, phase, ...(message !== undefined && { message }) } };
    const reason = phase === "Failed" ? "VolumeFailedDelete" : "FailedAttachVolume";
    const told = message === undefined ? {} : { told: notice((claim ?? volume) as KubeObject, reason, message) };
    return { actions: [{ do: "write", key: toKey(volume), next, subresource: "status", ...told }] };
  }
  const isGoing = volume.metadata.deletionTimestamp !== undefined && !claim;
  if (handleOf(volume) === undefined) return { actions: isGoing ? planUnprotected(volume) : [] };
  const wantsEnd =
    phase === "Released" && volume.spec.persistentVolumeReclaimPolicy === "Delete" && isProvisioned(volume);
  if (wantsEnd || isGoing) return planEnd(world, wantsEnd);
  return planPlace(world);
}

/** Detached from where it is not needed, attached to where it is, and written down where it is. */
function planPlace({ volume, disk, isCertain, consumer, letGo, failure }: PersistentVolumeWorld): Plan {
  if (!isCertain && !isMade(volume)) return { actions: [{ do: "lookForDisks" }], againInMs: seekAgainMs };
  if (!disk) return { actions: [], ...(consumer && { againInMs: lookAgainMs }) };
  const failed = failure === undefined || !consumer ? [] : [tell(consumer.pod, "FailedAttachVolume", failure)];
  const isElsewhere = disk.machineId !== undefined && disk.machineId !== consumer?.machineId;
  const noted = planNote(volume, disk);
  if (isElsewhere && disk.state === "attached") {
    if (letGo) return { actions: [...noted, ...failed, { do: "detachDisk", id: disk.id }], againInMs: lookAgainMs };
    if (!consumer) return { actions: noted, againInMs: lookAgainMs };
    const message = `Multi-Attach error for volume "${volume.metadata.name}" Volume is already used by machine ${disk.machineId}`;
    return { actions: [...noted, tell(consumer.pod, "FailedAttachVolume", message)], againInMs: lookAgainMs };
  }
  if (consumer && disk.state === "available") {
    const { machineId } = consumer;
    return { actions: [...noted, ...failed, { do: "attachDisk", id: disk.id, machineId }], againInMs: lookAgainMs };
  }
  return { actions: noted };
}

/** The Pod's machine is told of the disk when the volume says that it is there; the launcher, in which zone. */
function planNote(volume: PersistentVolume, { state, machineId, device, zone }: Volume): Action[] {
  const isThere = state === "attached" && machineId !== undefined && device !== undefined;
  const present = volume.metadata.annotations ?? {};
  const { [attachedAnnotation]: _, [deviceAnnotation]: __, ...others } = present;
  const annotations: Record<string, string> = {
    ...others,
    ...(isThere && { [attachedAnnotation]: machineId, [deviceAnnotation]: device }),
    ...(!isMade(volume) && { [diskZoneAnnotation]: zone }),
  };
  if (isSame(annotations, present)) return [];
  const next = { ...volume, metadata: { ...volume.metadata, annotations } };
  return [{ do: "write", key: toKey(volume), next }];
}

/** The disk goes before the volume that stands for it. */
function planEnd({ volume, disk, isCertain, letGo, failure }: PersistentVolumeWorld, isDeleted: boolean): Plan {
  const failed = failure === undefined ? [] : [tell(volume, "VolumeFailedDelete", failure)];
  if (isDeleted && !isCertain) return { actions: [{ do: "lookForDisks" }], againInMs: seekAgainMs };
  if (disk && disk.state !== "gone" && isDeleted) {
    if (disk.machineId !== undefined && !letGo) return { actions: [], againInMs: lookAgainMs };
    if (disk.state === "attached")
      return { actions: [...failed, { do: "detachDisk", id: disk.id }], againInMs: lookAgainMs };
    if (disk.state !== "available") return { actions: [], againInMs: lookAgainMs };
    return { actions: [...failed, { do: "removeDisk", id: disk.id }], againInMs: lookAgainMs };
  }
  if (volume.metadata.deletionTimestamp !== undefined) return { actions: planUnprotected(volume) };
  return { actions: [{ do: "delete", key: toKey(volume), uid: volume.metadata.uid ?? "" }] };
}

function planUnprotected(volume: PersistentVolume): Action[] {
  const finalizers = volume.metadata.finalizers ?? [];
  if (!finalizers.includes(protection)) return [];
  const metadata = { ...volume.metadata, finalizers: finalizers.filter((each) => each !== protection) };
  return [{ do: "write", key: toKey(volume), next: { ...volume, metadata } }];
}

const notice = (about: KubeObject, reason: string, message: string): Notice => ({
  about,
  type: "Warning",
  reason,
  message,
  source,
});
const tell = (about: KubeObject, reason: string, message: string): Action => ({
  do: "tell",
  notice: notice(about, reason, message),
});
