import { chmodSync, linkSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket, connect as socketConnect } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { DroverError, type ErrorCode } from "../../base/errors.ts";
import { readLines } from "./lines.ts";

/**
 * Commands over a unix socket, one JSON document a line: `{call, do, with}` there, `{call, value}` or `{call, error}`
 * back, many at a time in any order. Only the owner of the socket may connect.
 */
export type Handlers = Readonly<Record<string, (given: unknown) => unknown>>;

type Request = { call: number; do: string; with: unknown };
type Reply = { call: number; value?: unknown; error?: { code: ErrorCode; message: string } };

/**
 * Listens at `path`, for its owner only. A living socket is never taken over.
 * @throws EEXIST when something else listens there
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  if (!(await answers(path))) rmSync(path, { force: true });
  const own = `${path}.${process.pid}`;
  rmSync(own, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(own, resolve);
  });
  chmodSync(own, 0o600);
  try {
    // A link is made or refused in one step, where bind after unlink would let two starters both believe they won.
    linkSync(own, path);
  } finally {
    rmSync(own, { force: true });
  }
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = socketConnect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });

/** Serves commands at `path`. @throws EEXIST when another process does */
export async function serveCommands(path: string, handlers: Handlers): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    readLines(socket, (line) => {
      void answer(handlers, line).then((reply) => {
        if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
      });
    });
  });
  await listenPrivately(server, path);
  return server;
}

async function answer(handlers: Handlers, line: string): Promise<Reply> {
  let call = -1;
  try {
    const request = JSON.parse(line) as Request;
    call = request.call;
    const handler = Object.hasOwn(handlers, request.do) ? handlers[request.do] : undefined;
    if (handler === undefined) throw new DroverError("CLOUD_INVALID", `There is no command ${request.do}.`);
    return { call, value: await handler(request.with) };
  } catch (error) {
    const code = error instanceof DroverError ? error.code : "CLOUD_UNAVAILABLE";
    return { call, error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
}

export type Commands = {
  /** @throws DroverError as the other side gave it; CLOUD_UNAVAILABLE when it is gone or slower than `timeoutMs` */
  call(command: string, given?: unknown, timeoutMs?: number): Promise<unknown>;
  /** True until the other side goes away. */
  connected(): boolean;
  close(): void;
};

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void; stop: AbortController };

/** Connects to the commands at `path`. @throws CLOUD_UNAVAILABLE when nobody listens */
export async function connectCommands(path: string, clock: Clock): Promise<Commands> {
  const socket = await connectTo(path);
  const waiting = new Map<number, Waiting>();
  let calls = 0;
  const settle = (call: number, act: (one: Waiting) => void) => {
    const one = waiting.get(call);
    if (one === undefined) return;
    waiting.delete(call);
    one.stop.abort();
    if (waiting.size === 0) socket.unref();
    act(one);
  };
  const fail = (call: number, message: string) =>
    settle(call, (one) => one.reject(new DroverError("CLOUD_UNAVAILABLE", message)));
  readLines(socket, (line) => {
    const reply = JSON.parse(line) as Reply;
    const { error } = reply;
    if (error === undefined) settle(reply.call, (one) => one.resolve(reply.value));
    else settle(reply.call, (one) => one.reject(new DroverError(error.code, error.message)));
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    for (const call of [...waiting.keys()]) fail(call, `The process behind ${path} has gone.`);
  });
  socket.unref();
  return {
    call(command, given, timeoutMs = 20_000) {
      if (socket.destroyed) {
        return Promise.reject(new DroverError("CLOUD_UNAVAILABLE", `The process behind ${path} has gone.`));
      }
      return new Promise((resolve, reject) => {
        const call = calls++;
        const stop = new AbortController();
        waiting.set(call, { resolve, reject, stop });
        socket.ref();
        socket.write(`${JSON.stringify({ call, do: command, with: given } satisfies Request)}\n`);
        const late = () => fail(call, `${command} was not answered within ${timeoutMs / 1000} s at ${path}.`);
        clock.sleep(timeoutMs, stop.signal).then(late, () => undefined);
      });
    },
    connected: () => !socket.destroyed,
    close: () => socket.destroy(),
  };
}

/** A connection to a unix socket that leaves each direction open until its own end. @throws CLOUD_UNAVAILABLE */
export const connectTo = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = socketConnect({ path, allowHalfOpen: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", (cause) =>
      reject(new DroverError("CLOUD_UNAVAILABLE", `Nobody listens at ${path}: ${cause.message}.`, {}, cause)),
    );
  });
