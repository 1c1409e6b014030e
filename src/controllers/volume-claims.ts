import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject } from "../api/object.ts";
import { compareQuantities } from "../api/quantity.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from "../api/types.gen.ts";
import type { Cloud } from "../clouds/cloud.ts";
import type { Volume } from "../clouds/volume.ts";
import {
  allowedZones,
  claimNames,
  diskUsers,
  handleOf,
  isMade,
  isOwnProvisioner,
  volumeName,
  volumeOf,
  zoneLabel,
} from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import type { DiskPoll } from "./disk-poll.ts";
import { diskProblem, sizeOf, volumeRequest } from "./disk-request.ts";
import { lostDiskOf } from "./lost-disks.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";

export type VolumeClaimWorld = {
  cluster: string;
  claim: PersistentVolumeClaim;
  /** Bound to it, both ways. */
  volume?: PersistentVolume | undefined;
  /** Not bound to another claim. */
  free: readonly PersistentVolume[];
  storageClass?: StorageClass | undefined;
  /** Pods that need it. */
  users: readonly Pod[];
  /** The zone of the machine that one of them gets. */
  zone?: string | undefined;
  /** Zones there are machines in, for claims that wait for nobody. */
  zones: readonly string[];
  /** What it had before the store was lost. */
  lostDisk?: Volume | undefined;
  /** The provider has a disk for this claim. */
  hasDisk: boolean;
  /** Enough of the provider's disks is known to say that one is not there. */
  disksSeen: boolean;
  /** Why no disk can be made for it at all. */
  problem?: string | undefined;
  failure?: string | undefined;
};

const source = "persistentvolume-controller";
/** Held while the provider may have a disk that no PersistentVolume stands for. */
const diskFinalizer = "drover.dev/disk";
const protection = "kubernetes.io/pvc-protection";
const lookAgainMs = 1_000;

export type VolumeClaimOptions = {
  view: View;
  cluster: string;
  roster: Pick<Roster, "seatOf">;
  disks: Pick<DiskPoll, "disk" | "disks" | "complete">;
  zones: () => readonly string[];
  cloud: Pick<Cloud, "volumes">;
};

/** PersistentVolumeClaims: bound to a volume that fits, or to one that is made for them where their Pod goes. */
export const volumeClaimReconciler = (options: VolumeClaimOptions): Reconciler<VolumeClaimWorld> => ({
  name: "volume-claims",
  watches: {
    persistentvolumeclaims: (object) => [keyOf("persistentvolumeclaims", object)],
    persistentvolumes: (object, view) => claimsFor(object as unknown as PersistentVolume, view), // By its resource.
    "storageclasses.storage.k8s.io": (_, view) => view.list("persistentvolumeclaims").map(toKey),
    pods: (object) =>
      [...claimNames(object as Pod).values()].map((name) => ({
        resource: "persistentvolumeclaims",
        namespace: object.metadata.namespace ?? "",
        name,
      })),
    "launches.drover.dev": (_, view) =>
      view
        .list("persistentvolumeclaims")
        .filter(({ spec }) => !spec.volumeName)
        .map(toKey),
  },
  observe({ namespace, name }, failure) {
    const { view, cluster, roster, disks } = options;
    const claim = view.get("persistentvolumeclaims", namespace, name);
    if (!claim) return undefined;
    const users = diskUsers(view, claim);
    const seats = users.flatMap(({ metadata }) => roster.seatOf(metadata.uid ?? "") ?? []);
    const storageClass = view.get("storageclasses.storage.k8s.io", "", claim.spec.storageClassName ?? "");
    const records = seats.flatMap(({ recordName }) => view.get("launches.drover.dev", "", recordName) ?? []);
    return {
      cluster,
      claim,
      volume: volumeOf(view, claim),
      free: view.list("persistentvolumes").filter(({ spec }) => isFor(spec.claimRef, claim)),
      storageClass,
      users,
      zone: records[0]?.spec.placement.zone,
      zones: options.zones(),
      lostDisk: claim.spec.volumeName ? undefined : lostDiskOf(view, disks.disks(), claim),
      hasDisk: disks.disk(volumeName(claim.metadata.uid ?? "")) !== undefined,
      disksSeen: disks.complete(),
      problem: claim.spec.volumeName ? undefined : diskProblem(claim, storageClass, options),
      failure,
    };
  },
  plan: planVolumeClaim,
});

const toKey = (claim: KubeObject) => keyOf("persistentvolumeclaims", claim);

function claimsFor({ spec }: PersistentVolume, view: View) {
  if (spec.claimRef) {
    const { namespace = "", name = "" } = spec.claimRef;
    return [{ resource: "persistentvolumeclaims", namespace, name }];
  }
  return view
    .list("persistentvolumeclaims")
    .filter((claim) => !claim.spec.volumeName)
    .map(toKey);
}

