import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { openPlaces } from "./balancers.ts";
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

  const open = async (id: string, { spec }: SimBalancer) => {
    const place: { address?: string; servers: Server[] } = { servers: [] };
    opened.set(id, place);
    const ports = spec.listeners.filter(({ protocol }) => protocol === "TCP").map(({ port }) => port);
    for (let attempt = 0; attempt < addressAttemptsMax && opened.get(id) === place; attempt++) {
      const address = addressOf(id, attempt);
      place.servers = await listenAll(address, ports, (client) => accept(id, client));
      if (place.servers.length < ports.length) continue;
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
  ports: readonly number[],
  accept: (client: Socket) => void,
): Promise<Server[]> {
  const servers = ports.map(() => createServer(accept));
  const listening = servers.map(
    (server, index) =>
      new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(ports[index], address, resolve);
      }),
  );
  const results = await Promise.allSettled(listening);
  if (results.every(({ status }) => status === "fulfilled")) return servers;
  closeAll(servers);
  return [];
}

/** The healthy target with the fewest connections. */
function choose(world: World, balancer: SimBalancer | undefined) {
  const nowMs = world.clock.monotonicMs();
  const candidates = (balancer ? openPlaces(balancer) : []).flatMap(({ machineId, target }) => {
    const machine = world.machines.get(machineId);
    if (!machine || target.healthyAtMs > nowMs || !machine.box.serves()) return [];
    return machine.stoppingAtMs > nowMs ? [{ machine, target }] : [];
  });
  return candidates.sort((a, b) => a.target.connections - b.target.connections)[0];
}
