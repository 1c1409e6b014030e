/** Commits since the store was created, 0 to 2^53-1. Clients see it as `resourceVersion`, a string. */
export type Revision = number;
export type Entry = { key: string; value: Uint8Array; created: Revision; modified: Revision };
/** Without `after` the key was deleted. */
export type Change = { key: string; before?: Entry; after?: Entry };
export type Commit = { revision: Revision; changes: readonly Change[] };
type Page = { revision: Revision; entries: readonly Entry[]; more: boolean };
/** `expect`: the `modified` that the writer has seen. */
export type Write =
  | { put: string; value: Uint8Array; expect: Revision | "absent" }
  | { delete: string; expect: Revision };

/** The key that a write is about. */
export const writtenKey = (write: Write): string => ("put" in write ? write.put : write.delete);

/** Multi-version map, keys in UTF-8 byte order. Every implementation passes the same contract test. */
export interface Store {
  /** Entries with `start <= key < end` from one snapshot. `limit`: 1 to 10_000 entries. Without `at`: the latest.
   * @throws STORE_COMPACTED (`at` is too old), STORE_FUTURE (`at` is not written yet) */
  range(query: { start: string; end: string; limit: number; at?: Revision }): Promise<Page>;
  /** All writes or none, at one revision, on disk before it resolves. A lost race is a value: `ok` is false, nothing
   * was written, and `changes` are the present states of the keys whose expectation failed (no `after`: absent).
   * @throws STORE_UNAVAILABLE (retryable; the commit may or may not have happened) */
  commit(writes: readonly Write[]): Promise<Commit & { ok: boolean }>;
  /** Every commit after `from`, in order, without gaps, until `signal` aborts.
   * @throws STORE_COMPACTED (the history has moved past `from`, or past a watcher that fell behind: list again) */
  watch(query: { start: string; end: string; from: Revision }, signal: AbortSignal): AsyncIterable<Commit>;
  /** Forgets versions older than `before`, except the newest of each live key. */
  compact(before: Revision): Promise<void>;
  close(): Promise<void>;
}
