import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect, isIP, isIPv6 } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { framed } from "./resolver-server.ts";

const answerTimeoutMs = 1_500;
const serversMax = 3;

/** The computer's own resolvers, as its C library would ask them. */
export function hostResolvers(path = "/etc/resolv.conf"): string[] {
  try {
    const named = [...readFileSync(path, "utf8").matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
      ([, address = ""]) => address,
    );
    return named.filter((address) => isIP(address.split("%")[0] ?? "") !== 0).slice(0, serversMax);
  } catch {
    return [];
  }
}

/** Sends one DNS message to the resolvers in turn until one answers. @throws when none does */
export async function askUpstream(message: Buffer, servers = hostResolvers(), port = 53): Promise<Buffer> {
  for (const server of servers) {
    const reply = await byDatagram(message, server, port).catch(() => undefined);
    if (reply === undefined) continue;
    const truncated = reply.length > 2 && (reply.readUInt8(2) & 0x02) !== 0;
    return truncated ? await byStream(message, server, port).catch(() => reply) : reply;
  }
  throw new Error("none of the computer's resolvers answers");
}

/** Rejects after a while; the signal ends the wait. */
const late = (signal: AbortSignal): Promise<never> =>
  systemClock.sleep(answerTimeoutMs, signal).then(() => {
    throw new Error("no answer in time");
  });

async function byDatagram(message: Buffer, server: string, port: number): Promise<Buffer> {
  const socket = createSocket(isIPv6(server.split("%")[0] ?? "") ? "udp6" : "udp4");
  const stop = new AbortController();
  try {
    const reply = new Promise<Buffer>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("message", (bytes) => {
        if (bytes.length >= 12 && bytes.readUInt16BE(0) === message.readUInt16BE(0)) resolve(bytes);
      });
      socket.connect(port, server, () => socket.send(message));
    });
    return await Promise.race([reply, late(stop.signal)]);
  } finally {
    stop.abort();
    socket.close();
  }
}

async function byStream(message: Buffer, server: string, port: number): Promise<Buffer> {
  const socket = connect(port, server);
  const stop = new AbortController();
  try {
    const reply = new Promise<Buffer>((resolve, reject) => {
      let rest: Buffer = Buffer.alloc(0);
      socket.on("error", reject);
      socket.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        if (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0))
          resolve(rest.subarray(2, 2 + rest.readUInt16BE(0)));
      });
      socket.write(framed(message));
    });
    return await Promise.race([reply, late(stop.signal)]);
  } finally {
    stop.abort();
    socket.destroy();
  }
}
