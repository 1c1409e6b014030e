import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { MachineTemplate } from "../cloud.ts";
import type { Holder } from "./holder-client.ts";
import { openIdentityPort } from "./identity-port.ts";
import type { GuestImage } from "./image.ts";
import { macOf } from "./machine-record.ts";
import { type Monitor, migrated, openMonitor } from "./monitor.ts";
import { machineFiles, makeOverlay, qemuCommand, qemuVersion, type Shape } from "./qemu.ts";
import { buildOnce, cacheDirectory, inputsHash } from "./rootfs.ts";
import { writeSeededInitrd } from "./seed.ts";

/** A machine that has booted and run cloud-init to its end, kept so that others continue from there. */
export type SavedMachine = {
  directory: string;
  /** All three are never written again; `memory` is mapped by every clone. */
  disk: string;
  memory: string;
  state: string;
  /** Of the saved machine, and so of all its clones: they don't do cloud-init's work again after a reboot. */
  instanceId: string;
};

export type SavedMachines = {
  /** The saved machine of this template and shape, booted and saved now where it isn't yet; `signal` ends the wait. */
  ensure(template: MachineTemplate, shape: Shape, signal: AbortSignal): Promise<SavedMachine>;
  /** Ends what is being saved; nothing of it is left. */
  close(): Promise<void>;
};

type Surrounding = {
  holder: Holder;
  image: GuestImage;
  clock: Clock;
  log: { info(message: string): void; warn(message: string): void };
  /** `host:port` of the registry inside the machines' network. */
  registryMirror: string;
};

/** What all saved machines together may take on the disk; the ones unused for longest go first. */
const cacheBytesMax = 20 * 2 ** 30;
/** No machine gets it, and only one is being saved at a time. */
const buildAddress = "10.90.255.254";

/** The saved machines of this computer; they are shared by its clusters. */
export function openSavedMachines(around: Surrounding): SavedMachines {
  const turn = pLimit(1);
  const closing = new AbortController();
  const building = new Map<string, Promise<SavedMachine>>();
  const begin = (key: string, template: MachineTemplate, shape: Shape): Promise<SavedMachine> => {
    const work = turn(() => ensure(around, key, template, shape, closing.signal)).finally(() => building.delete(key));
    building.set(key, work);
    return work;
  };
  return {
    async ensure(template, shape, signal) {
      const key = inputsHash([template.hash, template.diskBytes, shape, around.image.hash, await qemuVersion()]);
      return unlessAborted(building.get(key) ?? begin(key, template, shape), signal);
    },
    async close() {
      closing.abort(new DroverError("CLOUD_UNAVAILABLE", "drover is ending."));
      await Promise.allSettled(building.values());
    },
  };
}

/** `work`'s outcome, or the abort where that comes first; `work` goes on for others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

async function ensure(
  around: Surrounding,
  key: string,
  template: MachineTemplate,
  shape: Shape,
  signal: AbortSignal,
): Promise<SavedMachine> {
  const root = join(cacheDirectory(), "saved");
  const path = join(root, key);
  if (!existsSync(path)) {
    await makeRoom(root, shape.memoryBytes);
    const progress = (line: string) => around.log.info(`${template.hash}: ${line}`);
    await buildOnce(path, { progress, signal }, (partial) =>
      build(around, describe(partial, key), template, shape, signal),
    );
  }
  const nowSeconds = around.clock.wallMs() / 1000;
  await utimes(path, nowSeconds, nowSeconds);
  return describe(path, key);
}

const describe = (directory: string, key: string): SavedMachine => ({
  directory,
  disk: join(directory, machineFiles.disk),
  memory: join(directory, "memory"),
  state: join(directory, "state"),
  instanceId: `i-${key}`,
});

/** Boots the template as a machine of its own, lets cloud-init end, fetches its images, and saves it. */
async function build(
  around: Surrounding,
  saved: SavedMachine,
  template: MachineTemplate,
  shape: Shape,
  signal: AbortSignal,
): Promise<void> {
  const { holder, image, clock, log } = around;
  const { directory } = saved;
  const id = `save:${saved.instanceId}`;
  const tap = "save";
  await mkdir(directory, { mode: 0o700 });
  const beganMs = clock.monotonicMs();
  const seed = { userData: template.userData, instanceId: saved.instanceId, hostname: "drover-template" };
  await writeSeededInitrd(join(directory, machineFiles.initrd), image.initrd, seed);
  await makeOverlay(saved.disk, image.disk, Math.max(template.diskBytes, image.diskBytes));
  await endProcess(holder, id, clock);
  await holder.addTap(tap);
  try {
    const guest = { id, shape, kernel: image.kernel, address: buildAddress, mac: macOf(buildAddress), tap };
    const argv = qemuCommand({ ...guest, memory: { path: saved.memory, shared: true }, incoming: false });
    await holder.spawn({ id, argv, cwd: directory, logPath: join(directory, "qemu.log") });
    await settle(around, saved, template, signal);
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    const said = `${await tailOf(join(directory, "qemu.log"))}\n${await tailOf(join(directory, machineFiles.console))}`;
    throw new DroverError("CLOUD_UNAVAILABLE", `The machines' template failed: ${reason}\n${said.trim()}`, {}, error);
  } finally {
    await endProcess(holder, id, clock);
    await holder.removeTap(tap);
  }
  const seconds = Math.round((clock.monotonicMs() - beganMs) / 1000);
  log.info(`${template.hash}: booted and saved in ${seconds} s; its machines continue from there`);
}

