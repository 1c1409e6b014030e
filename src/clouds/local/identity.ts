import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";

/**
 * A process that can't be mistaken for another one: a process id is used again, but never with the same start time in
 * one boot of the computer.
 */
export type ProcessIdentity = {
  pid: number;
  /** Clock ticks between the boot and the start, as `/proc/PID/stat` counts them. */
  startTicks: number;
  /** The boot that the ticks count from. */
  bootId: string;
};

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Who runs under this id now; undefined when nobody does or only its exit status is left. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in brackets may hold anything, brackets and blanks too: the fields are counted from its end.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return { pid, startTicks: Number(fields[19]), bootId: bootId() };
  } catch {
    return undefined;
  }
}

/** Whether exactly this process still runs. */
export function lives(process: ProcessIdentity): boolean {
  const now = identify(process.pid);
  return now !== undefined && now.startTicks === process.startTicks && now.bootId === process.bootId;
}

/** Sends `signal` to exactly this process; false when it has ended. */
function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!lives(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
}

/** Ends exactly these processes: TERM, then KILL after 3 s. Answers with the ids of those that ran. */
export async function endProcesses(
  processes: readonly (ProcessIdentity & { id: string })[],
  clock: Clock,
): Promise<string[]> {
  const ended = processes.filter((one) => signalProcess(one, "SIGTERM")).map(({ id }) => id);
  const deadlineMs = clock.monotonicMs() + 3_000;
  while (processes.some(lives) && clock.monotonicMs() < deadlineMs) await clock.sleep(20);
  for (const one of processes) signalProcess(one, "SIGKILL");
  while (processes.some(lives) && clock.monotonicMs() < deadlineMs + 2_000) await clock.sleep(20);
  return ended;
}

/** The network namespace of a process as the kernel names it (`net:[4026531840]`), or undefined without a look at it. */
export function networkNamespace(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Every process id of the computer. */
export const processIds = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Everything that lives in a network namespace. The name is only meaningful while one known process is in it. */
export const processesInNamespace = (namespace: string): ProcessIdentity[] =>
  processIds()
    .filter((pid) => networkNamespace(pid) === namespace)
    .map(identify)
    .filter((found) => found !== undefined);

/** The command line of a process with blanks between the words, "" when it can't be read. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
  } catch {
    return "";
  }
}
