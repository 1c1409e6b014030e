import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { ProcessState, Spawn } from "./children.ts";
import { type Commands, connectCommands } from "./command-socket.ts";
import { attach, clusterFolder, ensureClusterFolder } from "./detached.ts";
import { endProcesses, lives, type ProcessIdentity } from "./identity.ts";
import { withLock } from "./lock.ts";
import { programPath } from "./program.ts";
import type { Publication, Published } from "./publication.ts";

/** The hand on the process that publishes a cluster's Services on the computer's loopback. */
export type Publisher = {
  /** Listens for a Service; the address stays the same over repeats and restarts as long as nobody else takes it.
   * @throws CLOUD_INVALID when the port is taken on every address, SETUP_MISSING when this user may not listen on it */
  publish(wanted: Publication): Promise<{ address: string }>;
  /** New connections are turned away; open ones go on. May be repeated. */
  withdraw(id: string): Promise<void>;
  list(): Promise<readonly Published[]>;
  /** As the holder's, but in the computer's own network. */
  spawn(process: Spawn): Promise<{ pid: number }>;
  processes(): Promise<readonly ProcessState[]>;
  /** Asks a process to end. */
  kill(id: string): Promise<void>;
  /** Lets go; the publisher lives on. */
  close(): void;
};

/** Attaches to the publisher of a cluster, and starts it when it does not live: what was published is so again. */
export async function openPublisher(o: { home: string; cluster: string; clock: Clock }): Promise<Publisher> {
  const folder = ensureClusterFolder(o.home, o.cluster);
  const twin = {
    argv: [process.execPath, programPath("publisher-main"), folder],
    logPath: join(folder, "publisher.log"),
    socketPath: join(folder, "publisher.sock"),
    prepare: async () => {
      const record = read(folder);
      if (record !== undefined && !lives(record)) await endProcesses(record.children, o.clock);
    },
    explain: (said: string) => new DroverError("CLOUD_UNAVAILABLE", `The publisher did not start: ${said}`),
  };
  const open = (): Promise<Commands> => withLock(join(folder, "publisher.lock"), {}, () => attach(twin, o.clock));
  let commands = await open();
  const call = async (command: string, given?: unknown): Promise<unknown> => {
    if (!commands.connected()) commands = await open();
    return commands.call(command, given);
  };
  return {
    publish: async (wanted) => (await call("publish", wanted)) as { address: string },
    withdraw: async (id) => void (await call("withdraw", id)),
    list: async () => (await call("list")) as Published[],
    spawn: async (wanted) => (await call("spawn", wanted)) as { pid: number },
    processes: async () => (await call("processes")) as ProcessState[],
    kill: async (id) => void (await call("kill", id)),
    close: () => commands.close(),
  };
}

/** Ends the publisher of a cluster and what it runs. Answers with what ran. */
export async function endPublisher(home: string, cluster: string): Promise<string[]> {
  const folder = clusterFolder(home, cluster);
  const record = read(folder);
  if (record === undefined) return [];
  const commands = await connectCommands(join(folder, "publisher.sock"), systemClock).catch(() => undefined);
  const ended = ((await commands?.call("end").catch(() => undefined)) ?? []) as string[];
  commands?.close();
  const rest = await endProcesses([...record.children, { ...record, id: "publisher" }], systemClock);
  for (const name of ["publisher.sock", "publisher.json"]) rmSync(join(folder, name), { force: true });
  return [...new Set([...ended, ...rest])];
}

type PublisherRecord = ProcessIdentity & { children: (ProcessIdentity & { id: string })[] };

function read(folder: string): PublisherRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "publisher.json"), "utf8")) as PublisherRecord;
  } catch {
    return undefined;
  }
}
