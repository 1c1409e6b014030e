import { existsSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Holder } from "./holder-client.ts";
import { makeHostKey } from "./host-key.ts";
import { openIdentityPort } from "./identity-port.ts";
import type { GuestImage } from "./image.ts";
import { type MachineRecord, machineDirectory, macOf } from "./machine-record.ts";
import { openMonitor } from "./monitor.ts";
import { machineFiles, makeOverlay, qemuCommand, type Shape } from "./qemu.ts";
import { endProcess, resume, type SavedMachine } from "./save-machine.ts";
import { writeSeededInitrd } from "./seed.ts";

export type Starting = { folder: string; holder: Holder; image: GuestImage; clock: Clock };

/** The holder's name for a machine's QEMU. */
export const processId = (machineId: string): string => `machine:${machineId}`;

const bootTimeoutMs = 300_000;
const bootPollMs = 500;
const consoleTailBytes = 65_536;

/**
 * Starts a machine as a clone of a saved one and makes it itself: over when it has its own name, keys and address. What
 * an interrupted start left is ended first.
 * @throws CLOUD_UNAVAILABLE, SETUP_MISSING
 */
export async function startClone(
  around: Starting,
  record: MachineRecord,
  shape: Shape,
  saved: SavedMachine,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = around;
  const directory = machineDirectory(around.folder, record.id);
  const memory = { path: saved.memory, shared: false };
  const continued = { instanceId: saved.instanceId, backing: saved.disk, memory };
  await startQemu(around, record, shape, continued);
  const port = await openIdentityPort(join(directory, machineFiles.identity), clock, signal);
  const monitor = await openMonitor(join(directory, machineFiles.monitor), 10_000, signal);
  try {
    await resume(monitor, saved.state, clock, signal);
    const hostKey = makeHostKey(`root@${record.id}`);
    await port.become({ hostname: record.id, address: record.address, mac: macOf(record.address), hostKey });
  } finally {
    port.close();
    monitor.close();
  }
}

/** Starts a machine that boots by itself. */
export const startCold = (around: Starting, record: MachineRecord, shape: Shape): Promise<void> =>
  startQemu(around, record, shape, { instanceId: record.id, backing: around.image.disk });

/** Until a machine that boots has shown its host key, or should have long ago: by then it is done with the processor. */
export async function untilBooted({ folder, clock }: Starting, id: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = clock.monotonicMs() + bootTimeoutMs;
  while (clock.monotonicMs() < deadlineMs && !(await readConsole(folder, id)).includes("END SSH HOST KEY KEYS")) {
    await clock.sleep(bootPollMs, signal);
  }
}

async function startQemu(
  { folder, holder, image, clock }: Starting,
  record: MachineRecord,
  shape: Shape,
  from: { instanceId: string; backing: string; memory?: { path: string; shared: boolean } },
): Promise<void> {
  const { id, template, address } = record;
  const directory = machineDirectory(folder, id);
  await endProcess(holder, processId(id), clock);
  await rm(join(directory, machineFiles.disk), { force: true });
  const seed = { userData: template.userData, instanceId: from.instanceId, hostname: id };
  await Promise.all([
    writeSeededInitrd(join(directory, machineFiles.initrd), image.initrd, seed),
    makeOverlay(join(directory, machineFiles.disk), from.backing, Math.max(template.diskBytes, image.diskBytes)),
    holder.addTap(id),
  ]);
  const guest = { id, shape, kernel: image.kernel, address, mac: macOf(address), tap: id };
  const memory = from.memory ? { memory: from.memory } : {};
  const argv = qemuCommand({ ...guest, ...memory, incoming: from.memory !== undefined });
  await holder.spawn({ id: processId(id), argv, cwd: directory, logPath: join(directory, "qemu.log") });
}

/** The last 64 KiB of a machine's console. */
export async function readConsole(folder: string, id: string): Promise<string> {
  const path = join(machineDirectory(folder, id), machineFiles.console);
  if (!existsSync(path)) return "";
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const length = Math.min(size, consoleTailBytes);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8");
  } finally {
    await file.close();
  }
}
