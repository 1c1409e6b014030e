import type { Clock } from "../base/clock.ts";
import { openPace } from "../base/pace.ts";

/** Calls that may follow each other at once; of more, each waits for what comes meanwhile. */
const calls = { burst: 8, everyMs: 5_000 };

/**
 * Joins ids that arrive within `windowMs` into calls of up to `itemsMax`. Everybody who gave an id to a call gets that
 * call's failure.
 */
export function openBatch(
  clock: Clock,
  { windowMs, itemsMax }: { windowMs: number; itemsMax: number },
  send: (ids: readonly string[]) => Promise<void>,
): (id: string) => Promise<void> {
  const pace = openPace(clock.monotonicMs, calls);
  let gathered: Set<string> | undefined;
  let call: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    await clock.sleep(Math.max(windowMs, pace.leftMs()));
    pace.take();
    const ids = [...(gathered ?? [])];
    gathered = undefined;
    for (let start = 0; start < ids.length; start += itemsMax) await send(ids.slice(start, start + itemsMax));
  }

  return (id) => {
    if (gathered === undefined) {
      gathered = new Set();
      call = flush();
    }
    gathered.add(id);
    return call;
  };
}
