import { bytes } from "../api/quantity.ts";
import type { PersistentVolumeClaim, Pod, StorageClass } from "../api/types.gen.ts";
import type { Cloud } from "../clouds/cloud.ts";
import type { VolumeSpec } from "../clouds/volume.ts";
import { claimNames, isOwnProvisioner, volumeName } from "../machines/disks.ts";
import { fileSystemOf } from "../machines/file-systems.ts";
import type { View } from "../registry/view.ts";

/** A disk that is to be made, before it is known where. */
type VolumeRequest = Omit<VolumeSpec, "zone">;

export type DiskRequestOptions = { view: View; cluster: string; cloud: Pick<Cloud, "volumes"> };

export const sizeOf = ({ spec }: PersistentVolumeClaim): string => spec.resources?.requests?.["storage"] ?? "0";

export function volumeRequest(
  cluster: string,
  claim: PersistentVolumeClaim,
  { parameters = {} }: StorageClass,
): VolumeRequest {
  const { namespace, name, uid = "" } = claim.metadata;
  return {
    id: volumeName(uid),
    cluster,
    name: `${namespace}/${name}`,
    sizeBytes: bytes(sizeOf(claim)),
    parameters: Object.fromEntries(Object.entries(parameters).filter(([key]) => !/fstype$/i.test(key))),
  };
}

/** Why no disk can be made for the claim, wherever its Pod goes; undefined: nothing is known against it. */
export function diskProblem(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
  { cluster, cloud }: Pick<DiskRequestOptions, "cluster" | "cloud">,
): string | undefined {
  if (!storageClass || !isOwnProvisioner(storageClass.provisioner)) return undefined;
  const { accessModes = [], dataSource, dataSourceRef } = claim.spec;
  const shared = accessModes.find((mode) => mode === "ReadWriteMany" || mode === "ReadOnlyMany");
  if (shared) return `spec.accessModes: ${shared} is not possible: a disk belongs to one machine at a time`;
  const { problem } = fileSystemOf(storageClass.parameters ?? {});
  if (problem !== undefined) return problem;
  const source = dataSource ?? dataSourceRef;
  const field = dataSource ? "dataSource" : "dataSourceRef";
  if (source) return `spec.${field}: drover makes blank disks only, and none from ${source.kind}`;
  return cloud.volumes.problem?.(volumeRequest(cluster, claim, storageClass));
}

/** Why the Pod's disks can't be made: a machine for it would only wait. */
export function disksProblem(pod: Pod, options: DiskRequestOptions): string | undefined {
  const { view } = options;
  for (const name of claimNames(pod).values()) {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    if (!claim || claim.spec.volumeName) continue;
    const storageClass = view.get("storageclasses.storage.k8s.io", "", claim.spec.storageClassName ?? "");
    const problem = diskProblem(claim, storageClass, options);
    if (problem !== undefined) return `persistentvolumeclaim "${name}": ${problem}`;
  }
  return undefined;
}
