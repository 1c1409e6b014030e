import type { ObjectKey } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";

/** Milliseconds, or what tells them anew each time. */
export type Pause = number | (() => number);

/** What became of one look at a key. `againInMs`: look again then. */
export type Outcome = { failed: boolean; againInMs?: number };

export type QueueOptions = {
  clock: Clock;
  /** Ends the queue: nothing more is begun. */
  signal: AbortSignal;
  /** Keys worked on at once, 1 or more. */
  concurrency: number;
  /** A key rests for so long after it was looked at: the changes of that time are looked at together. */
  pauseMs: Pause;
  /** Never rejects. */
  work: (key: ObjectKey) => Promise<Outcome>;
};

type Item = {
  key: ObjectKey;
  state: "queued" | "working" | "resting" | "waiting";
  again: boolean;
  failures: number;
  wait?: Wait;
};
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

/** Each key is worked on by one worker at a time, at most `concurrency` keys at once, in order of their arrival. */
export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #items = new Map<string, Item>();
  readonly #line: Item[] = [];
  readonly #waiters: (() => void)[] = [];
  #working = 0;
  #isStarting = false;

  constructor(options: QueueOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#cancelWaits(), { once: true });
  }

  /** Has the key looked at soon; asked for again before that, it is looked at once. */
  add(key: ObjectKey): void {
    if (this.#options.signal.aborted) return;
    const known = this.#items.get(idOf(key));
    if (!known) {
      const item: Item = { key, state: "queued", again: false, failures: 0 };
      this.#items.set(idOf(key), item);
      this.#enter(item);
    } else if (known.state === "working" || known.state === "resting") known.again = true;
    else if (known.state === "waiting" && known.failures > 0) this.#wait(known, changeAfterFailureMs);
    else if (known.state === "waiting") this.#enter(known);
  }

  /** What stood in the way is over: keys that failed are looked at now, whatever their backoff says. */
  retry(): void {
    for (const item of this.#items.values()) if (item.state === "waiting" && item.failures > 0) this.#enter(item);
  }

  /** Nothing is being worked on or waits for its turn; keys that wait for a time do not count. */
  idle = (): boolean => this.#working === 0 && this.#line.length === 0;

  /** Resolves when nothing is being worked on. */
  drained = (): Promise<void> =>
    this.#working === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve));

  #enter(item: Item): void {
    item.wait?.cancel.abort(cancelled);
    delete item.wait;
    item.state = "queued";
    item.again = false;
    this.#line.push(item);
    this.#startSoon();
  }

  /** Not at once: whoever tells of a change is to have told everybody before work on it begins. */
  #startSoon(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    queueMicrotask(() => this.#startMore());
  }

  #startMore(): void {
    const { signal, concurrency, work } = this.#options;
    this.#isStarting = false;
    while (!signal.aborted && this.#working < concurrency) {
      const item = this.#line.shift();
      if (!item) return;
      this.#working++;
      item.state = "working";
      void work(item.key).then((outcome) => this.#settle(item, outcome));
    }
  }

  #settle(item: Item, outcome: Outcome): void {
    const { clock, pauseMs: pause } = this.#options;
    const pauseMs = typeof pause === "number" ? pause : pause();
    this.#working--;
    item.failures = outcome.failed ? item.failures + 1 : 0;
    if (outcome.failed) this.#wait(item, item.again ? changeAfterFailureMs : backoffMs(item.failures));
    else if (pauseMs === 0) this.#leave(item, outcome, 0);
    else {
      item.state = "resting";
      void clock.sleep(pauseMs).then(() => this.#leave(item, outcome, pauseMs));
    }
    if (this.#working === 0) for (const wake of this.#waiters.splice(0)) wake();
    this.#startSoon();
  }

  #leave(item: Item, { againInMs }: Outcome, restedMs: number): void {
    if (item.again) this.#enter(item);
    else if (againInMs !== undefined) this.#wait(item, againInMs - restedMs);
    else this.#items.delete(idOf(item.key));
  }

  /** At least a whole millisecond, so that time passes between two looks. */
  #wait(item: Item, askedMs: number): void {
    const { clock, signal } = this.#options;
    if (signal.aborted) return;
    item.state = "waiting";
    item.again = false;
    const delayMs = Math.min(2 ** 31 - 1, Math.max(1, Math.ceil(askedMs)));
    const dueMs = clock.monotonicMs() + delayMs;
    if (item.wait && item.wait.dueMs <= dueMs) return;
    item.wait?.cancel.abort(cancelled);
    const cancel = new AbortController();
    item.wait = { dueMs, cancel };
    const wake = () => {
      if (item.wait?.cancel !== cancel) return;
      delete item.wait; // It is over: nothing is left to cancel.
      this.#enter(item);
    };
    clock.sleep(delayMs, cancel.signal).then(wake, () => {});
  }

  #cancelWaits(): void {
    for (const { wait } of this.#items.values()) wait?.cancel.abort(cancelled);
  }
}
