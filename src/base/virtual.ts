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
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
        reject(signal?.reason);
      };
      timer.wake = () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      signal?.addEventListener("abort", stop, { once: true });
      const at = this.#timers.findIndex((other) => other.atMs > timer.atMs);
      this.#timers.splice(at < 0 ? this.#timers.length : at, 0, timer);
    });
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
