import { createConnection, type Socket } from "node:net";
import { type Clock, systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { readLines } from "./lines.ts";

/** A conversation over a unix socket in lines of JSON, one answer to each request in turn. */
export type Conversation = {
  /** @throws CLOUD_UNAVAILABLE when the other side has gone or is silent for `timeoutMs` */
  ask(request: Record<string, unknown>, timeoutMs: number): Promise<Record<string, unknown>>;
  close(): void;
};

const connectPollMs = 10;

/** Opens it as soon as somebody listens at `path`. Lines that `isAnswer` doesn't take are left out. */
export async function converse(
  path: string,
  o: { isAnswer?: (line: Record<string, unknown>) => boolean; withinMs: number; signal?: AbortSignal; clock?: Clock },
): Promise<Conversation> {
  const clock = o.clock ?? systemClock;
  const socket = await connectWithin(path, o.withinMs, clock, o.signal);
  const waiting: { resolve: (line: Record<string, unknown>) => void; reject: (error: unknown) => void }[] = [];
  const lost = (): void => {
    const error = new DroverError("CLOUD_UNAVAILABLE", `The machine at ${path} has closed its connection.`);
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  socket.on("error", lost).on("close", lost);
  readLines(socket, (text) => {
    const line = parse(text);
    if (line !== undefined && (o.isAnswer?.(line) ?? true)) waiting.shift()?.resolve(line);
  });
  return {
    ask: (request, timeoutMs) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new DroverError("CLOUD_UNAVAILABLE", `Nobody answers at ${path}.`));
        const ended = new AbortController();
        const late = new DroverError("CLOUD_UNAVAILABLE", `The machine at ${path} did not answer in ${timeoutMs} ms.`);
        clock.sleep(timeoutMs, ended.signal).then(
          () => socket.destroy(late),
          () => undefined,
        );
        const settled = <T>(settle: (value: T) => void) => {
          return (value: T) => {
            ended.abort();
            settle(value);
          };
        };
        waiting.push({ resolve: settled(resolve), reject: settled(reject) });
        socket.write(`${JSON.stringify(request)}\n`);
      }),
    close: () => socket.destroy(),
  };
}

/** What a guest says is not to be trusted, not even to be JSON. */
function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

async function connectWithin(path: string, withinMs: number, clock: Clock, signal?: AbortSignal): Promise<Socket> {
  const deadlineMs = clock.monotonicMs() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = createConnection({ path }, () => resolve(socket));
        socket.once("error", reject);
      });
    } catch (cause) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new DroverError("CLOUD_UNAVAILABLE", `Nobody listens at ${path} after ${withinMs} ms.`, {}, cause);
      }
    }
    await clock.sleep(connectPollMs, signal);
  }
}

/** QEMU's own control socket. */
export type Monitor = {
  /** @throws CLOUD_UNAVAILABLE with QEMU's own words when it refuses the command */
  execute(command: string, given?: Record<string, unknown>): Promise<unknown>;
  close(): void;
};

const commandTimeoutMs = 60_000;

/** Connects to the monitor of a QEMU that is starting. */
export async function openMonitor(path: string, withinMs: number, signal?: AbortSignal): Promise<Monitor> {
  const isAnswer = (line: Record<string, unknown>): boolean => "return" in line || "error" in line;
  const talk = await converse(path, { isAnswer, withinMs, ...(signal ? { signal } : {}) });
  const execute = async (command: string, given: Record<string, unknown> = {}): Promise<unknown> => {
    const line = await talk.ask({ execute: command, arguments: given }, commandTimeoutMs);
    if ("return" in line) return line["return"];
    throw new DroverError("CLOUD_UNAVAILABLE", `QEMU refused ${command}: ${JSON.stringify(line["error"])}`);
  };
  await execute("qmp_capabilities");
  return { execute, close: talk.close };
}

/** Waits for the migration that was begun, in either direction. @throws CLOUD_UNAVAILABLE when it fails */
export async function migrated(monitor: Monitor, clock: Clock, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const state = (await monitor.execute("query-migrate")) as { status?: string };
    if (state.status === "completed") return;
    if (state.status === "failed" || state.status === "cancelled") {
      throw new DroverError("CLOUD_UNAVAILABLE", `QEMU could not carry the machine's state: ${JSON.stringify(state)}`);
    }
    await clock.sleep(10, signal);
  }
}
