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
  phase: "available" | "attaching" | "attached" | "detaching";
  machineId?: string;
};

const connectMs = 5_000;
const detachPollMs = 200;
const detachMs = 20_000;

/** Disks as files of this computer, plugged into running machines. What is on them outlives machines and drover. */
export function openVolumes({ folder, clock, machine }: LocalVolumesOptions): Volumes {
  const directory = join(folder, "volumes");
  const noteFile = (id: string) => join(directory, `${id}.json`);
  const diskFile = (id: string) => join(directory, `${id}.qcow2`);

  async function readNote(id: string): Promise<Note | undefined> {
    try {
      return JSON.parse(await readFile(noteFile(id), "utf8")) as Note;
    } catch {
      return undefined;
    }
  }

  async function put(note: Note): Promise<Note> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(`${noteFile(note.spec.id)}.new`, JSON.stringify(note), { mode: 0o600 });
    await rename(`${noteFile(note.spec.id)}.new`, noteFile(note.spec.id));
    return note;
  }

  /** The note as it is by now: a machine that has ended has no disks. */
  async function current(id: string): Promise<Note | undefined> {
    const note = await readNote(id);
    if (note?.machineId === undefined) return note;
    const has = await machine(note.machineId);
    return has === undefined || has.state === "gone" ? put({ version: 1, spec: note.spec, phase: "available" }) : note;
  }

  async function found(id: string): Promise<Note> {
    const note = await current(id);
    if (!note) throw new DroverError("CLOUD_INVALID", `There is no disk ${id} on this computer.`);
    return note;
  }

  async function withMonitor<T>(machineId: string, work: (monitor: Monitor) => Promise<T>): Promise<T> {
    const monitor = await openMonitor(join(machineDirectory(folder, machineId), machineFiles.monitor), connectMs);
    try {
      return await work(monitor);
    } finally {
      monitor.close();
    }
  }

  async function unplug({ spec, machineId = "" }: Note): Promise<void> {
    const name = deviceName(spec.id);
    await withMonitor(machineId, async (monitor) => {
      await monitor.execute("device_del", { id: name }).catch(unlessMissing);
      const limitMs = clock.monotonicMs() + detachMs;
      for (;;) {
        const gone = await monitor.execute("blockdev-del", { "node-name": name }).then(() => true, isMissing);
        if (gone) return;
        if (clock.monotonicMs() > limitMs)
          throw new DroverError("CLOUD_UNAVAILABLE", `Machine ${machineId} does not let go of disk ${spec.id}.`);
        await clock.sleep(detachPollMs);
      }
    });
  }

  return {
    async ensure(spec) {
      const known = await current(spec.id);
      const size = `${Math.ceil(spec.sizeBytes / 512) * 512}`;
      if (!known) {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await runTool(["qemu-img", "create", "-q", "-f", "qcow2", diskFile(spec.id), size]);
        return shown(await put({ version: 1, spec, phase: "available" }));
      }
      if (spec.sizeBytes <= known.spec.sizeBytes) return shown(known);
      if (known.machineId === undefined) await runTool(["qemu-img", "resize", "-q", diskFile(spec.id), size]);
      else
        await withMonitor(known.machineId, (monitor) =>
          monitor.execute("block_resize", { "node-name": deviceName(spec.id), size: Number(size) }),
        );
      return shown(await put({ ...known, spec: { ...known.spec, sizeBytes: spec.sizeBytes } }));
    },
    async attach(id, machineId) {
      const note = await found(id);
      if (note.machineId === machineId && note.phase === "attached") return;
      if (note.machineId !== undefined && note.machineId !== machineId)
        throw new DroverError("CLOUD_INVALID", `Disk ${id} is attached to machine ${note.machineId}.`);
      await put({ ...note, machineId, phase: "attaching" });
      const name = deviceName(id);
      await withMonitor(machineId, async (monitor) => {
        const file = { driver: "file", filename: diskFile(id) };
        await monitor
          .execute("blockdev-add", { driver: "qcow2", "node-name": name, discard: "unmap", file })
          .catch(unlessThere);
        await monitor
          .execute("device_add", { driver: "virtio-blk-pci", id: name, drive: name, serial: serialOf(id) })
          .catch(unlessThere);
      });
      await put({ ...note, machineId, phase: "attached" });
    },
    async detach(id) {
      const note = await found(id);
      if (note.machineId === undefined) return;
      await put({ ...note, phase: "detaching" });
      await unplug(note);
      await put({ version: 1, spec: note.spec, phase: "available" });
    },
    async remove(id) {
      const note = await current(id);
      if (!note) return;
      if (note.machineId !== undefined)
        throw new DroverError("CLOUD_INVALID", `Disk ${id} is attached to machine ${note.machineId}.`);
      await rm(diskFile(id), { force: true });
      await rm(noteFile(id), { force: true });
    },
    async observe() {
      const names = await readdir(directory).catch(() => [] as string[]);
      const ids = names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
      const notes = await Promise.all(ids.map(current));
      return { volumes: notes.flatMap((note) => (note ? [shown(note)] : [])), complete: true };
    },
  };
}

/** What the guest sees of a disk: at most 20 characters. */
const serialOf = (id: string): string => createHash("sha256").update(id).digest("hex").slice(0, 20);
/** QEMU's names are at most 31 characters and begin with a letter. */
const deviceName = (id: string): string => `d${serialOf(id)}`;

const shown = ({ spec, phase, machineId }: Note): Volume => ({
  id: spec.id,
  name: spec.name,
  handle: `${spec.id}.qcow2`,
  zone: spec.zone,
  sizeBytes: spec.sizeBytes,
  state: phase,
  ...(machineId !== undefined && { machineId }),
  ...(phase === "attached" && { device: `/dev/disk/by-id/virtio-${serialOf(spec.id)}` }),
});

const said = (error: unknown): string => (error instanceof Error ? error.message : "");

function unlessThere(error: unknown): void {
  if (!/[Dd]uplicate/.test(said(error))) throw error;
}

const isMissing = (error: unknown): boolean => /not found|[Ff]ailed to find/.test(said(error));

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
