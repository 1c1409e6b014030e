import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { type Commands, connectCommands } from "./command-socket.ts";
import { attach, clusterFolder, ensureClusterFolder } from "./detached.ts";
import { lives, type ProcessIdentity, signalProcess } from "./identity.ts";
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
    close: () => commands.close(),
  };
}

/** Ends the publisher of a cluster; true when one ran. */
export async function endPublisher(home: string, cluster: string): Promise<boolean> {
  const folder = clusterFolder(home, cluster);
  const record = read(join(folder, "publisher.json"));
  if (record === undefined) return false;
  const ran = lives(record);
  const commands = await connectCommands(join(folder, "publisher.sock"), systemClock).catch(() => undefined);
  await commands?.call("end").catch(() => undefined);
  commands?.close();
  const deadlineMs = systemClock.monotonicMs() + 2_000;
  while (lives(record) && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(20);
  signalProcess(record, "SIGKILL");
  for (const name of ["publisher.sock", "publisher.json"]) rmSync(join(folder, name), { force: true });
  return ran;
}

function read(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
