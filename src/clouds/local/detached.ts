import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { type Commands, connectCommands } from "./command-socket.ts";
import { searchPath } from "./search-path.ts";

/** The folder of everything that a cluster's lasting processes share. */
export const clusterFolder = (home: string, cluster: string): string => join(home, "clusters", cluster);

/** The kernel's own bound is 107 bytes; the longest name below the folder is a published Service's socket. */
const folderBytesMax = 60;

/** Makes the folder, for its owner only. @throws CLOUD_INVALID when sockets in it could not be addressed */
export function ensureClusterFolder(home: string, cluster: string): string {
  const folder = clusterFolder(home, cluster);
  if (Buffer.byteLength(folder) > folderBytesMax) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The folder ${folder} is longer than ${folderBytesMax} bytes, too long for the sockets in it; choose a shorter --data DIR.`,
    );
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

export type Detached = {
  /** `argv[0]` is looked up in PATH. */
  argv: readonly string[];
  /** Its output is appended here. */
  logPath: string;
  /** Where it answers commands once it is ready. */
  socketPath: string;
  /** Done before it is started. */
  prepare?: () => Promise<void>;
  /** What its first words on failing mean to the user. */
  explain: (said: string) => DroverError;
};

const startTimeoutMs = 15_000;

const helloTimeoutMs = 5_000;

/** A connection to whoever answers there; undefined when nobody does, or it is just about to end. */
async function greet(socketPath: string, clock: Clock): Promise<Commands | undefined> {
  const commands = await connectCommands(socketPath, clock).catch(() => undefined);
  try {
    await commands?.call("hello", undefined, helloTimeoutMs);
    return commands;
  } catch {
    commands?.close();
    return undefined;
  }
}

/** Connects to a process that outlives drover, and starts it when it does not live. @throws what `explain` makes of it */
export async function attach(process: Detached, clock: Clock): Promise<Commands> {
  const present = await greet(process.socketPath, clock);
  if (present !== undefined) return present;
  await process.prepare?.();
  const exited = start(process);
  const deadlineMs = clock.monotonicMs() + startTimeoutMs;
  // One look more after its end: another starter may have won, and then that one's process answers.
  for (let over = false; !over; ) {
    over = exited.now || clock.monotonicMs() > deadlineMs;
    const commands = await greet(process.socketPath, clock);
    if (commands !== undefined) return commands;
    await clock.sleep(20);
  }
  throw process.explain(tail(process.logPath));
}

function start({ argv, logPath }: Detached): { now: boolean } {
  const [program = "", ...words] = argv;
  const exited = { now: false };
  rmSync(logPath, { force: true });
  const log = openSync(logPath, "a", 0o600);
  const kept = ["HOME", "LANG", "TMPDIR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const child = spawn(program, words, {
    cwd: "/",
    detached: true,
    env: { ...Object.fromEntries(kept), PATH: searchPath() },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.once("exit", () => {
    exited.now = true;
  });
  child.once("error", () => {
    exited.now = true;
  });
  child.unref();
  return exited;
}

const tail = (path: string): string => {
  try {
    return readFileSync(path, "utf8").slice(-2_000).trim();
  } catch {
    return "";
  }
};
