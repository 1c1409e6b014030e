import { renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, isIPv4, type Socket, connect as socketConnect } from "node:net";
import { join } from "node:path";
import { assert } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { Children, type Spawn } from "./children.ts";
import { run } from "./command.ts";
import { type Commands, connectCommands, listenPrivately, serveCommands } from "./command-socket.ts";
import { connections } from "./connections.ts";
import { identify, networkNamespace } from "./identity.ts";
import { firstLine } from "./lines.ts";
import { readZone, zonePath } from "./names.ts";
import { addTap, buildNetwork, gatewayAddress, removeTap } from "./network.ts";
import { type Forward, Resolver } from "./resolver.ts";
import { serveResolver } from "./resolver-server.ts";
import { splice } from "./splice.ts";

/**
 * The holder: a small process that owns a cluster's network namespace and everything that serves in it, and outlives
 * the drover that started it. It begins its life inside the new namespace; its only argument is the cluster's folder.
 */
const dialTimeoutMs = 10_000;
const patienceMs = 3_000;

async function hold(folder: string): Promise<void> {
  const own = identify(process.pid);
  assert(own !== undefined, "a running process has an identity");
  const namespace = networkNamespace("self");
  const remember = () => {
    const path = join(folder, "holder.json");
    writeFileSync(`${path}.new`, JSON.stringify({ ...own, namespace, children: children.identities() }), {
      mode: 0o600,
    });
    renameSync(`${path}.new`, path);
  };
  const children = new Children(systemClock, remember);
  let ending: Promise<string[]> | undefined;
  const end = () => {
    ending ??= children.endAll(patienceMs).then((ended) => {
      for (const name of ["holder.sock", "dial.sock"]) rmSync(join(folder, name), { force: true });
      rmSync(join(folder, "holder.json"), { force: true });
      // The answer must be on its way before the process is gone.
      void systemClock.sleep(50).then(() => process.exit(0));
      return ended;
    });
    return ending;
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("SIGHUP", () => undefined);
  // A holder that died of one bad message would take the hand from every machine.
  process.on("uncaughtException", (error) => process.stderr.write(`${error.stack}\n`));
  await buildNetwork();
  const resolver = new Resolver(forwarder(folder), () => systemClock.monotonicMs());
  const loadNames = () => resolver.replace(readZone(zonePath(folder)) ?? { domain: "cluster.local", records: [] });
  loadNames();
  await serveResolver(resolver, gatewayAddress, 53);
  await serveDialer(join(folder, "dial.sock"));
  // This socket comes last: whoever can connect to it finds everything else in place.
  await serveCommands(join(folder, "holder.sock"), {
    hello: () => own,
    addTap: (given) => addTap(text(given)),
    removeTap: (given) => removeTap(text(given)),
    spawn: (given) => children.start(given as Spawn),
    kill: (given) => {
      const { id, signal } = given as { id: string; signal: NodeJS.Signals };
      children.kill(id, signal);
    },
    processes: () => children.states(),
    loadNames,
    connections: (given) => connections(given as number[]),
    run: (given) => {
      const { argv, input, timeoutMs } = given as { argv: string[]; input?: string; timeoutMs: number };
      return run(argv, input, timeoutMs);
    },
    end,
  });
  remember();
}

function text(given: unknown): string {
  if (typeof given !== "string") throw new DroverError("CLOUD_INVALID", "A name is expected.");
  return given;
}

/** Questions about foreign names go through the publisher, which sees the computer's own network and resolvers. */
function forwarder(folder: string): Forward {
  let publisher: Commands | undefined;
  return async (query) => {
    if (publisher?.connected() !== true) publisher = await connectCommands(join(folder, "publisher.sock"), systemClock);
    return Buffer.from(String(await publisher.call("resolve", query.toString("base64"), 6_000)), "base64");
  };
}

/** `IP PORT\n` in, `OK\n` or `ERR reason\n` out, then the bytes of that TCP connection both ways. */
async function serveDialer(path: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => client.destroy());
    firstLine(client, 100)
      .then((line) => dial(client, line))
      .catch((error: Error) => client.end(`ERR ${error.message.replaceAll("\n", " ")}\n`));
  });
  await listenPrivately(server, path);
}

async function dial(client: Socket, line: string): Promise<void> {
  const [host = "", port = ""] = line.trim().split(" ");
  if (!isIPv4(host) || !/^\d{1,5}$/.test(port)) throw new Error("expected an IPv4 address and a port");
  const far = socketConnect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  const leave = () => far.destroy();
  client.once("close", leave);
  await new Promise<void>((resolve, reject) => {
    far.setTimeout(dialTimeoutMs, () => far.destroy(new Error(`no answer within ${dialTimeoutMs / 1000} s`)));
    far.once("connect", resolve);
    far.once("error", reject);
  });
  far.setTimeout(0);
  client.off("close", leave);
  client.write("OK\n");
  splice(client, far);
}

const [folder = ""] = process.argv.slice(2);
await hold(folder).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
