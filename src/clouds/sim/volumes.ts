import { DroverError } from "../../base/errors.ts";
import { suffix } from "../../base/random.ts";
import type { Volume, VolumeSpec, Volumes } from "../volume.ts";
import type { World } from "./world.ts";

/** A disk as the moments at which it changes; attached as long as the machine that has it is there. */
export type SimDisk = {
  spec: VolumeSpec;
  handle: string;
  madeWallMs: number;
  readyAtMs: number;
  /** The machine that has it, since when, and until when. */
  place?: { machineId: string; fromMs: number; untilMs: number };
};

const createMs = { p50Ms: 2_000, p99Ms: 10_000 };
const attachMs = { p50Ms: 3_000, p99Ms: 15_000 };
const detachMs = { p50Ms: 6_000, p99Ms: 60_000 };

/** A machine that has ended lets go of its disks. */
function settle(world: World, disk: SimDisk): void {
  const nowMs = world.clock.monotonicMs();
  const { place } = disk;
  if (!place) return;
  const goneAtMs = world.machines.get(place.machineId)?.goneAtMs ?? 0;
  if (Math.min(place.untilMs, goneAtMs) <= nowMs) delete disk.place;
}

function shown(world: World, disk: SimDisk): Volume {
  settle(world, disk);
  const nowMs = world.clock.monotonicMs();
  const { spec, handle, place, madeWallMs: madeMs } = disk;
  const facts = { id: spec.id, name: spec.name, handle, zone: spec.zone, sizeBytes: spec.sizeBytes, madeMs };
  if (nowMs < disk.readyAtMs) return { ...facts, state: "creating" };
  if (!place) return { ...facts, state: "available" };
  const { machineId, fromMs, untilMs } = place;
  if (untilMs !== Number.POSITIVE_INFINITY) return { ...facts, state: "detaching", machineId };
  if (nowMs < fromMs) return { ...facts, state: "attaching", machineId };
  return { ...facts, state: "attached", machineId, device: `/dev/disk/by-id/${handle}` };
}

export function volumesOf(world: World): Volumes {
  const { otherCall } = world.latencies;
  const call = <T>(name: string, signal: AbortSignal | undefined, work: () => T) =>
    world.call(name, otherCall, signal, work);
  const found = (id: string): SimDisk => {
    const disk = world.disks.get(id);
    if (!disk) throw new DroverError("CLOUD_INVALID", `There is no disk ${id}.`);
    settle(world, disk);
    return disk;
  };
  return {
    ensure: (spec, signal) =>
      call("ensureVolume", signal, () => {
        const known = world.disks.get(spec.id);
        const readyAtMs = known?.readyAtMs ?? world.clock.monotonicMs() + world.drawMs(createMs);
        const handle = known?.handle ?? `vol-${suffix(world.random, 10)}`;
        const sizeBytes = Math.max(spec.sizeBytes, known?.spec.sizeBytes ?? 0);
        const madeWallMs = known?.madeWallMs ?? world.clock.wallMs();
        const disk = { ...known, spec: { ...(known?.spec ?? spec), sizeBytes }, handle, madeWallMs, readyAtMs };
        world.disks.set(spec.id, disk);
        world.onChange();
        return shown(world, disk);
      }),
    attach: (id, machineId, signal) =>
      call("attachVolume", signal, () => {
        const disk = found(id);
        const nowMs = world.clock.monotonicMs();
        if (disk.place?.machineId === machineId) return;
        if (disk.place) throw new DroverError("CLOUD_INVALID", `Disk ${id} is attached to ${disk.place.machineId}.`);
        if (nowMs < disk.readyAtMs) throw new DroverError("CLOUD_UNAVAILABLE", `Disk ${id} is still being made.`);
        const machine = world.machines.get(machineId);
        if (machine?.placement.zone !== disk.spec.zone)
          throw new DroverError("CLOUD_INVALID", `Disk ${id} and machine ${machineId} are not in the same zone.`);
        disk.place = { machineId, fromMs: nowMs + world.drawMs(attachMs), untilMs: Number.POSITIVE_INFINITY };
        world.onChange();
      }),
    detach: (id, signal) =>
      call("detachVolume", signal, () => {
        const { place } = found(id);
        if (place?.untilMs === Number.POSITIVE_INFINITY)
          place.untilMs = world.clock.monotonicMs() + world.drawMs(detachMs);
        world.onChange();
      }),
    remove: (id, signal) =>
      call("removeVolume", signal, () => {
        const disk = world.disks.get(id);
        if (!disk) return;
        settle(world, disk);
        if (disk.place) throw new DroverError("CLOUD_INVALID", `Disk ${id} is attached to ${disk.place.machineId}.`);
        world.disks.delete(id);
        world.onChange();
      }),
    observe: (signal) =>
      call("observeVolumes", signal, () => ({
        volumes: [...world.disks.values()].map((disk) => shown(world, disk)),
        complete: !world.faults.incomplete(),
      })),
  };
}
