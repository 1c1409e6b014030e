import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { lost, readLine } from "./line.ts";

/**
 * The way to the machines' addresses: straight, or through a unix socket that takes `IP PORT\n`, answers `OK\n` or
 * `ERR reason\n` and is that TCP connection from then on.
 */
export type Reach = { kind: "tcp" } | { kind: "unix"; path: string };

/** @throws BOX_UNREACHABLE; after `timeoutMs` without a connection, too */
export async function openSocket(reach: Reach, address: string, port: number, timeoutMs: number): Promise<Socket> {
  const socket = reach.kind === "tcp" ? connect({ host: address, port, noDelay: true }) : connect({ path: reach.path });
  const given = new AbortController();
  void systemClock.sleep(timeoutMs, given.signal).then(
    () => socket.destroy(new Error("it does not answer")),
    () => undefined,
  );
  socket.on("error", () => undefined);
  try {
    if (reach.kind === "tcp") await once(socket, "connect");
    else await passDialer(socket, address, port);
    return socket;
  } catch (error) {
    socket.destroy();
    throw lost(`${address}:${port} can't be reached: ${error instanceof Error ? error.message : error}`, error);
  } finally {
    given.abort();
  }
}

async function passDialer(socket: Socket, address: string, port: number): Promise<void> {
  socket.write(`${address} ${port}\n`);
  const answer = await readLine(socket);
  if (answer !== "OK") throw new Error(answer.replace(/^ERR /, ""));
}
