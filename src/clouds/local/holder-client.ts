import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type Clock, systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { ProcessState, Spawn } from "./children.ts";
import type { Ran } from "./command.ts";
import { type Commands, connectCommands, connectTo } from "./command-socket.ts";
import { attach, clusterFolder, ensureClusterFolder } from "./detached.ts";
import { namespaceSetting, readSysctl } from "./host-settings.ts";
import {
  commandLine,
  endProcesses,
  lives,
  networkNamespace,
  type ProcessIdentity,
  processesInNamespace,
} from "./identity.ts";
import { firstLine } from "./lines.ts";
import { withLock } from "./lock.ts";
import { programPath } from "./program.ts";

export type Log = { info(message: string): void; warn(message: string): void };

/** The hand on a cluster's network namespace and on the processes in it, which all outlive this process. */
export type Holder = {
  /** A tap on the machines' bridge; may be repeated. The name: at most 15 lower-case letters, digits and dashes. */
  addTap(name: string): Promise<void>;
  removeTap(name: string): Promise<void>;
  /** Starts a process in the namespace; while one of the same id runs, that one is the answer.
   * @throws SETUP_MISSING when the program can't be started */
  spawn(process: Spawn): Promise<{ pid: number }>;
  /** Those that run, and up to 500 that have ended. */
  processes(): Promise<ProcessState[]>;
  /** Sends a signal (`SIGTERM`). A process that has ended, or never was, is no error. */
  kill(id: string, signal: string): Promise<void>;
  /** Runs a program in the namespace to its end; `timeoutMs` defaults to 20 s. A failure is a value. */
  run(argv: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<Ran>;
  /** The far ends (`IP:PORT`) of the TCP connections that these processes of the namespace hold. */
  connections(pids: readonly number[]): Promise<string[]>;
  /** From now on the machines' names are answered from the cluster's `names.json`. */
  loadNames(): Promise<void>;
  /** A TCP connection made inside the namespace. @throws BOX_UNREACHABLE */
  dial(address: string, port: number, signal?: AbortSignal): Promise<Duplex>;
  /** A unix socket: `IP PORT\n` in, `OK\n` or `ERR reason\n` out, then the bytes of the connection. */
  readonly dialPath: string;
  /** A process of the namespace: `nsenter --net=/proc/PID/ns/net` shows what it sees. */
  readonly pid: number;
  /** Lets go; the holder and everything in it live on. */
  close(): void;
};

export type HolderOptions = { home: string; cluster: string; clock: Clock; log: Log };

const opening = new Map<string, Promise<Commands>>();

/**
 * Attaches to the holder of a cluster, and starts it when it does not live; then whatever a dead one left is ended.
 * @throws SETUP_MISSING with the one command that lets this user have a network namespace
 */
export async function openHolder({ home, cluster, clock, log }: HolderOptions): Promise<Holder> {
  const folder = ensureClusterFolder(home, cluster);
  const open = async (): Promise<Commands> => {
    const joined = opening.get(folder) ?? attachHolder(folder, clock, log).finally(() => opening.delete(folder));
    opening.set(folder, joined);
    return joined;
  };
  let commands = await open();
  const { pid } = (await commands.call("hello")) as ProcessIdentity;
  const call = async (command: string, given?: unknown, timeoutMs?: number): Promise<unknown> => {
    if (!commands.connected()) commands = await open();
    return commands.call(command, given, timeoutMs);
  };
  return {
    addTap: async (name) => void (await call("addTap", name)),
    removeTap: async (name) => void (await call("removeTap", name)),
    spawn: async (wanted) => (await call("spawn", wanted)) as { pid: number },
    processes: async () => (await call("processes")) as ProcessState[],
    kill: async (id, signal) => void (await call("kill", { id, signal })),
    run: async (argv, { input, timeoutMs = 20_000 } = {}) =>
      (await call("run", { argv, input, timeoutMs }, timeoutMs + 5_000)) as Ran,
    connections: async (pids) => (await call("connections", pids)) as string[],
    loadNames: async () => void (await call("loadNames")),
    dial: (address, port, signal) => dial(join(folder, "dial.sock"), address, port, signal),
    dialPath: join(folder, "dial.sock"),
    pid,
    close: () => commands.close(),
  };
}

const attachHolder = (folder: string, clock: Clock, log: Log): Promise<Commands> =>
  withLock(join(folder, "holder.lock"), {}, () => attachAlone(folder, clock, log));

async function attachAlone(folder: string, clock: Clock, log: Log): Promise<Commands> {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return attach(
    {
      argv: ["unshare", ...user, "--net", "--", process.execPath, programPath("holder-main"), folder],
      logPath: join(folder, "holder.log"),
      socketPath: join(folder, "holder.sock"),
      prepare: () => buryHolder(folder, clock, log),
      explain,
    },
    clock,
  );
}

/** Ends what a dead holder left. @throws CLOUD_UNAVAILABLE when it lives and does not answer */
async function buryHolder(folder: string, clock: Clock, log: Log): Promise<void> {
  const record = readRecord(folder);
  if (record === undefined) return;
  // A killed process may take a moment to be gone.
  const deadlineMs = clock.monotonicMs() + 3_000;
  while (lives(record) && clock.monotonicMs() < deadlineMs) await clock.sleep(20);
  if (lives(record)) {
    throw new DroverError(
      "CLOUD_UNAVAILABLE",
      `The machines' holder (process ${record.pid}) runs but does not answer.`,
    );
  }
  const ended = await endNamespace(record, clock);
  if (ended.length > 0) log.warn(`The machines' holder had died; ended what it left: ${ended.join(", ")}.`);
  rmSync(join(folder, "holder.json"), { force: true });
}

/** What to do so that a namespace can be made; the command is found out from the computer's own settings. */
export function explain(said: string, sysctl = readSysctl): DroverError {
  const reason = said.split("\n")[0] ?? "";
  const [name, value] = namespaceSetting(sysctl) ?? [];
  if (name !== undefined && /unshare|not permitted/i.test(reason)) {
    const remedy = `sudo sysctl -w ${name}=${value}`;
    return new DroverError("SETUP_MISSING", `The machines get no network of their own (${reason}); \`${remedy}\`.`);
  }
  if (/SETUP_MISSING|unshare|apt-get|chmod/.test(reason)) {
    return new DroverError("SETUP_MISSING", `The machines get no network of their own: ${reason}`);
  }
  return new DroverError("CLOUD_UNAVAILABLE", `The machines' holder did not start: ${reason || "it said nothing"}`);
}

async function dial(path: string, address: string, port: number, signal?: AbortSignal): Promise<Duplex> {
  signal?.throwIfAborted();
  const unreachable = (reason: string, cause?: unknown) =>
    new DroverError("BOX_UNREACHABLE", `${address}:${port} can't be reached: ${reason}.`, { address, port }, cause);
  const socket = await connectTo(path).catch((cause: Error) => {
    throw unreachable(cause.message, cause);
  });
  const abort = () => socket.destroy(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    socket.write(`${address} ${port}\n`);
    const reply = await firstLine(socket, 1_000);
    if (reply !== "OK") throw unreachable(reply.replace(/^ERR /, ""));
    return socket;
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw error instanceof DroverError ? error : unreachable(error instanceof Error ? error.message : String(error));
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

type HolderRecord = ProcessIdentity & { namespace: string; children: (ProcessIdentity & { id: string })[] };

/** What the holder last wrote about itself; undefined when there was none or it ended in order. */
function readRecord(folder: string): HolderRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "holder.json"), "utf8")) as HolderRecord;
  } catch {
    return undefined;
  }
}

