import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { DroverError } from "../../base/errors.ts";
import type { FromThread, Task, ThreadSettings, ToThread } from "./messages.ts";
import { serveLinks } from "./serve.ts";

export type Thread = {
  say(message: ToThread): void;
  /** @throws BOX_UNREACHABLE, BOX_TAKEN, BOX_REFUSED; the signal's reason */
  perform(machineId: string, task: Task, signal?: AbortSignal, ports?: readonly MessagePort[]): Promise<void>;
  close(): Promise<void>;
};

/**
 * Starts the thread of the connections. TypeScript that a test runner compiles for its own thread only has no other
 * thread to run in: there everything stays in this one.
 */
function start(settings: ThreadSettings): { port: MessagePort | Worker; end: () => Promise<unknown> } {
  if (import.meta.url.endsWith(".ts")) {
    const { port1, port2 } = new MessageChannel();
    serveLinks(port2, settings);
    return { port: port1, end: async () => port1.close() };
  }
  const worker = new Worker(new URL("./thread.js", import.meta.url), { workerData: settings });
  return { port: worker, end: () => worker.terminate() };
}

/** The connections as seen from outside their thread. `onMessage` gets all but the answers to tasks. */
export function openThread(settings: ThreadSettings, onMessage: (message: FromThread) => void): Thread {
  const { port, end } = start(settings);
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  let nextId = 1;
  let closed: (() => void) | undefined;
  const fail = (message: string) => {
    for (const { reject } of open.values()) reject(new DroverError("BOX_UNREACHABLE", message));
    open.clear();
  };
  port.on("message", (message: FromThread) => {
    if (message.type === "closed") closed?.();
    else if (message.type !== "done") onMessage(message);
    else {
      const task = open.get(message.id);
      open.delete(message.id);
      if (message.failure) task?.reject(new DroverError(message.failure.code, message.failure.message));
      else task?.resolve();
    }
  });
  return {
    say: (message) => port.postMessage(message),
    async perform(machineId, task, signal, ports = []) {
      signal?.throwIfAborted();
      const id = nextId++;
      let abort: (() => void) | undefined;
      try {
        await new Promise<void>((resolve, reject) => {
          abort = () => reject(signal?.reason);
          signal?.addEventListener("abort", abort, { once: true });
          open.set(id, { resolve, reject });
          port.postMessage({ type: "task", id, machineId, task } satisfies ToThread, [...ports]);
        });
      } finally {
        open.delete(id);
        if (abort) signal?.removeEventListener("abort", abort);
      }
    },
    async close() {
      const done = new Promise<void>((resolve) => {
        closed = resolve;
      });
      port.postMessage({ type: "close" } satisfies ToThread);
      await done;
      fail("drover is ending.");
      await end();
    },
  };
}
