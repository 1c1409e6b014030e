import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Machine } from "../cloud.ts";
import type { Volume, VolumeSpec, Volumes } from "../volume.ts";
import { machineDirectory } from "./machine-record.ts";
import { type Monitor, openMonitor } from "./monitor.ts";
import { machineFiles } from "./qemu.ts";
import { runTool } from "./run-tool.ts";

export type LocalVolumesOptions = {
  /** The cluster's folder. */
  folder: string;
  clock: Clock;
  /** A machine as it is now; undefined: it is not known any more. */
  machine: (id: string) => Promise<Machine | undefined>;
};

/** What is noted of a disk, before it is done. */
type Note = {
  version: 1;
  spec: VolumeSpec;
  phase: "creating" | "available" | "attaching" | "attached" | "detaching";
  machineId?: string;
  /** Wall time when it was made. */
  madeMs?: number;
};

const connectMs = 5_000;
const detachPollMs = 200;
const detachMs = 20_000;

/** The notes of all disks of a cluster. */
function openNotes({ folder, machine }: LocalVolumesOptions) {
  const directory = join(folder, "volumes");
  const noteFile = (id: string) => join(directory, `${id}.json`);

  async function put(note: Note): Promise<Note> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(`${noteFile(note.spec.id)}.new`, JSON.stringify(note), { mode: 0o600 });
    await rename(`${noteFile(note.spec.id)}.new`, noteFile(note.spec.id));
    return note;
  }

  /** The note as it is by now: a machine that has ended has no disks. */
  async function current(id: string): Promise<Note | undefined> {
    const text = await readFile(noteFile(id), "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    const note = JSON.parse(text) as Note; // Written above.
    if (note.machineId === undefined) return note;
    const has = await machine(note.machineId);
    return has === undefined || has.state === "gone" ? put(free(note)) : note;
  }

  return {
    put,
    current,
    diskFile: (id: string) => join(directory, `${id}.qcow2`),
    async all(): Promise<Note[]> {
      const names = await readdir(directory).catch(() => [] as string[]);
      const ids = names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
      return (await Promise.all(ids.map(current))).flatMap((note) => note ?? []);
    },
    async found(id: string): Promise<Note> {
      const note = await current(id);
      if (!note) throw new DroverError("CLOUD_INVALID", `There is no disk ${id} on this computer.`);
      return note;
    },
    async forget(id: string): Promise<void> {
      await rm(join(directory, `${id}.qcow2`), { force: true });
      await rm(noteFile(id), { force: true });
    },
  };
}

/** Plugs disks into the QEMU of a machine and takes them out again. */
function openSockets({ folder, clock }: LocalVolumesOptions) {
  async function withMonitor<T>(machineId: string, work: (monitor: Monitor) => Promise<T>): Promise<T> {
    const monitor = await openMonitor(join(machineDirectory(folder, machineId), machineFiles.monitor), connectMs);
    try {
      return await work(monitor);
    } finally {
      monitor.close();
    }
  }
  return {
    plug: (id: string, machineId: string, filename: string) =>
      withMonitor(machineId, async (monitor) => {
        const name = deviceName(id);
        const disk = { driver: "qcow2", "node-name": name, discard: "unmap", file: { driver: "file", filename } };
        await monitor.execute("blockdev-add", disk).catch(unlessThere);
        const device = { driver: "virtio-blk-pci", id: name, drive: name, serial: serialOf(id) };
        await monitor.execute("device_add", device).catch(unlessThere);
      }),
    unplug: (id: string, machineId: string) =>
      withMonitor(machineId, async (monitor) => {
        const name = deviceName(id);
        await monitor.execute("device_del", { id: name }).catch(unlessLeaving);
        const limitMs = clock.monotonicMs() + detachMs;
        while (!(await monitor.execute("blockdev-del", { "node-name": name }).then(() => true, isMissing))) {
          if (clock.monotonicMs() > limitMs)
            throw new DroverError("CLOUD_UNAVAILABLE", `Machine ${machineId} does not let go of disk ${id}.`);
          await clock.sleep(detachPollMs);
        }
      }),
    grow: (id: string, machineId: string, size: number) =>
      withMonitor(machineId, (monitor) => monitor.execute("block_resize", { "node-name": deviceName(id), size })),
  };
}

