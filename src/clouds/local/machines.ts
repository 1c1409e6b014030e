import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Architecture, Launch, Machine, MachineImage, Machines } from "../cloud.ts";
import { localOffer, qemuBytes } from "./capacity.ts";
import type { Holder } from "./holder-client.ts";
import { type GuestImage, guestImageName } from "./image.ts";
import {
  asMachine,
  freeAddress,
  type MachineRecord,
  machineDirectory,
  machineId,
  readRecords,
  removeLeftovers,
  writeRecord,
} from "./machine-record.ts";
import { type Accelerator, machineFiles, shapeOf } from "./qemu.ts";
import { endProcess } from "./save-machine.ts";
import type { SavedMachines } from "./saved-machines.ts";
import { processId, readConsole, startClone, startCold, untilBooted } from "./start-machine.ts";

export type LocalMachinesOptions = {
  /** The cluster's own folder. */
  folder: string;
  holder: Holder;
  image: GuestImage;
  accelerator: Accelerator;
  saved: SavedMachines;
  /** Every machine boots by itself, although a clone would be quicker. */
  cold: boolean;
  clock: Clock;
  log: { info(message: string): void; warn(message: string): void };
};

/** How long a machine that has ended is still shown, and its launch remembered. */
const rememberMs = 3_600_000;

/** The machines of one cluster on this computer; `close` lets go of them and they go on. */
export async function openMachines(o: LocalMachinesOptions): Promise<Machines & { close(): Promise<void> }> {
  const keeper = new Keeper(o, await readRecords(o.folder));
  keeper.resume();
  return {
    image: async (reference, architecture) => guestImage(reference, architecture),
    offers: async () => [await keeper.offer()],
    launch: (launch) => keeper.launch(launch),
    terminate: (ids) => keeper.terminate(ids),
    observe: () => keeper.observe(),
    console: (id) => readConsole(o.folder, id),
    close: () => keeper.close(),
  };
}

/** The one image that this computer builds. */
function guestImage(reference: string, architecture: Architecture): MachineImage {
  if (reference === "debian-12" && architecture === "amd64") {
    return { id: reference, family: "debian", architecture, diskBytesMin: 0 };
  }
  throw new DroverError(
    "CLOUD_INVALID",
    `There is no machine image "${reference}" for ${architecture} on this computer; there is debian-12 for amd64.`,
  );
}

/**
 * Owns the records and the one piece of work that each machine may have under way. A record is on the disk before the
 * thing that it stands for is done, so whoever opens the folder after a crash goes on where this one was.
 */
