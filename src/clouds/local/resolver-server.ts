import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import type { Resolver } from "./resolver.ts";

const idleMs = 10_000;

/** Listens for questions over UDP and TCP. @throws EADDRINUSE and its like */
export async function serveResolver(resolver: Resolver, address: string, port: number): Promise<void> {
  const udp = createSocket("udp4");
  udp.on("message", (message, from) => {
    void resolver.answer(message, "udp").then((reply) => {
      if (reply !== undefined) udp.send(reply, from.port, from.address, () => undefined);
    });
  });
  await new Promise<void>((resolve, reject) => {
    udp.once("error", reject);
    udp.bind(port, address, resolve);
  });
  udp.on("error", () => undefined);
  const tcp = createServer((socket) => serveStream(resolver, socket));
  await new Promise<void>((resolve, reject) => {
    tcp.once("error", reject);
    tcp.listen(port, address, resolve);
  });
  tcp.on("error", () => undefined);
}

/** Messages with their length in two bytes before them. */
function serveStream(resolver: Resolver, socket: Socket): void {
  let rest = Buffer.alloc(0);
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const length = rest.readUInt16BE(0);
      const message = rest.subarray(2, 2 + length);
      rest = rest.subarray(2 + length);
      void resolver.answer(message, "tcp").then((reply) => {
        if (reply !== undefined && !socket.destroyed) socket.write(framed(reply));
      });
    }
  });
}

/** A message as it goes over TCP. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
