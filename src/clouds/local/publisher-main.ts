import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { Children, type Spawn } from "./children.ts";
import { serveCommands } from "./command-socket.ts";
import { closeDoors, type Doors, openDoors } from "./doors.ts";
import { identify } from "./identity.ts";
import type { Publication, Published } from "./publication.ts";
import { askUpstream } from "./upstream.ts";

/**
 * The publisher: the holder's twin outside of the namespace. It gives every published Service an address of its own on
 * the computer's loopback and passes each connection to a unix socket on which the Service's haproxy listens inside.
 * It also runs what must see the computer's own network. Its only argument is the cluster's folder.
 */
const patienceMs = 3_000;

async function publish(folder: string): Promise<void> {
  const own = identify(process.pid);
  assert(own !== undefined, "a running process has an identity");
  const path = join(folder, "publisher.json");
  const open = new Map<string, Doors>();
  const publishedNow = (id: string) => open.get(id)?.published;
  const children = new Children(systemClock, () => remember());
  const list = (): Published[] => [...open.values()].map(({ published }) => published);
  const remember = () => {
    writeFileSync(`${path}.new`, JSON.stringify({ ...own, published: list(), children: children.identities() }), {
      mode: 0o600,
    });
    renameSync(`${path}.new`, path);
  };
  const withdraw = (id: string) => {
    // Open connections end by themselves; only new ones are turned away.
    closeDoors(open.get(id));
    open.delete(id);
  };
  const ensure = async (wanted: Publication): Promise<{ address: string }> => {
    const present = open.get(wanted.id);
    if (present !== undefined && isSame(present.published, wanted)) return { address: present.published.address };
    const opened = await openDoors(wanted, present, publishedNow);
    open.set(wanted.id, opened);
    closeDoors(present, opened);
    remember();
    return { address: opened.published.address };
  };
  for (const { address, ...before } of published(path)) {
    await ensure({ ...before, preferred: address }).catch((error: Error) => process.stderr.write(`${error.message}\n`));
  }
  const end = async () => {
    const ended = await children.endAll(patienceMs);
    for (const name of ["publisher.sock", "publisher.json"]) rmSync(join(folder, name), { force: true });
    // The answer must be on its way before the process is gone.
    void systemClock.sleep(50).then(() => process.exit(0));
    return ended;
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("SIGHUP", () => undefined);
  // A publisher that died of one odd connection would take every Service's address with it.
  process.on("uncaughtException", (error) => process.stderr.write(`${error.stack}\n`));
  let last: Promise<unknown> = Promise.resolve();
  /** One change after the other: two at once could each take half of an address. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done.catch(() => undefined);
    return done;
  };
  await serveCommands(join(folder, "publisher.sock"), {
    hello: () => own,
    publish: (given) => inTurn(() => ensure(given as Publication)),
    withdraw: (given) =>
      inTurn(async () => {
        withdraw(String(given));
        remember();
      }),
    list,
    spawn: (given) => children.start(given as Spawn),
    kill: (given) => children.kill(String(given), "SIGTERM"),
    processes: () => children.states(),
    resolve: async (given) => (await askUpstream(Buffer.from(String(given), "base64"))).toString("base64"),
    end,
  });
  remember();
}

/** What the last publisher of this folder served, so that a new one serves the same on the same addresses. */
function published(path: string): Published[] {
  try {
    return (JSON.parse(readFileSync(path, "utf8")) as { published: Published[] }).published;
  } catch {
    return [];
  }
}

const isSame = (one: Omit<Publication, "preferred">, other: Omit<Publication, "preferred">): boolean =>
  JSON.stringify([one.listeners, one.sourceRanges ?? []]) ===
  JSON.stringify([other.listeners, other.sourceRanges ?? []]);

const [folder = ""] = process.argv.slice(2);
await publish(folder).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
