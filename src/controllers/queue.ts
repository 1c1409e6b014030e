import type { ObjectKey } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";

/** What became of one look at a key. `againInMs`: look again then. */
export type Outcome = { failed: boolean; againInMs?: number };

export type QueueOptions = {
  clock: Clock;
  /** Ends the queue: nothing more is begun. */
  signal: AbortSignal;
  /** Keys worked on at once, 1 or more. */
  concurrency: number;
  /** Never rejects. */
  work: (key: ObjectKey) => Promise<Outcome>;
};

export type Queue = {
  /** Has the key looked at soon; asked for again before that, it is looked at once. */
  add(key: ObjectKey): void;
  /** Nothing is being worked on or waits for its turn; keys that wait for a time do not count. */
  idle(): boolean;
  /** Resolves when nothing is being worked on. */
  drained(): Promise<void>;
};

type Item = { key: ObjectKey; state: "queued" | "working" | "waiting"; again: boolean; failures: number; wait?: Wait };
type Wait = { dueMs: number; cancel: AbortController };

const backoffMinMs = 1_000;
const backoffMaxMs = 300_000;
/** A change queues a failing key sooner than its backoff says, but never sooner than this. */
const changeAfterFailureMs = 1_000;

/** 1 s after the first failure, doubling up to 300 s. */
export const backoffMs = (failures: number): number =>
  Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(20, Math.max(0, failures - 1)));

/** Why a wait ends early: no Error, whose stack would cost more than the wait. */
const cancelled = "cancelled";

const idOf = ({ resource, namespace, name }: ObjectKey): string => `${resource}/${namespace}/${name}`;

function cancelWaits(items: Iterable<Item>): void {
  for (const { wait } of items) wait?.cancel.abort(cancelled);
}

/** Each key is worked on by one worker at a time, at most `concurrency` keys at once, in order of their arrival. */
export function openQueue({ clock, signal, concurrency, work }: QueueOptions): Queue {
  const items = new Map<string, Item>();
  const line: Item[] = [];
  const waiters: (() => void)[] = [];
  let working = 0;
  let isStarting = false;

  function enter(item: Item): void {
    item.wait?.cancel.abort(cancelled);
    delete item.wait;
    item.state = "queued";
    line.push(item);
    startSoon();
  }

  /** Not at once: whoever tells of a change is to have told everybody before work on it begins. */
  function startSoon(): void {
    if (isStarting) return;
    isStarting = true;
    queueMicrotask(startMore);
  }

  function startMore(): void {
    isStarting = false;
    while (!signal.aborted && working < concurrency) {
      const item = line.shift();
      if (!item) return;
      working++;
      item.state = "working";
      void work(item.key).then((outcome) => settle(item, outcome));
    }
  }

  function settle(item: Item, outcome: Outcome): void {
    working--;
    item.failures = outcome.failed ? item.failures + 1 : 0;
    item.state = "waiting";
    const asked = item.again;
    item.again = false;
    if (outcome.failed) wait(item, asked ? changeAfterFailureMs : backoffMs(item.failures));
    else if (asked) enter(item);
    else if (outcome.againInMs !== undefined) wait(item, outcome.againInMs);
    else items.delete(idOf(item.key));
    if (working === 0) for (const wake of waiters.splice(0)) wake();
    startSoon();
  }

  /** At least a whole millisecond, so that time passes between two looks. */
  function wait(item: Item, askedMs: number): void {
    const delayMs = Math.max(1, Math.ceil(askedMs));
    const dueMs = clock.monotonicMs() + delayMs;
    if (item.wait && item.wait.dueMs <= dueMs) return;
    item.wait?.cancel.abort(cancelled);
    const cancel = new AbortController();
    item.wait = { dueMs, cancel };
    const wake = () => {
      if (item.wait?.cancel === cancel && !signal.aborted) enter(item);
    };
    clock.sleep(Math.min(delayMs, 2 ** 31 - 1), cancel.signal).then(wake, () => {});
  }

  signal.addEventListener("abort", () => cancelWaits(items.values()), { once: true });

  return {
    add(key) {
      if (signal.aborted) return;
      const known = items.get(idOf(key));
      if (!known) {
        const item: Item = { key, state: "queued", again: false, failures: 0 };
        items.set(idOf(key), item);
        return enter(item);
      }
      if (known.state === "working") known.again = true;
      else if (known.state === "waiting") {
        if (known.failures > 0) wait(known, changeAfterFailureMs);
        else enter(known);
      }
    },
    idle: () => working === 0 && line.length === 0,
    drained: () => (working === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
  };
}
