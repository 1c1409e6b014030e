import { readFileSync } from "node:fs";
import { link, rename, rm, writeFile } from "node:fs/promises";
import { systemClock } from "../../base/clock.ts";

const pollMs = 250;

/**
 * Runs `work` while no other process (nor another caller in this one) holds the lock file `path`, whose directory must
 * exist. A lock whose process has ended is taken over. `waiting` is called once when it has to wait.
 */
export async function withLock<T>(
  path: string,
  o: { signal?: AbortSignal | undefined; waiting?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  const mine = `${path}.${process.pid}.${++count}`;
  await writeFile(mine, `${process.pid} ${startedAt(process.pid)}\n`);
  try {
    for (let told = false; !(await take(mine, path)); ) {
      if (!told) o.waiting?.();
      told = true;
      await systemClock.sleep(pollMs, o.signal);
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/** Whether a process that still runs holds the lock. */
export const isLocked = (path: string): boolean => isAlive(read(path));

/** `text`: what a holder has written into its lock. */
function isAlive(text: string): boolean {
  const [pid = "", started = ""] = text.split(/\s+/);
  return pid !== "" && startedAt(Number(pid)) === started;
}

let count = 0;

/** A hard link is made by one caller only, and the file it names is whole from the start. */
async function take(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const text = read(path);
  if (text !== "" && !isAlive(text)) await clear(path, `${mine}.left`);
  return false;
}

/** Takes a dead holder's lock away; one that somebody has taken over in this moment is put back. */
async function clear(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
    if (isLocked(aside)) await link(aside, path);
  } catch {
    // Another one was quicker; the next try shows who holds it now.
  } finally {
    await rm(aside, { force: true });
  }
}

/** When a process began, in the kernel's own ticks, or "gone": a process id alone may have been given away again. */
const startedAt = (pid: number): string => read(`/proc/${pid}/stat`).split(") ")[1]?.split(" ")[19] ?? "gone";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
