import { readFileSync, writeFileSync } from "node:fs";
import { DroverError } from "../base/errors.ts";

/** Who holds a store: the lock file as JSON. `started` tells a process from a later one with the same id. */
type Holder = { pid: number; epoch: number; started?: string };

/** A process as the system tells of it (Linux): its boot and start in it; whether it only waits to be buried. */
function look(pid: number): { started: string; ended: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    // The name in brackets may hold anything; after it come the state and, as the 20th, the time of the start.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { started: `${boot} ${fields[19]}`, ended: fields[0] === "Z" || fields[0] === "X" };
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  const now = look(pid);
  return now === undefined || (!now.ended && (started === undefined || now.started === started));
}

function readHolder(file: string): Holder | undefined {
  try {
    const { pid, epoch, started } = JSON.parse(readFileSync(file, "utf8"));
    if (typeof pid !== "number" || typeof epoch !== "number") return undefined;
    return { pid, epoch, ...(typeof started === "string" && { started }) };
  } catch {
    return undefined; // Absent, or half written when the power went.
  }
}

/**
 * Writes this process into the lock file as the holder of `epoch`. The caller sees to it that only one process does so
 * at a time. @throws STORE_LOCKED when the present holder is alive
 */
export function takeHold(file: string, epoch: number): void {
  const holder = readHolder(file);
  if (holder !== undefined && isAlive(holder)) {
    const what = `The data in ${file.slice(0, file.lastIndexOf("/"))} is in use by the drover with process id ${holder.pid}.`;
    throw new DroverError("STORE_LOCKED", what, { pid: holder.pid });
  }
  const started = look(process.pid)?.started;
  const own: Holder = { pid: process.pid, epoch, ...(started !== undefined && { started }) };
  writeFileSync(file, `${JSON.stringify(own)}\n`, { mode: 0o600 });
}

/** Whether this process is the holder of `epoch`, as the lock file says. */
export const holds = (file: string, epoch: number): boolean => {
  const holder = readHolder(file);
  return holder?.pid === process.pid && holder.epoch === epoch;
};
