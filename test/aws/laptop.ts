import type { Clock } from "../../src/base/clock.ts";

/** A computer whose lid can be closed: nothing on it goes on, its monotonic clock least of all, and the world does. */
export function openLaptop(world: Clock) {
  let sleptMs = 0;
  let sleeps = 0;
  let closedAtMs: number | undefined;
  let sleepers: (() => void)[] = [];
  const monotonicMs = () => (closedAtMs ?? world.monotonicMs()) - sleptMs;

  /** Resolves while the lid is open. */
  const awake = (): Promise<void> =>
    closedAtMs === undefined ? Promise.resolve() : new Promise((resolve) => sleepers.push(resolve));

  async function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const dueMs = monotonicMs() + delayMs;
    do {
      await world.sleep(Math.max(0, dueMs - monotonicMs()), signal);
      if (closedAtMs !== undefined) await awake();
      // What is less than a microsecond is an error of rounding, in which no time would pass.
    } while (dueMs - monotonicMs() > 0.001);
  }

  return {
    clock: { wallMs: world.wallMs, monotonicMs, sleep } satisfies Clock,
    awake,
    isOpen: () => closedAtMs === undefined,
    /** How often the lid was closed. */
    sleeps: () => sleeps,
    close(): void {
      sleeps++;
      closedAtMs = world.monotonicMs();
    },
    open(): void {
      sleptMs += world.monotonicMs() - (closedAtMs ?? world.monotonicMs());
      closedAtMs = undefined;
      for (const wake of sleepers) wake();
      sleepers = [];
    },
  };
}
