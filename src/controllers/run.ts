import type { KubeObject, ObjectKey, Resource } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { Clock } from "../base/clock.ts";
import { isCode, isTold } from "../base/errors.ts";
import type { Client } from "../registry/client.ts";
import { type Pause, WorkQueue } from "./queue.ts";
import type { Action, Reconciler } from "./reconciler.ts";

/** What controllers say to the log; pino has this shape. */
export type Log = Record<"debug" | "info" | "warn" | "error", (fields: object, message: string) => void>;

export type RunOptions = {
  client: Client;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
  /** Carries out one action. @throws what the store, the API or the cloud throws */
  act: (action: Action, signal: AbortSignal) => Promise<void>;
  /** Keys worked on at once. */
  concurrency: number;
  /** See the queue's. */
  pauseMs: Pause;
};

export type Runner = {
  readonly name: string;
  /** What it watches. */
  readonly resources: readonly Resource[];
  add(key: ObjectKey): void;
  /** The changed object queues what the reconciler says. */
  changed(resource: Resource, object: KubeObject): void;
  /** Keys that failed are looked at at once. */
  retry(): void;
  idle(): boolean;
  drained(): Promise<void>;
};

/** Nothing more is made in a namespace that is ending, and what asks for it ends with that. */
const isOfEndingNamespace = (error: unknown): boolean =>
  error instanceof ApiError &&
  error.status.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") === true;

/** Resource of `watches` that stands for all. */
export const anyResource = "any";

/** Runs one reconciler: changes queue keys, a worker observes, plans and acts. Ends when `signal` aborts. */
export function runReconciler<World>(reconciler: Reconciler<World>, options: RunOptions): Runner {
  const { client, clock, log, signal, act, concurrency, pauseMs } = options;
  const failures = new Map<string, string>();

  async function work(key: ObjectKey): Promise<{ failed: boolean; againInMs?: number }> {
    const id = `${key.resource}/${key.namespace}/${key.name}`;
    try {
      const world = reconciler.observe(key, failures.get(id));
      if (world === undefined) {
        failures.delete(id);
        return { failed: false };
      }
      const { actions, againInMs } = reconciler.plan(world, clock.wallMs());
      for (const action of actions) {
        if (signal.aborted) return { failed: false };
        await act(action, signal);
      }
      failures.delete(id);
      return againInMs === undefined ? { failed: false } : { failed: false, againInMs };
    } catch (error) {
      if (signal.aborted) return { failed: false };
      const message = error instanceof Error ? error.message : String(error);
      const isKnown = isTold(error) || isOfEndingNamespace(error) || failures.get(id) === message;
      failures.set(id, message);
      if (isCode(error, "CLOUD_AUTH") && !isKnown) await tellDenied(key, message);
      log[isKnown ? "debug" : "warn"](
        { controller: reconciler.name, key: id, error },
        `${reconciler.name}: ${message}`,
      );
      return { failed: true };
    }
  }

  /** What is not permitted is told where its victim is looked at, too, if there is an object that is one. */
  async function tellDenied(key: ObjectKey, message: string): Promise<void> {
    const about = client.view.get(key.resource, key.namespace, key.name);
    if (about === undefined || isNamedOn(about, message)) return;
    const source = `${reconciler.name}-controller`;
    const notice = { about, type: "Warning", reason: "NotPermitted", message, source } as const;
    await act({ do: "tell", notice }, signal).catch(() => undefined);
  }

  /** Its controller has told it in words of its own. */
  const isNamedOn = ({ metadata }: KubeObject, said: string): boolean =>
    client.view
      .list("events", metadata.namespace || "default")
      .some(({ involvedObject, message = "" }) => involvedObject.uid === metadata.uid && message.includes(said));

  const queue = new WorkQueue({ clock, signal, concurrency, pauseMs, work });
  return {
    name: reconciler.name,
    resources: Object.keys(reconciler.watches),
    add: (key) => queue.add(key),
    retry: () => queue.retry(),
    idle: queue.idle,
    drained: queue.drained,
    changed(resource, object) {
      for (const watched of [resource, anyResource]) {
        for (const key of reconciler.watches[watched]?.(object, client.view) ?? []) queue.add(key);
      }
    },
  };
}