class Keeper {
  readonly #o: LocalMachinesOptions;
  readonly #records: Map<string, MachineRecord>;
  readonly #work = new Map<string, { abort: AbortController; done: Promise<void> }>();
  /** Starting takes a processor for itself under emulation: more at once would only make each of them late. */
  readonly #turn = pLimit(availableParallelism());
  readonly #writes = new Map<string, Promise<unknown>>();
  #launching: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(o: LocalMachinesOptions, records: readonly MachineRecord[]) {
    this.#o = o;
    this.#records = new Map(records.map((record) => [record.id, record]));
  }

  resume(): void {
    for (const record of this.#records.values()) {
      if (record.phase === "wanted") this.#begin(record.id, (signal) => this.#start(record.id, signal));
      if (record.phase === "ending") this.#begin(record.id, () => this.#end(record.id));
    }
  }

  async offer() {
    const processes = new Map((await this.#o.holder.processes()).map((process) => [process.id, process]));
    const living = [...this.#records.values()].filter(({ phase }) => phase !== "gone");
    return localOffer(
      living.map(({ id, template }) => {
        const process = processes.get(processId(id));
        const { memoryBytes } = shapeOf(this.#o.accelerator, template);
        return { cpuMillis: template.cpuMillis, memoryBytes, ...(process?.running ? { pid: process.pid } : {}) };
      }),
    );
  }

  /** One launch at a time, so that no address and no memory is given twice. */
  launch(launch: Launch): Promise<readonly Machine[]> {
    const result = this.#launching.then(() => this.#launch(launch));
    this.#launching = result.catch(() => undefined);
    return result;
  }

  async #launch(launch: Launch): Promise<readonly Machine[]> {
    const known = [...this.#records.values()].find(({ launchId }) => launchId === launch.id);
    const count = known?.launchCount ?? (await this.#room(launch));
    const machines: Machine[] = [];
    for (let slot = 0; slot < count; slot++) {
      const id = machineId(launch, slot);
      const record = this.#records.get(id) ?? (await this.#want(launch, id, slot, count));
      machines.push(asMachine(record));
    }
    return machines;
  }

  /** How many of the launch's machines this computer can take. */
  async #room({ template, slots }: Launch): Promise<number> {
    if (template.image !== guestImageName || template.architecture !== "amd64") {
      const wanted = `${template.image} for ${template.architecture}`;
      throw new DroverError("CLOUD_INVALID", `Local machines run ${guestImageName} for amd64, not ${wanted}.`);
    }
    const { left } = await this.offer();
    const eachBytes = shapeOf(this.#o.accelerator, template).memoryBytes + qemuBytes;
    const byMemory = Math.floor(left.memoryBytes / eachBytes);
    const byCpu = Math.floor(left.cpuMillis / Math.max(1, template.cpuMillis));
    const count = Math.min(slots.length, byMemory, byCpu);
    if (count > 0) return count;
    const MiB = (bytes: number): number => Math.floor(bytes / 2 ** 20);
    throw new DroverError(
      "CLOUD_CAPACITY",
      `This computer has ${MiB(left.memoryBytes)} MiB and ${left.cpuMillis}m CPU left for machines; ` +
        `one takes ${MiB(eachBytes)} MiB and ${template.cpuMillis}m.`,
      { memoryBytesLeft: left.memoryBytes, cpuMillisLeft: left.cpuMillis },
    );
  }

  async #want(launch: Launch, id: string, slot: number, launchCount: number): Promise<MachineRecord> {
    const address = freeAddress(new Set([...this.#records.values()].map((record) => record.address)));
    if (address === undefined)
      throw new DroverError("CLOUD_CAPACITY", "Every address of the machines' network is taken.");
    const { template, placement, owner, names, slots } = launch;
    const { type, zone } = placement;
    const claim = { owner, templateHash: template.hash, podName: names[slot] ?? "", podUid: slots[slot] ?? "" };
    const made = { id, launchId: launch.id, slot, launchCount, template, type, zone, address, claim };
    const record = await this.#put({ version: 1, ...made, phase: "wanted" });
    this.#begin(id, (signal) => this.#start(id, signal));
    return record;
  }

  async terminate(ids: readonly string[]): Promise<void> {
    await Promise.all(
      ids.map(async (id) => {
        const record = this.#records.get(id);
        if (record === undefined || record.phase === "gone" || record.phase === "ending") return;
        await this.#put({ ...record, phase: "ending" });
        this.#work.get(id)?.abort.abort(new Error("terminated"));
        this.#begin(id, () => this.#end(id));
      }),
    );
  }

  async observe(): Promise<{ machines: readonly Machine[]; complete: boolean }> {
    const processes = await this.#o.holder.processes().catch(() => undefined);
    const running = new Map(processes?.map((process) => [process.id, process]));
    for (const record of processes === undefined ? [] : [...this.#records.values()]) {
      const process = running.get(processId(record.id));
      if (record.phase === "started" && !process?.running) {
        await this.#put({ ...record, phase: "ending", cause: causeOf(process?.exitCode) });
        this.#begin(record.id, () => this.#end(record.id));
      }
      if (record.phase === "gone" && (record.goneAtMs ?? 0) + rememberMs < this.#o.clock.wallMs())
        await this.#forget(record.id);
    }
    return { machines: [...this.#records.values()].map(asMachine), complete: processes !== undefined };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#launching;
    for (const { abort } of this.#work.values()) abort.abort(new Error("closed"));
    await Promise.all([...this.#work.values()].map(({ done }) => done));
  }

  /** Runs `work` behind whatever the machine has under way. */
  #begin(id: string, work: (signal: AbortSignal) => Promise<void>): void {
    if (this.#closed) return;
    const abort = new AbortController();
    const before = this.#work.get(id)?.done;
    const done = (async () => {
      await before;
      try {
        await work(abort.signal);
      } catch (error) {
        // Closed or terminated meanwhile: the record says what is to be done next.
        if (!abort.signal.aborted) await this.#failed(id, error);
      }
    })().finally(() => {
      if (this.#work.get(id)?.done === done) this.#work.delete(id);
    });
    this.#work.set(id, { abort, done });
  }

  async #failed(id: string, error: unknown): Promise<void> {
    const record = this.#records.get(id);
    const cause = error instanceof Error ? error.message : String(error);
    this.#o.log.warn(`machine ${id}: ${cause}`);
    if (record === undefined) return;
    await this.#put({ ...record, phase: "ending", cause: record.cause ?? cause });
    await this.#end(id).catch((problem: unknown) => this.#o.log.warn(`machine ${id} can't be ended: ${problem}`));
  }

  async #start(id: string, signal: AbortSignal): Promise<void> {
    const record = this.#records.get(id);
    if (record?.phase !== "wanted") return;
    const { accelerator, saved, cold } = this.#o;
    const shape = shapeOf(accelerator, record.template);
    if (cold || accelerator !== "tcg") {
      await this.#turn(async () => {
        signal.throwIfAborted();
        await startCold(this.#o, record, shape);
        await this.#started(id);
        if (accelerator === "tcg") await untilBooted(this.#o, id, signal);
      });
      return;
    }
    const from = await saved.ensure(record.template, shape, signal);
    await this.#turn(async () => {
      signal.throwIfAborted();
      await startClone(this.#o, record, shape, from, signal);
      await this.#started(id);
    });
  }

  async #started(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record?.phase === "wanted") await this.#put({ ...record, phase: "started" });
  }

  /** Idempotent: what is there of the machine ends, then its record says so. */
  async #end(id: string): Promise<void> {
    const { holder, clock, folder } = this.#o;
    const record = this.#records.get(id);
    if (record === undefined || record.phase === "gone") return;
    await endProcess(holder, processId(id), clock);
    await holder.removeTap(id);
    await removeLeftovers(folder, id, [machineFiles.console]);
    await this.#put({ ...record, phase: "gone", goneAtMs: clock.wallMs() });
  }

  /** Known at once, and on the disk when it resolves; writes of one record keep their order. */
  async #put(record: MachineRecord): Promise<MachineRecord> {
    this.#records.set(record.id, record);
    const written = (this.#writes.get(record.id) ?? Promise.resolve()).then(() => writeRecord(this.#o.folder, record));
    const settled = written
      .catch(() => undefined)
      .finally(() => {
        if (this.#writes.get(record.id) === settled) this.#writes.delete(record.id);
      });
    this.#writes.set(record.id, settled);
    await written;
    return record;
  }

  async #forget(id: string): Promise<void> {
    await rm(machineDirectory(this.#o.folder, id), { recursive: true, force: true });
    this.#records.delete(id);
  }
}

/** QEMU ends by itself when its guest powers off; anything else was done to it. */
function causeOf(exitCode: number | undefined): string {
  if (exitCode === 0) return "the machine powered itself off";
  if (exitCode === undefined) return "the machine's process is gone";
  return exitCode > 128
    ? `the machine's process was killed by signal ${exitCode - 128}`
    : `QEMU failed with code ${exitCode}`;
}
