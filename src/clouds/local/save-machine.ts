import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { DroverError, isCode } from "../../base/errors.ts";
import type { MachineTemplate } from "../cloud.ts";
import type { Holder, Log } from "./holder-client.ts";
import { makeHostKey } from "./host-key.ts";
import { type IdentityPort, openIdentityPort } from "./identity-port.ts";
import type { GuestImage } from "./image.ts";
import { macOf } from "./machine-record.ts";
import { type Monitor, migrated, openMonitor } from "./monitor.ts";
import { machineFiles, makeOverlay, qemuCommand, type Shape } from "./qemu.ts";
import { runTool } from "./run-tool.ts";
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

export type Saving = {
  holder: Holder;
  image: GuestImage;
  clock: Clock;
  log: Log;
  /** `host:port` of the registry inside the machines' network. */
  registryMirror: string;
  /** What an image's name stands for now, where that is known: an image loaded anew under its old name is another. */
  digestOf(reference: string): string | undefined;
};

/** No machine gets it, and only one is being saved at a time. */
const buildAddress = "10.90.255.254";
const tap = "save";
const processId = "save";

/** The files of a saved machine that lies in `directory`. */
export const savedIn = (directory: string, instanceId: string): SavedMachine => ({
  directory,
  disk: join(directory, machineFiles.disk),
  memory: join(directory, "memory"),
  state: join(directory, "state"),
  instanceId,
});

/**
 * Boots a machine of the template, lets cloud-init end, and saves it into `saved`, whose directory must not exist.
 * @throws CLOUD_UNAVAILABLE with the end of the console
 */
export async function bootAndSave(
  around: Saving,
  saved: SavedMachine,
  template: MachineTemplate,
  shape: Shape,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(saved.directory, { mode: 0o700 });
  await makeOverlay(saved.disk, around.image.disk, Math.max(template.diskBytes, around.image.diskBytes));
  await whileRunning(around, saved, { template, shape, incoming: false, signal }, async (port) => {
    await port.ready();
    await port.run(warmUp);
  });
}

/**
 * Continues from `parent`, fetches the template's images, and saves the machine with them into `saved`.
 * @throws CLOUD_UNAVAILABLE, BOX_REFUSED (an image can't be fetched)
 */
export async function fetchAndSave(
  around: Saving,
  saved: SavedMachine,
  parent: SavedMachine,
  template: MachineTemplate,
  shape: Shape,
  signal: AbortSignal,
): Promise<void> {
  const { clock, registryMirror } = around;
  await mkdir(saved.directory, { mode: 0o700 });
  await copyFile(parent.disk, saved.disk);
  await runTool(["cp", "--sparse=always", "--reflink=auto", parent.memory, saved.memory], { signal });
  await whileRunning(around, saved, { template, shape, incoming: true, signal }, async (port, monitor) => {
    await resume(monitor, parent.state, clock, signal);
    const hostKey = makeHostKey("root@drover-template");
    const network = { address: buildAddress, mac: macOf(buildAddress) };
    await port.become({ hostname: "drover-template", ...network, hostKey, stay: true });
    await port.fetch(template.prefetch, registryMirror);
    await port.run("sync");
  });
}

/** Lets a QEMU that waits for it continue from a saved state. */
export async function resume(monitor: Monitor, state: string, clock: Clock, signal: AbortSignal): Promise<void> {
  await ignoreMemory(monitor);
  await monitor.execute("migrate-incoming", { uri: `exec:cat '${state}'` });
  await migrated(monitor, clock, signal);
  await monitor.execute("cont");
}

/** The memory is in a file of its own, so it isn't part of the state that is carried. */
const ignoreMemory = (monitor: Monitor): Promise<unknown> =>
  monitor.execute("migrate-set-capabilities", { capabilities: [{ capability: "x-ignore-shared", state: true }] });

/** Touches what the first connection and the first container of a clone will need, so that its memory holds it already. */
const warmUp = [
  "podman info",
  "conmon --version",
  "crun --version",
  "ssh-keyscan -T 10 -t ed25519 127.0.0.1",
  "cat /usr/share/containers/seccomp.json /usr/bin/podman",
  "sync",
]
  .map((command) => `${command} >/dev/null 2>&1`)
  .join("\n");

/** Starts the machine that is to be saved, has `prepare` done in it, and saves it; its QEMU is gone in any case. */
async function whileRunning(
  around: Saving,
  saved: SavedMachine,
  o: { template: MachineTemplate; shape: Shape; incoming: boolean; signal: AbortSignal },
  prepare: (port: IdentityPort, monitor: Monitor) => Promise<void>,
): Promise<void> {
  const { holder, image, clock } = around;
  const { directory, memory, instanceId } = saved;
  const { template, shape, incoming, signal } = o;
  const seed = { userData: template.userData, instanceId, hostname: "drover-template" };
  await writeSeededInitrd(join(directory, machineFiles.initrd), image.initrd, seed);
  await endProcess(holder, processId, clock);
  await holder.addTap(tap);
  const address = { address: buildAddress, mac: macOf(buildAddress), tap };
  const guest = { id: "template", shape, kernel: image.kernel, ...address, incoming };
  const argv = qemuCommand({ ...guest, memory: { path: memory, shared: true } });
  try {
    await holder.spawn({ id: processId, argv, cwd: directory, logPath: join(directory, "qemu.log") });
    await prepareAndSave(saved, clock, signal, prepare);
  } catch (error) {
    signal.throwIfAborted();
    if (isCode(error, "BOX_REFUSED")) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const said = `${await tailOf(join(directory, "qemu.log"))}\n${await tailOf(join(directory, machineFiles.console))}`;
    throw new DroverError("CLOUD_UNAVAILABLE", `The machines' template failed: ${reason}\n${said.trim()}`, {}, error);
  } finally {
    await endProcess(holder, processId, clock);
    await holder.removeTap(tap);
  }
}

async function prepareAndSave(
  saved: SavedMachine,
  clock: Clock,
  signal: AbortSignal,
  prepare: (port: IdentityPort, monitor: Monitor) => Promise<void>,
): Promise<void> {
  const port = await openIdentityPort(join(saved.directory, machineFiles.identity), clock, signal);
  const monitor = await openMonitor(join(saved.directory, machineFiles.monitor), 10_000, signal);
  try {
    await prepare(port, monitor);
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

const tailOf = async (path: string): Promise<string> =>
  (await readFile(path, "utf8").catch(() => "")).slice(-2_000).trim();

/** Ends a process of the holder and waits until it is gone. */
export async function endProcess(holder: Holder, id: string, clock: Clock): Promise<void> {
  const runs = async () => (await holder.processes()).some((process) => process.id === id && process.running);
  for (let tries = 0; await runs(); tries++) {
    if (tries % 50 === 0) await holder.kill(id, "SIGKILL");
    await clock.sleep(20);
  }
}
