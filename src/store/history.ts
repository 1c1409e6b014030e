import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { compareKeys } from "./sorted.ts";
import type { Change, Commit, Entry, Revision } from "./store.ts";

/** How much of the past is kept for `range at` and `watch from`. */
export type HistoryBounds = { bytesMax: number; ageMaxMs: number };
export const defaultBounds: HistoryBounds = { bytesMax: 64 * 1024 * 1024, ageMaxMs: 60 * 60 * 1000 };

/** What a change costs beside its values: keys, entries and the objects that hold them. */
const changeOverheadBytes = 256;

const bytesOf = (commit: Commit): number =>
  commit.changes.reduce(
    (sum, { before, after }) => sum + changeOverheadBytes + (before?.value.length ?? 0) + (after?.value.length ?? 0),
    0,
  );

/** The last commits of a store, one a revision without gaps, oldest first, and those who wait for the next. */
export class History {
  #commits: { commit: Commit; atMs: number; bytes: number }[] = [];
  #bytes = 0;
  #floor: Revision;
  readonly #bounds: HistoryBounds;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();

  /** `floor`: the revision of the store when it was opened. */
  constructor(floor: Revision, bounds: HistoryBounds, clock: Clock) {
    this.#floor = floor;
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** Of the newest commit. */
  get revision(): Revision {
    return this.#floor + this.#commits.length;
  }

  append(commit: Commit): void {
    assert(commit.revision === this.revision + 1, "commits are published in order, without gaps");
    const [atMs, bytes] = [this.#clock.monotonicMs(), bytesOf(commit)];
    this.#commits.push({ commit, atMs, bytes });
    this.#bytes += bytes;
    this.#trim(atMs);
    for (const wake of [...this.#waiting]) wake();
  }

  /** Once over a bound, a tenth more than needed goes, because moving the rest costs. */
  #trim(nowMs: number): void {
    const { bytesMax, ageMaxMs } = this.#bounds;
    const oldest = this.#commits[0];
    if (oldest === undefined || (this.#bytes <= bytesMax && nowMs - oldest.atMs <= ageMaxMs)) return;
    let [drop, bytes] = [0, this.#bytes];
    for (const old of this.#commits) {
      if (bytes <= 0.9 * bytesMax && nowMs - old.atMs <= 0.9 * ageMaxMs) break;
      bytes -= old.bytes;
      drop++;
    }
    this.#drop(drop);
  }

  #drop(count: number): void {
    for (const { bytes } of this.#commits.splice(0, count)) this.#bytes -= bytes;
    this.#floor += count;
  }

  /** Forgets what led to `before` and to earlier revisions. */
  compact(before: Revision): void {
    this.#drop(Math.max(0, Math.min(before, this.revision) - this.#floor));
  }

  #since(from: Revision): Commit[] {
    if (from < this.#floor) {
      throw new DroverError(
        "STORE_COMPACTED",
        `Revision ${from} is older than the history, which begins at ${this.#floor}.`,
      );
    }
    return this.#commits.slice(from - this.#floor).map(({ commit }) => commit);
  }

  /**
   * Of every key written after `at` the entry that it had then.
   * @throws STORE_COMPACTED, STORE_FUTURE
   */
  past(at: Revision): ReadonlyMap<string, Entry | undefined> {
    if (at > this.revision)
      throw new DroverError("STORE_FUTURE", `Revision ${at} is not written yet; ${this.revision} is.`);
    const past = new Map<string, Entry | undefined>();
    for (const { changes } of this.#since(at)) {
      for (const { key, before } of changes) if (!past.has(key)) past.set(key, before);
    }
    return past;
  }

  /** As `Store.watch`. A watcher that falls behind costs nothing until the history moves past it. */
  async *watch(query: { start: string; end: string; from: Revision }, signal: AbortSignal): AsyncGenerator<Commit> {
    const wanted = ({ key }: Change) => compareKeys(query.start, key) <= 0 && compareKeys(key, query.end) < 0;
    for (let seen = query.from; !signal.aborted; ) {
      for (const commit of this.#since(seen)) {
        seen = commit.revision;
        const changes = commit.changes.filter(wanted);
        if (changes.length > 0) yield { revision: commit.revision, changes };
        if (signal.aborted) return;
      }
      if (this.revision <= seen) await this.#news(signal);
    }
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }
}
