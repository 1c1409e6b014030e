import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { assert } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { Children, type Spawn } from "./children.ts";
import { connectTo, serveCommands } from "./command-socket.ts";
import { identify } from "./identity.ts";
import { admits, type Publication, type Published, publicationAddresses } from "./publication.ts";
import { splice } from "./splice.ts";
import { askUpstream } from "./upstream.ts";

/**
 * The publisher: the holder's twin outside of the namespace. It gives every published Service an address of its own on
 * the computer's loopback and passes each connection to a unix socket on which the Service's haproxy listens inside.
 * It also runs what must see the computer's own network. Its only argument is the cluster's folder.
 */
const patienceMs = 3_000;

type Open = Published & { servers: readonly Server[] };

async function publish(folder: string): Promise<void> {
  const own = identify(process.pid);
  assert(own !== undefined, "a running process has an identity");
  const path = join(folder, "publisher.json");
  const open = new Map<string, Open>();
  const children = new Children(systemClock, () => remember());
  const list = (): Published[] => [...open.values()].map(({ servers, ...published }) => published);
  const remember = () => {
    writeFileSync(`${path}.new`, JSON.stringify({ ...own, published: list(), children: children.identities() }), {
      mode: 0o600,
    });
    renameSync(`${path}.new`, path);
  };
  const withdraw = (id: string) => {
    // Open connections end by themselves; only new ones are turned away.
    for (const server of open.get(id)?.servers ?? []) server.close();
    open.delete(id);
  };
  const ensure = async (wanted: Publication): Promise<{ address: string }> => {
    const present = open.get(wanted.id);
    if (present !== undefined && isSame(present, wanted)) return { address: present.address };
    const preferred = present?.address ?? wanted.preferred;
    withdraw(wanted.id);
    const opened = await listenSomewhere(wanted, preferred);
    open.set(wanted.id, opened);
    remember();
    return { address: opened.address };
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

/** Takes the first of the Service's addresses on which all of its ports are free. @throws CLOUD_INVALID when none is */
async function listenSomewhere(wanted: Publication, preferred: string | undefined): Promise<Open> {
  let refused: { port: number; code: string } | undefined;
  for (const address of publicationAddresses(wanted.id, preferred)) {
    const servers: Server[] = [];
    refused = undefined;
    for (const { port, socketPath } of wanted.listeners) {
      const listening = await listen(address, port, (client) =>
        admits(wanted.sourceRanges ?? [], client.remoteAddress ?? "")
          ? pass(client, socketPath)
          : client.resetAndDestroy(),
      );
      if (typeof listening === "string") {
        refused = { port, code: listening };
        break;
      }
      servers.push(listening);
    }
    const { preferred: _, ...published } = wanted;
    if (refused === undefined) return { ...published, address, servers };
    for (const server of servers) server.close();
    if (refused.code !== "EADDRINUSE" && refused.code !== "EADDRNOTAVAIL") break;
  }
  const port = refused?.port ?? 0;
  if (refused?.code === "EACCES") {
    const how = `sudo sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`;
    throw new DroverError("SETUP_MISSING", `Port ${port} can't be published by this user; \`${how}\`.`, { port });
  }
  const why = refused?.code === "EADDRINUSE" ? "another program listens on it on every address" : refused?.code;
  throw new DroverError("CLOUD_INVALID", `Port ${port} can't be published: ${why}.`, { port });
}

const listen = (address: string, port: number, accept: (client: Socket) => void): Promise<Server | string> =>
  new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true }, accept);
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: address, port, backlog: 1024 }, () => {
      server.on("error", () => undefined);
      resolve(server);
    });
  });

function pass(client: Socket, socketPath: string): void {
  client.on("error", () => client.destroy());
  connectTo(socketPath).then(
    (inside) => {
      // It may have gone meanwhile.
      if (client.destroyed) inside.destroy();
      else splice(client, inside);
    },
    () => void client.resetAndDestroy(),
  );
}

const [folder = ""] = process.argv.slice(2);
await publish(folder).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
