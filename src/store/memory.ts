import { type Clock, systemClock } from "../base/clock.ts";
import { defaultBounds, type HistoryBounds } from "./history.ts";
import type { Store } from "./store.ts";
import { Versions } from "./versions.ts";

/** A store that ends with the process: for tests and simulations. */
export function memoryStore(options: { clock?: Clock; history?: HistoryBounds } = {}): Store {
  const versions = new Versions(0, [], options.history ?? defaultBounds, options.clock ?? systemClock);
  return {
    range: versions.range,
    async commit(writes) {
      // One turn later, so that nobody sees a commit happen inside the call that asked for it.
      await null;
      const result = versions.decide(writes, versions.revision + 1);
      if (result.ok) versions.publish(result);
      return result;
    },
    watch: versions.watch,
    compact: versions.compact,
    async close() {},
  };
}
