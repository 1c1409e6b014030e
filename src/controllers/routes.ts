import { handleOf, volumeName } from "../machines/disks.ts";
import { frontendResource, recordKey } from "./frontend.ts";
import { launcherKey } from "./launcher.ts";
import { prune } from "./memory.ts";
import { keyOf } from "./owned.ts";
import { podOn } from "./pods.ts";
import type { PollChange } from "./poll.ts";
import type { Parts, startReconcilers } from "./reconcilers.ts";
import { strangersKey } from "./strangers.ts";

/** What news from the provider and the machines queues. */
export function openRoutes(
  { view, roster, poll, disks, boxes, memory, clock }: Parts,
  to: ReturnType<typeof startReconcilers>,
) {
  const nodeKey = (name: string) => ({ resource: "nodes", namespace: "", name });

  function sighted(machineId: string): void {
    to.nodes.add(nodeKey(machineId));
    const uid = roster.podUidOf(machineId) ?? "";
    const name = roster.seatOf(uid)?.recordName ?? poll.sight(machineId).machine?.launchId;
    if (name) to.launches.add({ resource: "launches.drover.dev", namespace: "", name });
    seenDisksOf(machineId);
    const pod = roster.podByUid(uid);
    if (!pod) return;
    to.pods.add(keyOf("pods", pod));
    to.services.changed("pods", pod);
    to.ingresses.changed("pods", pod);
  }

  function seenDisk(id: string): void {
    const handle = disks.disk(id)?.handle ?? id;
    to.persistentVolumes.add({ resource: "persistentvolumes", namespace: "", name: id });
    for (const volume of view.list("persistentvolumes")) {
      if (handleOf(volume) === handle) to.persistentVolumes.add(keyOf("persistentvolumes", volume));
    }
    for (const claim of view.list("persistentvolumeclaims")) {
      if (volumeName(claim.metadata.uid ?? "") === id) to.volumeClaims.add(keyOf("persistentvolumeclaims", claim));
    }
  }
  const seenDisksOf = (machineId: string) => {
    for (const disk of disks.disks()) if (disk.machineId === machineId) seenDisk(disk.id);
  };

  return {
    seenDisks(ids: readonly string[]): void {
      for (const id of ids) seenDisk(id);
      if (ids.length === 0) for (const { metadata } of view.list("persistentvolumes")) seenDisk(metadata.name);
    },
    /** A machine's inside has changed. */
    heard(machineId: string): void {
      seenDisksOf(machineId);
      for (const key of podOn(roster, machineId)) to.pods.add(key);
      to.nodes.add(nodeKey(machineId));
    },
    polled({ machineIds, balancerIds, targetIds }: PollChange): void {
      for (const machineId of machineIds) sighted(machineId);
      if (machineIds.length > 0) {
        to.launcher.add(launcherKey);
        to.strangers.add(strangersKey);
      }
      prune(memory, (id) => roster.podUidOf(id) !== undefined, clock.wallMs());
      const running = poll.machines().filter(({ state }) => state === "running");
      boxes.follow(running.filter(({ id }) => roster.podUidOf(id) !== undefined));
      for (const id of balancerIds) {
        const record = view.get(frontendResource, "", id);
        if (!record) continue;
        for (const key of recordKey("ingress", record)) to.ingresses.add(key);
        for (const key of recordKey("service", record)) {
          to.services.add(key);
          to.names.add(key);
        }
      }
      for (const machineId of targetIds) for (const key of podOn(roster, machineId)) to.pods.add(key);
    },
  };
}