const tailOf = async (path: string): Promise<string> =>
  (await readFile(path, "utf8").catch(() => "")).slice(-2_000).trim();

/** From a machine that is booting to one whose state lies on the disk. */
async function settle(
  { clock, log, registryMirror }: Surrounding,
  saved: SavedMachine,
  template: MachineTemplate,
  signal: AbortSignal,
): Promise<void> {
  const port = await openIdentityPort(join(saved.directory, machineFiles.identity), clock, signal);
  const monitor = await openMonitor(join(saved.directory, machineFiles.monitor), 10_000, signal);
  try {
    await port.ready();
    log.info(`${template.hash}: cloud-init has ended`);
    if (template.prefetch.length > 0) {
      const problem = await port.fetch(template.prefetch, registryMirror);
      if (problem !== undefined) log.warn(`${template.hash}: images not fetched ahead: ${problem}`);
    }
    await port.run(warmUp(template.prefetch));
    await port.seal();
    await monitor.execute("stop");
    await ignoreMemory(monitor);
    await monitor.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 40 });
    await monitor.execute("migrate", { uri: "exec:cat >state" });
    await migrated(monitor, clock, signal);
  } finally {
    port.close();
    monitor.close();
  }
}

/** The memory is in a file of its own, so it isn't part of the state that is carried. */
export const ignoreMemory = (monitor: Monitor): Promise<unknown> =>
  monitor.execute("migrate-set-capabilities", { capabilities: [{ capability: "x-ignore-shared", state: true }] });

/**
 * Touches what the first connection and the first container of a clone will need, so that its memory holds it already:
 * a container of each image is prepared up to, but not including, the start of its own program.
 */
function warmUp(images: readonly string[]): string {
  const containers = images.map((image) => {
    const word = `'${image.replaceAll("'", "'\\''")}'`;
    return `podman create --pull=never --name warm ${word} && podman init warm; podman rm --force warm`;
  });
  return [...containers, "ssh-keyscan -T 10 -t ed25519 127.0.0.1", "sync"].join("\n");
}

/** Ends a process of the holder and waits until it is gone. */
export async function endProcess(holder: Holder, id: string, clock: Clock): Promise<void> {
  const runs = async () => (await holder.processes()).some((process) => process.id === id && process.running);
  for (let tries = 0; await runs(); tries++) {
    if (tries % 50 === 0) await holder.kill(id, "SIGKILL");
    await clock.sleep(20);
  }
}

/** Lets the saved machines go that were unused for longest until `neededBytes` more fit under the bound. */
async function makeRoom(root: string, neededBytes: number): Promise<void> {
  const names = existsSync(root) ? await readdir(root) : [];
  const found = await Promise.all(
    names
      .filter((name) => /^[0-9a-f]{16}$/.test(name))
      .map(async (name) => {
        const directory = join(root, name);
        const files = await Promise.all((await readdir(directory)).map((file) => stat(join(directory, file))));
        const sizeBytes = files.reduce((sum, { blocks }) => sum + blocks * 512, 0);
        return { directory, sizeBytes, usedMs: (await stat(directory)).mtimeMs };
      }),
  );
  let totalBytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, neededBytes);
  for (const { directory, sizeBytes } of found.sort((a, b) => a.usedMs - b.usedMs)) {
    if (totalBytes <= cacheBytesMax) return;
    // Machines that continue from it hold its files open, so they don't notice.
    await rm(directory, { recursive: true, force: true });
    totalBytes -= sizeBytes;
  }
}
