import type { IncomingMessage } from "node:http";
import { type Duplex, PassThrough, type Writable } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { badRequest } from "../../api/status.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";
import { acceptSpdy, chosen, isSpdy, isWebSocket, offered, queryOf, refuseUpgrade } from "./upgrade.ts";
import { acceptWebSocket, channelWriter, onMessages, writeTo } from "./websocket.ts";

const spdyProtocol = "portforward.k8s.io";
/** SPDY inside a WebSocket's messages. */
const tunnelProtocol = "SPDY/3.1+portforward.k8s.io";
const channelProtocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/** Ports that one request by channels may name; each takes two of the 256 channels. */
const portsMax = 100;

/** A byte stream to a port inside the Pod. @throws when nothing listens there */
type Connect = (port: number) => Promise<Duplex>;

/**
 * Serves `kubectl port-forward` on a connection that asks to be upgraded: SPDY, SPDY inside a WebSocket, or plain
 * WebSocket channels. Resolves when the connection is gone, never rejects.
 */
export async function portForwardStream(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  connect: Connect,
): Promise<void> {
  if (isSpdy(request) && offered(request, "x-stream-protocol-version").includes(spdyProtocol)) {
    acceptSpdy(socket, head, spdyProtocol);
    await forwardStreams(socket, connect);
    return;
  }
  const offers = isWebSocket(request) ? offered(request, "sec-websocket-protocol") : [];
  const protocol = chosen([tunnelProtocol, ...channelProtocols], offers);
  const ports = portsOf(request);
  if (protocol === undefined || (protocol !== tunnelProtocol && ports.length === 0)) {
    refuseUpgrade(socket, badRequest("unable to upgrade: no protocol in common, or no ports given"));
    return;
  }
  const webSocket = await acceptWebSocket(request, socket, head, protocol);
  if (!webSocket) return;
  if (protocol === tunnelProtocol) await forwardStreams(createWebSocketStream(webSocket), connect);
  else await forwardChannels(webSocket, ports, connect);
}

const portsOf = (request: IncomingMessage): number[] =>
  queryOf(request)
    .getAll("ports")
    .flatMap((text) => text.split(","))
    .map(Number)
    .filter(isPort)
    .slice(0, portsMax);

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;

/** Each forwarded connection is a pair of streams with the same request id: first for errors, then for its data. */
async function forwardStreams(transport: Duplex, connect: Connect): Promise<void> {
  const errors = new Map<string, Duplex>();
  const onStream = ({ id, headers, duplex }: SpdyStream) => {
    const isData = headers.get("streamtype") === "data";
    const requestId = headers.get("requestid") ?? String(isData ? id - 2 : id);
    if (!isData) {
      duplex.resume();
      duplex.once("close", () => errors.delete(requestId));
      errors.set(requestId, duplex);
      return;
    }
    const error = errors.get(requestId);
    if (error) void forward(duplex, error, Number(headers.get("port")), connect);
    else duplex.destroy();
  };
  await new SpdyConnection(transport, onStream).closed;
}

/** Copies both ways until both have ended; a failure goes to `error` as text. */
async function forward(data: Duplex, error: Writable, port: number, connect: Connect): Promise<void> {
  let target: Duplex;
  try {
    if (!isPort(port)) throw new Error(`${port} is no port`);
    target = await connect(port);
  } catch (failure) {
    data.resume();
    data.end();
    error.end(failureText(port, failure));
    return;
  }
  if (data.destroyed) {
    target.destroy();
    return;
  }
  let failure: unknown;
  target.on("error", (reason) => {
    failure = reason;
  });
  data.pipe(target);
  target.pipe(data, { end: false });
  data.once("close", () => target.destroy());
  const end = () => {
    data.unpipe(target);
    data.resume();
    data.end();
    error.end(failure === undefined ? undefined : failureText(port, failure));
  };
  // A target that is done writing has nothing more to say to a client that only waits for its answer.
  target.once("end", end);
  target.once("close", end);
}

const failureText = (port: number, failure: unknown): string =>
  `error forwarding port ${port}: ${failure instanceof Error ? failure.message : String(failure)}`;

/** Channel 2i carries the data of port i and 2i + 1 its errors; both begin with the port in two bytes. */
async function forwardChannels(webSocket: WebSocket, ports: readonly number[], connect: Connect): Promise<void> {
  const inputs = ports.map((port, index) => {
    const [input, data, error] = [
      new PassThrough(),
      channelWriter(webSocket, index * 2),
      channelWriter(webSocket, index * 2 + 1),
    ];
    const greeting = Buffer.alloc(2);
    greeting.writeUInt16LE(port);
    data.write(greeting);
    error.write(greeting);
    void forwardChannel(input, data, error, port, connect);
    return input;
  });
  onMessages(webSocket, (message) => {
    const channel = message[0] ?? 1;
    const input = channel % 2 === 0 ? inputs[channel / 2] : undefined;
    return input && writeTo(input, message.subarray(1));
  });
  await new Promise<void>((resolve) => {
    webSocket.once("close", () => {
      for (const input of inputs) input.destroy();
      resolve();
    });
  });
}

async function forwardChannel(input: Duplex, data: Writable, error: Writable, port: number, connect: Connect) {
  try {
    const target = await connect(port);
    target.on("error", (failure) => error.write(failureText(port, failure)));
    input.once("close", () => target.destroy());
    if (input.destroyed) target.destroy();
    input.pipe(target);
    target.pipe(data);
  } catch (failure) {
    input.resume();
    error.write(failureText(port, failure));
  }
}
