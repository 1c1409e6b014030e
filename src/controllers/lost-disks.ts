import type { PersistentVolumeClaim, Pod } from "../api/types.gen.ts";
import type { Volume } from "../clouds/volume.ts";
import { claimNames, handleOf } from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import { timeMs } from "./owned.ts";

/**
 * The disk that a claim of this name had before the store was lost: it is older than the store, and no PersistentVolume
 * stands for it. Of several the one that a machine has, else the last one that was made.
 */
export function lostDiskOf(
  view: View,
  disks: readonly Volume[],
  { metadata }: PersistentVolumeClaim,
): Volume | undefined {
  const name = `${metadata.namespace}/${metadata.name}`;
  const candidates = disks.filter((disk) => disk.name === name && disk.state !== "gone");
  if (candidates.length === 0) return undefined;
  // Every store begins with this namespace.
  const storeMs = timeMs(view.get("namespaces", "", "kube-system")?.metadata.creationTimestamp);
  const known = new Set(view.list("persistentvolumes").map(handleOf));
  return candidates
    .filter(({ madeMs = Number.POSITIVE_INFINITY, handle }) => madeMs < storeMs && !known.has(handle))
    .sort((a, b) => Number(isHeld(b)) - Number(isHeld(a)) || (b.madeMs ?? 0) - (a.madeMs ?? 0))[0];
}

const isHeld = ({ machineId }: Volume): boolean => machineId !== undefined;

/** A machine for the Pod has to wait for this: only then is it known in which zone its disks are. */
export function lostDiskObstacle(view: View, disks: readonly Volume[], pod: Pod): string | undefined {
  for (const name of claimNames(pod).values()) {
    const claim = view.get("persistentvolumeclaims", pod.metadata.namespace ?? "", name);
    const lost = claim && !claim.spec.volumeName && lostDiskOf(view, disks, claim);
    if (lost) return `persistentvolumeclaim "${name}": the disk ${lost.handle}, which it had before, is taken over`;
  }
  return undefined;
}