/**
 * Ends every process of the cluster's namespace and the holder itself, by which the namespace, its bridge and its taps
 * go too. Works on a dead holder's leftovers as well. Answers with what was ended: ids, or command lines of strangers.
 */
export async function endHolder(home: string, cluster: string): Promise<string[]> {
  const folder = clusterFolder(home, cluster);
  const record = readRecord(folder);
  if (record === undefined) return [];
  const ended = await endNamespace(record, systemClock, async () => {
    const commands = await connectCommands(join(folder, "holder.sock"), systemClock).catch(() => undefined);
    await commands?.call("end").catch(() => undefined);
    commands?.close();
  });
  for (const name of ["holder.sock", "dial.sock", "holder.json"]) rmSync(join(folder, name), { force: true });
  return ended;
}

/** Ends everything of a namespace, after `ask` has asked its holder to do so. Answers with what there was. */
async function endNamespace(record: HolderRecord, clock: Clock, ask?: () => Promise<void>): Promise<string[]> {
  const known = [{ ...record, id: "holder" }, ...record.children];
  const pin = pinNamespace(known, record.namespace);
  const named = () =>
    (pin === undefined ? [] : processesInNamespace(record.namespace)).map((one) => nameOf(known, one));
  const before = named().map(({ id }) => id);
  await ask?.();
  const ended = [...before, ...(await endProcesses(known, clock))];
  // Whoever was started meanwhile; a process that can't be ended in three rounds is left to be seen.
  for (let round = 0; round < 3; round++) ended.push(...(await endProcesses(named(), clock)));
  if (pin !== undefined) closeSync(pin);
  return [...new Set(ended)];
}

const nameOf = (known: readonly (ProcessIdentity & { id: string })[], found: ProcessIdentity) => ({
  ...found,
  id: known.find(({ pid }) => pid === found.pid)?.id ?? commandLine(found.pid),
});

/**
 * Keeps the namespace's name from being given to another one while this is open: as long as one process that is surely
 * ours is in it, everybody else in it is ours too.
 */
function pinNamespace(known: readonly ProcessIdentity[], namespace: string): number | undefined {
  const anchor = known.find((one) => lives(one) && networkNamespace(one.pid) === namespace);
  return anchor === undefined ? undefined : openSync(`/proc/${anchor.pid}/ns/net`, "r");
}
