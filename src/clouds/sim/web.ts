import { createServer, type Server } from "node:http";
import { type Duplex, duplexPair } from "node:stream";
import { httpStatus } from "./program.ts";
import type { SimMachine, World } from "./world.ts";

/** A connection without a request is closed after this, in simulated time. */
const keepAliveMs = 60_000;
/** A connection is closed after this many requests, as web servers do. */
const requestsMax = 100;

/** A page that says which Pod and image answered; `/slow?seconds=8` trickles its answer, `/status/N` answers N. */
export function webServer(world: World): { connect(machine: SimMachine): Duplex } {
  const machines = new WeakMap<object, SimMachine>();
  /** How many requests a connection has carried. */
  const requests = new WeakMap<object, number>();
  const server: Server = createServer({ keepAlive: true }, (request, response) => {
    const machine = machines.get(request.socket);
    const binding = machine?.box.binding();
    const url = new URL(request.url ?? "/", "http://machine");
    const container = binding?.containers[0];
    if (container) machine?.box.request(container.name, `${request.method} ${url.pathname}`);
    const body = `${binding?.name ?? "nobody"} ${container?.image ?? ""}\n`;
    response.writeHead(httpStatus(url.pathname), {
      "content-type": "text/plain",
      "content-length": Buffer.byteLength(body),
    });
    const seconds = Math.min(60, Number(url.searchParams.get("seconds") ?? 8));
    if (url.pathname !== "/slow") return response.end(body);
    response.write(body.slice(0, 1));
    return world.clock.sleep(seconds * 1_000, machine?.box.ended()).then(
      () => response.end(body.slice(1)),
      () => response.destroy(),
    );
  });
  server.maxRequestsPerSocket = requestsMax;
  server.on("request", (request, response) => {
    const { socket } = request;
    const count = (requests.get(socket) ?? 0) + 1;
    requests.set(socket, count);
    const closeIdle = () => void (requests.get(socket) === count && socket.end());
    response.once("finish", () => void world.clock.sleep(keepAliveMs).then(closeIdle));
  });
  return {
    connect(machine) {
      const [client, serverSide] = duplexPair();
      machines.set(serverSide, machine);
      client.once("close", () => serverSide.destroy());
      serverSide.once("close", () => client.destroy());
      const close = () => serverSide.destroy();
      machine.box.silent().addEventListener("abort", close, { once: true });
      serverSide.once("close", () => machine.box.silent().removeEventListener("abort", close));
      server.emit("connection", serverSide);
      return client;
    },
  };
}
