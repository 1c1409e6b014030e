import type { KubeObject } from "../api/object.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../api/types.gen.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Volume } from "../clouds/volume.ts";
import {
  attachedAnnotation,
  claimNames,
  deviceAnnotation,
  diskUsers,
  isOwnVolume,
  volumeOf,
} from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { isActive, keyOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";

export type PersistentVolumeWorld = {
  volume: PersistentVolume;
  claim?: PersistentVolumeClaim | undefined;
  /** drover made it and sees to its disk. */
  isOwn: boolean;
  disk?: Volume | undefined;
  disksSeen: boolean;
  /** The Pod that is to have the disk, on a machine that runs. */
  consumer?: { pod: Pod; machineId: string } | undefined;
  /** Nothing on the machine that has the disk can write to it any more. */
  letGo: boolean;
  failure?: string | undefined;
};

const source = "attachdetach-controller";
const protection = "kubernetes.io/pv-protection";
const lookAgainMs = 1_000;

export type PersistentVolumeOptions = {
  view: View;
  roster: Pick<Roster, "podUidOf" | "podByUid">;
  poll: Pick<Poll, "sight">;
  boxes: Pick<Boxes, "contact">;
  disks: Pick<DiskPoll, "disk" | "complete">;
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
    const disk = disks.disk(name);
    return {
      volume,
      claim,
      isOwn: isOwnVolume(volume),
      disk,
      disksSeen: disks.complete(),
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

/** The machine has ended, or its agent says that everything of the Pod has stopped, unmounted disks included. */
function hasLetGo(machineId: string, { roster, poll, boxes }: PersistentVolumeOptions): boolean {
  if (poll.sight(machineId).gone) return true;
  const contact = boxes.contact(machineId);
  const isStopped = contact?.report?.stopping === true && contact.report.finished;
  const pod = roster.podByUid(roster.podUidOf(machineId) ?? "");
  return isStopped && (pod === undefined || !isActive(pod));
}

function planPersistentVolume(world: PersistentVolumeWorld): Plan {
  const { volume, claim, isOwn } = world;
  const phase = claim ? "Bound" : volume.spec.claimRef?.uid ? "Released" : "Available";
  if (volume.status?.phase !== phase) {
    const next = { ...volume, status: { ...volume.status, phase } };
    return { actions: [{ do: "write", key: toKey(volume), next, subresource: "status" }] };
  }
  const isGoing = volume.metadata.deletionTimestamp !== undefined && !claim;
  if (isGoing && !isOwn) return { actions: planUnprotected(volume) };
  if (!isOwn) return { actions: [] };
  const wantsEnd = phase === "Released" && volume.spec.persistentVolumeReclaimPolicy === "Delete";
  if (wantsEnd || isGoing) return planEnd(world, wantsEnd);
  return planPlace(world);
}

/** Detached from where it is not needed, attached to where it is, and written down where it is. */
function planPlace({ volume, disk, consumer, letGo, failure }: PersistentVolumeWorld): Plan {
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

/** The Pod's machine is told of the disk when the volume says that it is there. */
function planNote(volume: PersistentVolume, { state, machineId, device }: Volume): Action[] {
  const isThere = state === "attached" && machineId !== undefined && device !== undefined;
  const {
    [attachedAnnotation]: attached,
    [deviceAnnotation]: path,
    ...annotations
  } = volume.metadata.annotations ?? {};
  if (isThere ? attached === machineId && path === device : attached === undefined) return [];
  const there = isThere ? { [attachedAnnotation]: machineId, [deviceAnnotation]: device } : {};
  const next = { ...volume, metadata: { ...volume.metadata, annotations: { ...annotations, ...there } } };
  return [{ do: "write", key: toKey(volume), next }];
}

/** The disk goes before the volume that stands for it. */
function planEnd({ volume, disk, disksSeen, letGo, failure }: PersistentVolumeWorld, isDeleted: boolean): Plan {
  const failed = failure === undefined ? [] : [tell(volume, "VolumeFailedDelete", failure)];
  if (!disksSeen) return { actions: [], againInMs: lookAgainMs };
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

const tell = (about: KubeObject, reason: string, message: string): Action => ({
  do: "tell",
  notice: { about, type: "Warning", reason, message, source },
});