/** A volume of nobody, or one that names the claim, before its uid is filled in too. */
const isFor = (reference: PersistentVolume["spec"]["claimRef"], { metadata }: PersistentVolumeClaim): boolean =>
  !reference ||
  (reference.namespace === metadata.namespace &&
    reference.name === metadata.name &&
    (reference.uid === undefined || reference.uid === metadata.uid));

function planVolumeClaim(world: VolumeClaimWorld): Plan {
  const { claim, volume, failure } = world;
  if (claim.metadata.deletionTimestamp !== undefined) return planFarewell(world);
  if (volume) return planBound(world, volume);
  if (claim.spec.volumeName) return planNamed(world, claim.spec.volumeName);
  const fitting = smallestFitting(world);
  if (fitting) return { actions: [bindTo(claim, fitting)] };
  const told = failure === undefined ? [] : [tell(claim, "Warning", "ProvisioningFailed", failure)];
  const plan = planProvision(world);
  return { ...plan, actions: [...told, ...plan.actions] };
}

/** A volume that was named but isn't bound back yet: it is taken when nobody else has it. */
function planNamed({ claim, free }: VolumeClaimWorld, name: string): Plan {
  const named = free.find(({ metadata }) => metadata.name === name);
  if (named && named.spec.claimRef?.uid === undefined) {
    const why = misfit(claim, named);
    if (why === undefined) return { actions: [refer(named, claim)] };
    return { actions: [tell(claim, "Warning", "VolumeMismatch", `Cannot bind to requested volume "${name}": ${why}`)] };
  }
  if (claim.status?.phase !== "Bound") return { actions: [] };
  return { actions: [writeStatus(claim, { ...claim.status, phase: "Lost" })] };
}

/** Why a claim can't have a volume, in Kubernetes' words. */
function misfit(claim: PersistentVolumeClaim, { spec }: PersistentVolume): string | undefined {
  const { accessModes = [], storageClassName = "", volumeMode = "Filesystem" } = claim.spec;
  if (compareQuantities(spec.capacity?.["storage"] ?? "0", sizeOf(claim)) < 0) return "requested PV is too small";
  if ((spec.storageClassName ?? "") !== storageClassName) return "storageClassName does not match";
  if ((spec.volumeMode ?? "Filesystem") !== volumeMode) return "incompatible volumeMode";
  return accessModes.every((mode) => spec.accessModes?.includes(mode)) ? undefined : "incompatible accessMode";
}

function smallestFitting({ claim, free }: VolumeClaimWorld): PersistentVolume | undefined {
  const isSelected = claim.spec.selector ? labelSelectorMatcher(claim.spec.selector) : () => true;
  const fits = free.filter((volume) => {
    const { metadata, spec } = volume;
    if (metadata.deletionTimestamp !== undefined) return false;
    if (spec.claimRef?.uid === claim.metadata.uid) return true;
    return isSelected(metadata.labels) && misfit(claim, volume) === undefined;
  });
  const preferred = (volume: PersistentVolume) => (volume.spec.claimRef ? 0 : 1);
  return fits.sort(
    (a, b) =>
      preferred(a) - preferred(b) ||
      compareQuantities(a.spec.capacity?.["storage"] ?? "0", b.spec.capacity?.["storage"] ?? "0"),
  )[0];
}

/** First the volume points to the claim, then the claim to the volume: no two claims get one. */
function bindTo(claim: PersistentVolumeClaim, volume: PersistentVolume): Action {
  if (volume.spec.claimRef?.uid === undefined) return refer(volume, claim);
  const annotations = { ...claim.metadata.annotations, "pv.kubernetes.io/bind-completed": "yes" };
  const finalizers = (claim.metadata.finalizers ?? []).filter((each) => each !== diskFinalizer);
  const metadata = { ...claim.metadata, annotations, finalizers };
  return {
    do: "write",
    key: toKey(claim),
    next: { ...claim, metadata, spec: { ...claim.spec, volumeName: volume.metadata.name } },
  };
}

function refer(volume: PersistentVolume, { metadata }: PersistentVolumeClaim): Action {
  const { namespace, name, uid } = metadata;
  const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid };
  const next = { ...volume, spec: { ...volume.spec, claimRef } };
  return { do: "write", key: keyOf("persistentvolumes", volume), next };
}

