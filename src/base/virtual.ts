import type { Clock } from "./clock.ts";

type Timer = { atMs: number; order: number; wake: () => void };

/**
 * Time that passes only when it is told to. Everything that sleeps on it wakes in order of its due time, ties in the
 * order in which they were asked for, so a run depends on nothing but its inputs.
 */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #originMs: number;
  readonly #timers: Timer[] = [];

  /** `originMs`: the wall time at the start, ms since the Unix epoch. */
  constructor(originMs = 1_767_225_600_000) {
    this.#originMs = originMs;
  }

  wallMs = (): number => this.#originMs + this.#nowMs;
  monotonicMs = (): number => this.#nowMs;

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, wake: () => resolve() };
      const stop = () => {
        const index = this.#placeOf(timer);
        if (this.#timers[index] === timer) this.#timers.splice(index, 1);
        reject(signal?.reason);
      };
      timer.wake = () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#timers.splice(this.#placeOf(timer), 0, timer);
    });
  }

  /** Index of the timer, or of the first one that wakes after it. */
  #placeOf({ atMs, order }: Timer): number {
    let [low, high] = [0, this.#timers.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle];
      if (other && (other.atMs < atMs || (other.atMs === atMs && other.order < order))) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The next due time in ms on the monotonic scale, or undefined when nothing sleeps. */
  nextMs(): number | undefined {
    return this.#timers[0]?.atMs;
  }

  /** Lets `durationMs` pass, waking every sleeper in order and letting its promises settle before the next. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await settle();
    for (let timer = this.#timers[0]; timer !== undefined && timer.atMs <= untilMs; timer = this.#timers[0]) {
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.wake();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** Until every promise that can settle without a timer has settled. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
