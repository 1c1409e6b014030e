import type { KubeObject } from "../api/object.ts";
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "../api/types.gen.ts";
import type { Cloud } from "../clouds/cloud.ts";
import type { Volume, VolumeSpec } from "../clouds/volume.ts";
import { zoneLabel } from "../machines/disks.ts";
import { fileSystemOf } from "../machines/file-systems.ts";
import type { Client } from "../registry/client.ts";
import type { DiskPoll } from "./disk-poll.ts";

/** What is done about disks. */
export type DiskAction =
  /** Makes the disk and the PersistentVolume that stands for it. */
  | { do: "provision"; spec: VolumeSpec; claim: PersistentVolumeClaim; storageClass: StorageClass }
  /** Has the next look at the provider's disks come at once. */
  | { do: "lookForDisks" }
  | { do: "growDisk"; spec: VolumeSpec; storage: string }
  | { do: "attachDisk"; id: string; machineId: string }
  | { do: "detachDisk"; id: string }
  | { do: "removeDisk"; id: string };

export type DiskActOptions = { client: Client; cloud: Pick<Cloud, "volumes">; disks: Pick<DiskPoll, "kick"> };

const manager = { manager: "kube-controller-manager" };

/** Every action may be repeated after a crash. */
export async function actOnDisk(options: DiskActOptions, action: DiskAction, signal: AbortSignal): Promise<void> {
  const { client, disks } = options;
  const { volumes } = options.cloud;
  switch (action.do) {
    case "provision": {
      const disk = await volumes.ensure(action.spec, signal);
      const volume = provisioned(disk, action);
      if (!client.view.get("persistentvolumes", "", action.spec.id)) {
        await client.create("persistentvolumes", volume as PersistentVolume & KubeObject, manager);
      }
      break;
    }
    case "growDisk": {
      await volumes.ensure(action.spec, signal);
      const key = { resource: "persistentvolumes" as const, namespace: "", name: action.spec.id };
      const capacity = { storage: action.storage };
      await client.update(key, (volume) => ({ ...volume, spec: { ...volume.spec, capacity } }), manager);
      break;
    }
    case "lookForDisks":
      break;
    case "attachDisk":
      await volumes.attach(action.id, action.machineId, signal);
      break;
    case "detachDisk":
      await volumes.detach(action.id, signal);
      break;
    case "removeDisk":
      await volumes.remove(action.id, signal);
      break;
  }
  disks.kick();
}

/** The PersistentVolume that stands for a disk which was made for a claim. */
function provisioned(disk: Volume, { spec, claim, storageClass }: DiskAction & { do: "provision" }): PersistentVolume {
  const { namespace, name, uid } = claim.metadata;
  const { provisioner, parameters = {}, mountOptions, reclaimPolicy = "Delete" } = storageClass;
  const { fsType, attributes } = fileSystemOf(parameters);
  const zoneTerm = { matchExpressions: [{ key: zoneLabel, operator: "In", values: [disk.zone] }] };
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: spec.id,
      labels: { [zoneLabel]: disk.zone },
      annotations: { "pv.kubernetes.io/provisioned-by": provisioner },
    },
    spec: {
      capacity: { storage: claim.spec.resources?.requests?.["storage"] ?? String(spec.sizeBytes) },
      accessModes: claim.spec.accessModes,
      volumeMode: claim.spec.volumeMode,
      persistentVolumeReclaimPolicy: reclaimPolicy,
      storageClassName: storageClass.metadata.name,
      ...(mountOptions && { mountOptions }),
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid },
      nodeAffinity: { required: { nodeSelectorTerms: [zoneTerm] } },
      csi: { driver: provisioner, volumeHandle: disk.handle, fsType, volumeAttributes: attributes },
    },
  };
}
