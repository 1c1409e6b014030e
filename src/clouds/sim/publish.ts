import { createHash } from "node:crypto";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Listener } from "../balancer.ts";
import { openPlaces } from "./balancers.ts";
import { passOn } from "./http-rules.ts";
import type { SimBalancer, SimMachine, World } from "./world.ts";

/**
 * Makes the simulated internet-facing balancers reachable on loopback, each on an address of its own so that two
 * Services may both have port 80: connections go to the healthy targets in turn, and a draining one keeps what it has.
 */
export function publisher(world: World, connectTo: (machine: SimMachine) => Duplex) {
  const opened = new Map<string, { address?: string; servers: Server[] }>();

  const accept = (id: string, client: Socket) => {
    const chosen = choose(world, world.balancers.get(id));
    if (chosen === undefined) return client.destroy();
    chosen.target.connections++;
    const upstream = connectTo(chosen.machine);
    const over = () => {
      if (!upstream.destroyed) upstream.destroy();
      client.destroy();
    };
    client.pipe(upstream).pipe(client);
    client.once("error", over);
    upstream.once("error", over);
    upstream.once("close", over);
    client.once("close", () => {
      chosen.target.connections--;
      over();
    });
    return undefined;
  };

  /** One request of a client of an application balancer: each may go to another machine. */
  const serverFor = (id: string, { port, protocol }: Listener): Server => {
    if (protocol === "TCP") return createServer((client) => accept(id, client));
    return createHttpServer((request, response) =>
      passOn(
        request,
        response,
        world.balancers.get(id)?.spec.listeners.find((one) => one.port === port),
        (groups) => {
          const chosen = choose(world, world.balancers.get(id), groups);
          if (chosen === undefined) return undefined;
          chosen.target.connections++;
          response.once("close", () => chosen.target.connections--);
          return connectTo(chosen.machine);
        },
      ),
    );
  };

  const open = async (id: string, { spec }: SimBalancer) => {
    const place: { address?: string; servers: Server[] } = { servers: [] };
    opened.set(id, place);
    const listeners = spec.listeners.filter(({ protocol }) => protocol === "TCP" || protocol === "HTTP");
    for (let attempt = 0; attempt < addressAttemptsMax && opened.get(id) === place; attempt++) {
      const address = addressOf(id, attempt);
      place.servers = await listenAll(address, listeners, (listener) => serverFor(id, listener));
      if (place.servers.length < listeners.length) continue;
      if (opened.get(id) === place) place.address = address;
      else closeAll(place.servers); // The balancer was removed meanwhile.
      return;
    }
  };

  return {
    /** Opens and closes listeners after the balancers have changed. */
    sync() {
      for (const [id, balancer] of world.balancers) {
        if (!opened.has(id) && balancer.spec.scheme === "internet-facing") void open(id, balancer);
      }
      for (const [id, { servers }] of opened) {
        if (world.balancers.has(id)) continue;
        closeAll(servers);
        opened.delete(id);
      }
    },
    address: (id: string): string | undefined => opened.get(id)?.address,
    close() {
      for (const { servers } of opened.values()) closeAll(servers);
      opened.clear();
    },
  };
}

const addressAttemptsMax = 100;

/** The same for the same balancer as long as nobody else has it. */
function addressOf(id: string, attempt: number): string {
  const [high = 0, low = 0] = createHash("sha256").update(`${id} ${attempt}`).digest();
  return `127.77.${high}.${1 + (low % 254)}`;
}

const closeAll = (servers: readonly Server[]): void => {
  for (const server of servers) server.close();
};

/** Servers on all the ports of an address, or none when one of them is taken. */
async function listenAll(
  address: string,
  listeners: readonly Listener[],
  serverFor: (listener: Listener) => Server,
): Promise<Server[]> {
  const servers = listeners.map(serverFor);
  const listening = servers.map(
    (server, index) =>
      new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(listeners[index]?.port, address, resolve);
      }),
  );
  const results = await Promise.allSettled(listening);
  if (results.every(({ status }) => status === "fulfilled")) return servers;
  closeAll(servers);
  return [];
}

/** The healthy target with the fewest connections; `groups`: of these alone. */
function choose(world: World, balancer: SimBalancer | undefined, groups?: readonly string[]) {
  const nowMs = world.clock.monotonicMs();
  const candidates = (balancer ? openPlaces(balancer) : []).flatMap(({ groupId, machineId, target }) => {
    if (groups && !groups.includes(groupId)) return [];
    const machine = world.machines.get(machineId);
    if (!machine || target.healthyAtMs > nowMs || !machine.box.serves()) return [];
    return machine.stoppingAtMs > nowMs ? [{ machine, target }] : [];
  });
  return candidates.sort((a, b) => a.target.connections - b.target.connections)[0];
}