function planProvision(world: VolumeClaimWorld): Plan {
  const { claim, storageClass } = world;
  const name = claim.spec.storageClassName;
  const failed = (message: string): Plan => ({ actions: [tell(claim, "Warning", "ProvisioningFailed", message)] });
  if (!name) {
    const message = "no persistent volumes available for this claim and no storage class is set";
    return { actions: [tell(claim, "Normal", "FailedBinding", message)] };
  }
  if (!storageClass) return failed(`storageclass.storage.k8s.io "${name}" not found`);
  if (!isOwnProvisioner(storageClass.provisioner)) {
    const message = `Waiting for a volume to be created by the external provisioner '${storageClass.provisioner}': drover makes disks of ebs.csi.aws.com and drover.dev/disk`;
    return { actions: [tell(claim, "Normal", "ExternalProvisioning", message)] };
  }
  if (world.problem !== undefined) return failed(world.problem);
  if (!world.disksSeen) return { actions: [], againInMs: lookAgainMs };
  const { lostDisk } = world;
  const zone = lostDisk?.zone ?? zoneFor(world);
  if (zone === undefined) {
    const message = "waiting for first consumer to be created before binding";
    return { actions: [tell(claim, "Normal", "WaitForFirstConsumer", message)] };
  }
  if (!claim.metadata.finalizers?.includes(diskFinalizer)) {
    const finalizers = [...(claim.metadata.finalizers ?? []), diskFinalizer];
    return { actions: [writeMetadata(claim, finalizers)] };
  }
  const spec = { ...volumeRequest(world.cluster, claim, storageClass), zone };
  const again = { againInMs: lookAgainMs * 10 };
  if (!lostDisk) return { actions: [{ do: "provision", spec, claim, storageClass }], ...again };
  const told = `The disk ${lostDisk.handle} of ${spec.name}, which is older than drover's own data, is taken over`;
  const taken: Action = { do: "provision", spec: { ...spec, id: lostDisk.id }, claim, storageClass };
  return { actions: [tell(claim, "Normal", "DiskTakenOver", told), taken], ...again };
}

function zoneFor({ storageClass, zone, zones }: VolumeClaimWorld): string | undefined {
  if (storageClass?.volumeBindingMode === "WaitForFirstConsumer") return zone;
  return zone ?? allowedZones(storageClass)?.[0] ?? zones[0];
}

/** Its phase, its size, and the growth that was asked for. */
function planBound(world: VolumeClaimWorld, volume: PersistentVolume): Plan {
  const { claim, storageClass, cluster, failure } = world;
  const capacity = volume.spec.capacity ?? {};
  const isLarger = compareQuantities(sizeOf(claim), capacity["storage"] ?? "0") > 0;
  const zone = volume.metadata.labels?.[zoneLabel] ?? "";
  if (isLarger && storageClass?.allowVolumeExpansion && isMade(volume)) {
    const told = failure === undefined ? [] : [tell(claim, "Warning", "VolumeResizeFailed", failure)];
    const spec = { ...volumeRequest(cluster, claim, storageClass), zone };
    return { actions: [...told, { do: "growDisk", spec, storage: sizeOf(claim) }] };
  }
  const handle = handleOf(volume) ?? "its storage";
  const byHand = `drover grows only disks that it made: grow ${handle} by hand, then set spec.capacity of the PersistentVolume "${volume.metadata.name}"`;
  const told = isLarger && !isMade(volume) ? [tell(claim, "Warning", "VolumeResizeFailed", byHand)] : [];
  const status = { ...claim.status, phase: "Bound", accessModes: volume.spec.accessModes, capacity };
  return { actions: [...told, ...(isSame(status, claim.status) ? [] : [writeStatus(claim, status)])] };
}

/** A claim goes when no Pod needs it any more; a disk that was made for it but never bound goes first. */
function planFarewell(world: VolumeClaimWorld): Plan {
  const { claim, users, hasDisk, disksSeen } = world;
  const finalizers = claim.metadata.finalizers ?? [];
  if (users.length > 0) return { actions: [] };
  if (finalizers.includes(diskFinalizer)) {
    if (!disksSeen) return { actions: [], againInMs: lookAgainMs };
    const id = volumeName(claim.metadata.uid ?? "");
    const isBound = world.free.some(({ metadata }) => metadata.name === id);
    if (hasDisk && !isBound) return { actions: [{ do: "removeDisk", id }], againInMs: lookAgainMs };
    return { actions: [writeMetadata(claim, without(finalizers, diskFinalizer))] };
  }
  return { actions: finalizers.includes(protection) ? [writeMetadata(claim, without(finalizers, protection))] : [] };
}

const without = (finalizers: readonly string[], name: string): string[] => finalizers.filter((each) => each !== name);

const writeMetadata = (claim: PersistentVolumeClaim, finalizers: string[]): Action => ({
  do: "write",
  key: toKey(claim),
  next: { ...claim, metadata: { ...claim.metadata, finalizers } },
});

const writeStatus = (claim: PersistentVolumeClaim, status: object): Action => ({
  do: "write",
  key: toKey(claim),
  next: { ...claim, status },
  subresource: "status",
});

const tell = (about: PersistentVolumeClaim, type: "Normal" | "Warning", reason: string, message: string): Action => ({
  do: "tell",
  notice: { about, type, reason, message, source },
});
