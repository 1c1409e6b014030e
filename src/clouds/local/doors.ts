import { createServer, type Server, type Socket } from "node:net";
import { DroverError } from "../../base/errors.ts";
import { connectTo } from "./command-socket.ts";
import { admits, type Publication, type Published, publicationAddresses } from "./publication.ts";
import { splice } from "./splice.ts";

/** Where a published Service's connections come in: a listening socket for each of its ports, on one address. */
export type Doors = { published: Published; servers: ReadonlyMap<number, Server> };

/**
 * Takes the first of the Service's addresses on which all of its ports are free. At the address that it has, the
 * sockets of ports that stay are kept, so that no connection is refused meanwhile; those that are not needed any more
 * are left to the caller. `current`: how a Service is published when a connection comes.
 * @throws CLOUD_INVALID when none is free, SETUP_MISSING when this user may not listen there; nothing has changed then
 */
export async function openDoors(
  wanted: Publication,
  present: Doors | undefined,
  current: (id: string) => Published | undefined,
): Promise<Doors> {
  const { preferred, ...publication } = wanted;
  const ports = wanted.listeners.map(({ port }) => port);
  let refusal: Refusal | undefined;
  for (const address of publicationAddresses(wanted.id, present?.published.address ?? preferred)) {
    const published = { ...publication, address };
    const kept = address === present?.published.address ? present.servers : new Map<number, Server>();
    const servers = new Map<number, Server>();
    refusal = undefined;
    for (const port of ports) {
      const accept = (client: Socket) => admit(client, port, current(wanted.id) ?? published);
      const server = kept.get(port) ?? (await listen(address, port, accept));
      if ("code" in server) {
        refusal = server;
        break;
      }
      servers.set(port, server);
    }
    if (refusal === undefined) return { published, servers };
    for (const [port, server] of servers) if (kept.get(port) !== server) server.close();
    if (refusal.code !== "EADDRINUSE" && refusal.code !== "EADDRNOTAVAIL") break;
  }
  throw refused(refusal);
}

/** Turns new connections away where `still` does not have the socket; open ones go on. */
export function closeDoors(doors: Doors | undefined, still?: Doors): void {
  const needed = new Set(still?.servers.values());
  for (const server of doors?.servers.values() ?? []) if (!needed.has(server)) server.close();
}

type Refusal = { port: number; code: string };

function refused({ port, code }: Refusal = { port: 0, code: "it has no address" }): DroverError {
  if (code === "EACCES") {
    const how = `sudo sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`;
    return new DroverError("SETUP_MISSING", `Port ${port} can't be published by this user; \`${how}\`.`, { port });
  }
  const why = code === "EADDRINUSE" ? "another program listens on it on every address" : code;
  return new DroverError("CLOUD_INVALID", `Port ${port} can't be published: ${why}.`, { port });
}

const listen = (address: string, port: number, accept: (client: Socket) => void): Promise<Server | Refusal> =>
  new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true }, accept);
    server.once("error", (error: NodeJS.ErrnoException) => resolve({ port, code: error.code ?? error.message }));
    server.listen({ host: address, port, backlog: 1024 }, () => {
      server.on("error", () => undefined);
      resolve(server);
    });
  });

function admit(client: Socket, port: number, { sourceRanges = [], listeners }: Published): void {
  const socketPath = listeners.find((listener) => listener.port === port)?.socketPath;
  if (socketPath === undefined || !admits(sourceRanges, client.remoteAddress ?? "")) client.resetAndDestroy();
  else pass(client, socketPath);
}

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