/** Disks as files of this computer, plugged into running machines. What is on them outlives machines and drover. */
export function openVolumes(options: LocalVolumesOptions): Volumes {
  const { put, current, found, forget, all, diskFile } = openNotes(options);
  const { plug, unplug, grow } = openSockets(options);
  const volumes: Volumes = {
    async ensure(spec) {
      const known = await current(spec.id);
      const bytes = Math.ceil(spec.sizeBytes / 512) * 512;
      if (!known) {
        const note: Note = { version: 1, spec, phase: "creating", madeMs: options.clock.wallMs() };
        await put(note);
        await runTool(["qemu-img", "create", "-q", "-f", "qcow2", diskFile(spec.id), `${bytes}`]);
        return shown(await put(free(note)));
      }
      if (known.phase === "creating") {
        await forget(spec.id);
        return volumes.ensure(spec);
      }
      if (spec.sizeBytes <= known.spec.sizeBytes) return shown(known);
      if (known.machineId === undefined) await runTool(["qemu-img", "resize", "-q", diskFile(spec.id), `${bytes}`]);
      else await grow(spec.id, known.machineId, bytes);
      return shown(await put({ ...known, spec: { ...known.spec, sizeBytes: spec.sizeBytes } }));
    },
    async attach(id, machineId) {
      const note = await found(id);
      if (note.machineId === machineId && note.phase === "attached") return;
      if (note.machineId !== machineId) refuseAttached(note);
      await put({ ...note, machineId, phase: "attaching" });
      await plug(id, machineId, diskFile(id));
      await put({ ...note, machineId, phase: "attached" });
    },
    async detach(id) {
      const note = await found(id);
      if (note.machineId === undefined) return;
      await put({ ...note, phase: "detaching" });
      await unplug(id, note.machineId);
      await put(free(note));
    },
    async remove(id) {
      const note = await current(id);
      if (note) refuseAttached(note);
      await forget(id);
    },
    observe: async () => ({ volumes: (await all()).map(shown), complete: true }),
  };
  return volumes;
}

/** As no machine has it. */
const free = ({ machineId: _, ...note }: Note): Note => ({ ...note, phase: "available" });

function refuseAttached({ spec, machineId }: Note): void {
  if (machineId === undefined) return;
  throw new DroverError("CLOUD_INVALID", `Disk ${spec.id} is attached to machine ${machineId}.`);
}

/** What the guest sees of a disk: at most 20 characters. */
const serialOf = (id: string): string => createHash("sha256").update(id).digest("hex").slice(0, 20);
/** QEMU's names are at most 31 characters and begin with a letter. */
const deviceName = (id: string): string => `d${serialOf(id)}`;

const shown = ({ spec, phase, machineId, madeMs }: Note): Volume => ({
  id: spec.id,
  name: spec.name,
  handle: `${spec.id}.qcow2`,
  zone: spec.zone,
  sizeBytes: spec.sizeBytes,
  ...(madeMs !== undefined && { madeMs }),
  state: phase,
  ...(machineId !== undefined && { machineId }),
  ...(phase === "attached" && { device: `/dev/disk/by-id/virtio-${serialOf(spec.id)}` }),
});

const said = (error: unknown): string => (error instanceof Error ? error.message : "");

function unlessThere(error: unknown): void {
  if (!/[Dd]uplicate/.test(said(error))) throw error;
}

const isMissing = (error: unknown): boolean => /not found|[Ff]ailed to find/.test(said(error));

/** QEMU refuses to ask a guest twice that has not let go yet. */
function unlessLeaving(error: unknown): void {
  if (!isMissing(error) && !/process of unplug/.test(said(error))) throw error;
}
