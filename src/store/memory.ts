import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import { defaultBounds, History, type HistoryBounds } from "./history.ts";
import { insertSorted, lowerBound, removeSorted } from "./sorted.ts";
import { type Change, type Entry, type Page, type Revision, type Store, type Write, writtenKey } from "./store.ts";

/** A store that ends with the process: for tests and simulations. Values are kept as they are handed in. */
export function memoryStore(options: { clock?: Clock; history?: HistoryBounds } = {}): Store {
  const live = new Map<string, Entry>();
  const sorted: Entry[] = [];
  const history = new History(0, options.history ?? defaultBounds, options.clock ?? systemClock);

  const apply = (write: Write, revision: Revision): Change => {
    const key = writtenKey(write);
    const before = live.get(key);
    if ("delete" in write) {
      live.delete(key);
      removeSorted(sorted, key);
      return { key, ...(before && { before }) };
    }
    const after = { key, value: write.value, created: before?.created ?? revision, modified: revision };
    live.set(key, after);
    insertSorted(sorted, after);
    return { key, ...(before && { before }), after };
  };

  return {
    async range({ start, end, limit, at }) {
      const entries = at === undefined || at === history.revision ? sorted : entriesAt(sorted, history.past(at));
      return pageOf(entries, start, end, limit, at ?? history.revision);
    },
    async commit(writes) {
      // One turn later, so that nobody sees a commit happen inside the call that asked for it.
      await null;
      assert(writes.length > 0, "a commit writes something");
      const lost = writes.filter((write) => (live.get(writtenKey(write))?.modified ?? "absent") !== write.expect);
      if (lost.length > 0) {
        return { ok: false, revision: history.revision, changes: lost.map((write) => stateOf(live, write)) };
      }
      const revision = history.revision + 1;
      const commit = { revision, changes: writes.map((write) => apply(write, revision)) };
      history.append(commit);
      return { ok: true, ...commit };
    },
    watch: (query, signal) => history.watch(query, signal),
    async compact(before) {
      history.compact(before);
    },
    async close() {},
  };
}

function stateOf(live: ReadonlyMap<string, Entry>, write: Write): Change {
  const key = writtenKey(write);
  const after = live.get(key);
  return { key, ...(after && { after }) };
}

function entriesAt(sorted: readonly Entry[], past: ReadonlyMap<string, Entry | undefined>): readonly Entry[] {
  const entries = sorted.filter(({ key }) => !past.has(key));
  for (const entry of past.values()) if (entry !== undefined) insertSorted(entries, entry);
  return entries;
}

function pageOf(sorted: readonly Entry[], start: string, end: string, limit: number, revision: Revision): Page {
  const [first, last] = [lowerBound(sorted, start), lowerBound(sorted, end)];
  const entries = sorted.slice(first, Math.min(last, first + limit));
  return { revision, entries, more: first + entries.length < last };
}
