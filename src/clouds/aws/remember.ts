import type { Clock } from "../../base/clock.ts";

type Reading<T> = {
  read: (signal?: AbortSignal) => Promise<T>;
  /** Told why it could not be read; it is tried again when it would have been anyway. */
  failed: (why: string) => void;
};

/**
 * What `read` gave last, at most `ageMaxMs` old; after a failure what was known before, at first `none`. For what drover
 * can do without: only an abort of `signal` throws.
 */
export function remember<T>(
  clock: Clock,
  ageMaxMs: number,
  none: T,
  { read, failed }: Reading<T>,
): (signal?: AbortSignal) => Promise<T> {
  let known = none;
  let dueMs = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    if (clock.monotonicMs() < dueMs) return known;
    try {
      known = await read(signal);
    } catch (error) {
      signal?.throwIfAborted();
      failed(error instanceof Error ? error.message : String(error));
    }
    dueMs = clock.monotonicMs() + ageMaxMs;
    return known;
  };
}
