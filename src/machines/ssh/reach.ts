import { connect, type Socket } from "node:net";
import { DroverError } from "../../base/errors.ts";

/**
 * The way to the machines' addresses: straight, or through a unix socket that takes `IP PORT\n`, answers `OK\n` or
 * `ERR reason\n` and is that TCP connection from then on.
 */
export type Reach = { kind: "tcp" } | { kind: "unix"; path: string };

const answerBytesMax = 1_000;

/** @throws BOX_UNREACHABLE; after `timeoutMs` without a connection, too */
export async function openSocket(reach: Reach, address: string, port: number, timeoutMs: number): Promise<Socket> {
  const unreachable = (reason: string) =>
    new DroverError("BOX_UNREACHABLE", `${address}:${port} can't be reached: ${reason}.`, { address, port });
  const straight = reach.kind === "tcp";
  const socket = straight ? connect({ host: address, port, noDelay: true }) : connect({ path: reach.path });
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error("it does not answer")));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed")));
      socket.once(straight ? "connect" : "readable", () => {
        socket.off("error", reject);
        resolve();
      });
      if (!straight) socket.write(`${address} ${port}\n`);
    });
    if (!straight) await passDialer(socket);
    socket.setTimeout(0);
    return socket;
  } catch (error) {
    socket.destroy();
    throw unreachable(error instanceof Error ? error.message : String(error));
  }
}

/** Takes the dialer's answer off the front of the stream and leaves the rest in it. */
async function passDialer(socket: Socket): Promise<void> {
  let answer = Buffer.alloc(0);
  while (!answer.includes("\n")) {
    const chunk: Buffer | null = socket.read();
    if (chunk) answer = Buffer.concat([answer, chunk]);
    else if (socket.readableEnded || answer.byteLength > answerBytesMax) throw new Error("the dialer gave no answer");
    else
      await new Promise<void>((resolve, reject) => {
        socket.once("readable", resolve);
        socket.once("error", reject);
      });
  }
  const line = answer.subarray(0, answer.indexOf("\n")).toString();
  const rest = answer.subarray(answer.indexOf("\n") + 1);
  if (line !== "OK") throw new Error(line.replace(/^ERR /, ""));
  if (rest.byteLength > 0) socket.unshift(rest);
}
