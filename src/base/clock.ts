/** The only door for time. `Date` and `setTimeout` are lint errors outside `src/base/`. */
export interface Clock {
  /** Wall time, ms since the Unix epoch. May step backwards: for timestamps users read, never deadlines. */
  wallMs(): number;
  /** Monotonic time, ms since an arbitrary origin. For deadlines and backoff. */
  monotonicMs(): number;
  /** Resolves after `delayMs` (0 to 2^31-1). Rejects with `signal.reason` when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The computer's own time. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const dueMs = performance.now() + delayMs;
      // Timers count whole milliseconds and may fire a fraction early, and who is woken early may wait for ever.
      const wake = () => {
        const leftMs = dueMs - performance.now();
        if (leftMs > 0) {
          timer = setTimeout(wake, Math.ceil(leftMs));
          return;
        }
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      let timer = setTimeout(wake, Math.ceil(delayMs));
      signal?.addEventListener("abort", stop, { once: true });
    }),
};

/** RFC 3339 with whole seconds, the form of every Kubernetes `Time`. */
export const rfc3339 = (wallMs: number): string => `${new Date(wallMs).toISOString().slice(0, -5)}Z`;

/** RFC 3339 with microseconds, the form of every Kubernetes `MicroTime`. */
export const rfc3339Micro = (wallMs: number): string => new Date(wallMs).toISOString().replace(/Z$/, "000Z");

/** Milliseconds since the Unix epoch of an RFC 3339 text, or NaN. */
export const parseTimeMs = (text: string): number => Date.parse(text);

/** The same instant as a `Date`, for libraries that take nothing else. */
export const dateOf = (wallMs: number): Date => new Date(wallMs);

/** `clock` with time passing `speed` times as fast, for a simulated world beside a real one. Wall time stays true. */
export const fasterClock = (clock: Clock, speed: number): Clock => ({
  wallMs: clock.wallMs,
  monotonicMs: () => clock.monotonicMs() * speed,
  sleep: (delayMs, signal) => clock.sleep(delayMs / speed, signal),
});
