import { bytes } from "../api/quantity.ts";
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection } from "../api/types.gen.ts";
import type { BoundFile, BoundVolume } from "../clouds/box.ts";
import { attachedAnnotation, claimNames, deviceAnnotation, volumeOf } from "./disks.ts";
import { fieldValue, resourceValue } from "./fields.ts";
import { fileSystemNamed, formatOptions } from "./file-systems.ts";
import { type BindingWorld, contentsOf, NotReadyToBind } from "./world.ts";

const defaultMode = 0o644;

/** A volume that can't be made yet, in the kubelet's words. */
type Problem = { name: string; message: string };

/** All volumes of the Pod that can be made now, and what is wrong with the others. */
export function resolveVolumes(world: BindingWorld): { volumes: BoundVolume[]; problems: Problem[] } {
  const volumes: BoundVolume[] = [];
  const problems: Problem[] = [];
  for (const volume of world.pod.spec.volumes ?? []) {
    try {
      volumes.push(resolveVolume(world, volume));
    } catch (error) {
      if (!(error instanceof NotReadyToBind)) throw error;
      problems.push({ name: volume.name, message: error.message });
    }
  }
  return { volumes, problems };
}

/** The volumes of the Pod whose files may change while it runs, with the files as they are now. */
export const volumesFor = (world: BindingWorld): BoundVolume[] =>
  resolveVolumes(world).volumes.filter(({ kind }) => kind === "files");

function resolveVolume(world: BindingWorld, volume: Volume): BoundVolume {
  const { name, emptyDir, hostPath } = volume;
  const claim = claimNames(world.pod).get(name);
  if (claim !== undefined) return disk(world, volume, claim);
  if (hostPath) return { name, kind: "host", path: hostPath.path };
  if (emptyDir) {
    const medium = emptyDir.medium === "Memory" ? "memory" : "disk";
    return { name, kind: "empty", medium, ...(emptyDir.sizeLimit && { sizeBytes: bytes(emptyDir.sizeLimit) }) };
  }
  return { name, kind: "files", files: volumeFiles(world, volume) };
}

/** The disk of a claim, once it is attached to this machine. */
function disk({ view, pod, node }: BindingWorld, volume: Volume, claimName: string): BoundVolume {
  const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "default", claimName);
  if (!claim) throw new NotReadyToBind(`persistentvolumeclaim "${claimName}" not found`);
  const bound = volumeOf(view, claim);
  const { [attachedAnnotation]: machineId, [deviceAnnotation]: device } = bound?.metadata.annotations ?? {};
  if (machineId !== node || device === undefined) {
    throw new NotReadyToBind(`the disk of persistentvolumeclaim "${claimName}" is not attached to ${node} yet`);
  }
  const { csi, awsElasticBlockStore: ebs, mountOptions = [] } = bound?.spec ?? {};
  const fsType = fileSystemNamed(csi?.fsType ?? ebs?.fsType);
  const format = formatOptions(fsType, csi?.volumeAttributes);
  return {
    name: volume.name,
    kind: "disk",
    device,
    fsType,
    ...(format.length > 0 && { format }),
    ...(mountOptions.length > 0 && { mount: mountOptions }),
    readOnly: [volume.persistentVolumeClaim, csi, ebs].some((each) => each?.readOnly === true),
    ...(claim.spec.volumeMode === "Block" && { block: true }),
  };
}

function volumeFiles(world: BindingWorld, { name, configMap, secret, downwardAPI, projected }: Volume): BoundFile[] {
  if (configMap) return objectFiles(world, "configmap", configMap, configMap.defaultMode ?? defaultMode);
  if (secret) {
    const { secretName, ...rest } = secret;
    return objectFiles(world, "secret", { ...rest, name: secretName }, secret.defaultMode ?? defaultMode);
  }
  if (downwardAPI) return downwardFiles(world, downwardAPI.items ?? [], downwardAPI.defaultMode ?? defaultMode);
  if (!projected) throw new NotReadyToBind(`volume "${name}" is of a kind that drover cannot mount`);
  const files = (projected.sources ?? []).flatMap((source) =>
    projectedFiles(world, source, projected.defaultMode ?? defaultMode),
  );
  return [...new Map(files.map((file) => [file.path, file])).values()];
}

function projectedFiles(world: BindingWorld, source: VolumeProjection, mode: number): BoundFile[] {
  if (source.configMap) return objectFiles(world, "configmap", source.configMap, mode);
  if (source.secret) return objectFiles(world, "secret", source.secret, mode);
  if (source.downwardAPI) return downwardFiles(world, source.downwardAPI.items ?? [], mode);
  const token = source.serviceAccountToken;
  if (token) return [file(token.path, world.tokenFor(token), mode)];
  throw new NotReadyToBind("a projected volume has a source that drover cannot mount");
}

type Source = { name?: string | undefined; items?: KeyToPath[] | undefined; optional?: boolean | undefined };

function objectFiles(world: BindingWorld, kind: "configmap" | "secret", source: Source, mode: number): BoundFile[] {
  const { name = "", items, optional = false } = source;
  const contents = contentsOf(world, kind, name);
  if (!contents) {
    if (optional) return [];
    throw new NotReadyToBind(`${kind} "${name}" not found`);
  }
  if (!items) return [...contents].map(([key, content]) => file(key, content, mode));
  return items.flatMap((item) => {
    const content = contents.get(item.key);
    if (content) return [file(item.path, content, item.mode ?? mode)];
    if (optional) return [];
    throw new NotReadyToBind(`${kind} references non-existent config key: ${item.key}`);
  });
}

const downwardFiles = (world: BindingWorld, items: readonly DownwardAPIVolumeFile[], mode: number): BoundFile[] =>
  items.map((item) => {
    const value = item.fieldRef
      ? fieldValue(world, item.fieldRef.fieldPath)
      : item.resourceFieldRef
        ? resourceValue(world, item.resourceFieldRef)
        : "";
    return file(item.path, value, item.mode ?? mode);
  });

const file = (path: string, content: string | Buffer, mode: number): BoundFile => ({
  path,
  mode,
  contentBase64: Buffer.from(content).toString("base64"),
});
