import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SimBalancer, SimMachine, World } from "./world.ts";

/**
 * Makes the simulated internet-facing balancers reachable on loopback, each on an address of its own so that two
 * Services may both have port 80: connections go to the healthy targets in turn, and a draining one keeps what it has.
 */
export function publisher(world: World, connectTo: (machine: SimMachine) => Duplex) {
  const servers = new Map<string, { address: string; listening: Server[] }>();
  let last = 0;

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

  const open = (id: string, { spec }: SimBalancer) => {
    const number = ++last;
    const address = `127.77.${number >> 8}.${number & 255}`;
    const listening = spec.listeners
      .filter(({ protocol }) => protocol === "TCP")
      .map(({ port }) =>
        createServer((client) => accept(id, client))
          .on("error", () => {})
          .listen(port, address),
      );
    servers.set(id, { address, listening });
  };

  return {
    /** Opens and closes listeners after the balancers have changed. */
    sync() {
      for (const [id, balancer] of world.balancers) {
        if (!servers.has(id) && balancer.spec.scheme === "internet-facing") open(id, balancer);
      }
      for (const [id, { listening }] of servers) {
        if (world.balancers.has(id)) continue;
        for (const server of listening) server.close();
        servers.delete(id);
      }
    },
    address: (id: string): string | undefined => servers.get(id)?.address,
    close() {
      for (const { listening } of servers.values()) for (const server of listening) server.close();
    },
  };
}

/** The healthy target with the fewest connections. */
function choose(world: World, balancer: SimBalancer | undefined) {
  const nowMs = world.clock.monotonicMs();
  const candidates = (balancer?.spec.targets ?? []).flatMap(({ machineId, draining }) => {
    const machine = world.machines.get(machineId);
    const target = balancer?.targets.get(machineId);
    if (draining || !machine || !target || target.healthyAtMs > nowMs || !machine.box.serves()) return [];
    return machine.stoppingAtMs > nowMs ? [{ machine, target }] : [];
  });
  return candidates.sort((a, b) => a.target.connections - b.target.connections)[0];
}
