import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { History, type HistoryBounds } from "./history.ts";
import { insertSorted, lowerBound, removeSorted } from "./sorted.ts";
import { type Change, type Commit, type Entry, type Revision, type Store, type Write, writtenKey } from "./store.ts";

/** What the writes that are decided but not yet published leave behind. */
export type Pending = ReadonlyMap<string, Entry | undefined>;

/**
 * The present entries in memory and the way to them: what the stores of one process share. Values are kept as they are
 * handed in. They cost little, because the watch cache keeps the same bytes.
 */
export class Versions {
  readonly #live = new Map<string, Entry>();
  readonly #sorted: Entry[] = [];
  readonly #history: History;

  /** `entries` are those of `revision`, in key order. */
  constructor(revision: Revision, entries: Iterable<Entry>, bounds: HistoryBounds, clock: Clock) {
    this.#history = new History(revision, bounds, clock);
    for (const entry of entries) {
      this.#live.set(entry.key, entry);
      this.#sorted.push(entry);
    }
  }

  /** Of the newest published commit. */
  get revision(): Revision {
    return this.#history.revision;
  }

  range: Store["range"] = async ({ start, end, limit, at = this.revision }) => {
    const entries = at === this.revision ? this.#sorted : this.#entriesAt(at);
    const [first, last] = [lowerBound(entries, start), lowerBound(entries, end)];
    const page = entries.slice(first, Math.min(last, first + limit));
    return { revision: at, entries: page, more: first + page.length < last };
  };

  watch: Store["watch"] = (query, signal) => this.#history.watch(query, signal);

  compact: Store["compact"] = async (before) => this.#history.compact(before);

  #entriesAt(at: Revision): readonly Entry[] {
    const past = this.#history.past(at);
    const entries = this.#sorted.filter(({ key }) => !past.has(key));
    for (const entry of past.values()) if (entry !== undefined) insertSorted(entries, entry);
    return entries;
  }

  /** What `writes` come to at `revision`, on top of what is pending. Changes nothing. */
  decide(writes: readonly Write[], revision: Revision, pending?: Pending): Commit & { ok: boolean } {
    assert(writes.length > 0, "a commit writes something");
    const present = (key: string) => (pending?.has(key) ? pending.get(key) : this.#live.get(key));
    const lost = writes.filter((write) => (present(writtenKey(write))?.modified ?? "absent") !== write.expect);
    if (lost.length > 0) {
      const changes = lost.map((write) => change(writtenKey(write), undefined, present(writtenKey(write))));
      return { ok: false, revision: revision - 1, changes };
    }
    const changes = writes.map((write) => {
      const key = writtenKey(write);
      const before = present(key);
      if ("delete" in write) return change(key, before, undefined);
      const created = before?.created ?? revision;
      return change(key, before, { key, value: write.value, created, modified: revision });
    });
    return { ok: true, revision, changes };
  }

  /** Makes a decided commit the newest. */
  publish({ revision, changes }: Commit): void {
    for (const { key, after } of changes) {
      if (after === undefined) {
        this.#live.delete(key);
        removeSorted(this.#sorted, key);
      } else {
        this.#live.set(key, after);
        insertSorted(this.#sorted, after);
      }
    }
    this.#history.append({ revision, changes });
  }
}

const change = (key: string, before: Entry | undefined, after: Entry | undefined): Change => ({
  key,
  ...(before && { before }),
  ...(after && { after }),
});
