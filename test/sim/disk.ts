import type { Clock } from "../../src/base/clock.ts";
import type { Random } from "../../src/base/random.ts";
import { drawMs } from "../../src/clouds/sim/latency.ts";
import { defaultBounds } from "../../src/store/history.ts";
import { compareKeys } from "../../src/store/sorted.ts";
import type { Commit, Entry, Store, Write } from "../../src/store/store.ts";
import { Versions } from "../../src/store/versions.ts";

/** A sync of a disk that somebody else writes to as well. */
const sync = { p50Ms: 4, p99Ms: 60 };

type Job = { writes: readonly Write[]; resolve: (result: Commit & { ok: boolean }) => void };

/**
 * A simulated disk with drover's objects on it. Commits that come while it is busy share the next transaction, as in
 * the embedded store; one that was not synced when the process died is there afterwards as a whole or not at all.
 */
export class Disk {
  /** A planted mistake: commits are shown and answered before they are synced. */
  answersEarly = false;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #synced = new Map<string, Entry>();
  #revision = 0;
  /** The transaction on its way to the disk. */
  #unsynced: Commit[] = [];

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The store for a process after the one before has died. Once `isAlive` says no, nothing is synced or answered. */
  open(isAlive: () => boolean): Store {
    if (this.#random.next() < 0.5) this.#keep();
    this.#unsynced = [];
    const entries = [...this.#synced.values()].sort((a, b) => compareKeys(a.key, b.key));
    const versions = new Versions(this.#revision, entries, defaultBounds, this.#clock);
    let queue: Job[] = [];
    let running = false;
    const run = async () => {
      running = true;
      // One turn later, so that commits asked for together share a transaction.
      await null;
      while (queue.length > 0 && isAlive()) {
        const jobs = queue;
        queue = [];
        await this.#transaction(versions, jobs, isAlive);
      }
      running = false;
    };
    return {
      range: versions.range,
      commit: (writes) =>
        new Promise((resolve) => {
          queue.push({ writes, resolve });
          if (!running) void run();
        }),
      watch: versions.watch,
      compact: versions.compact,
      async close() {},
    };
  }

  async #transaction(versions: Versions, jobs: readonly Job[], isAlive: () => boolean): Promise<void> {
    const pending = new Map<string, Entry | undefined>();
    let { revision } = versions;
    const results = jobs.map(({ writes }) => {
      const result = versions.decide(writes, revision + 1, pending);
      if (result.ok) revision = result.revision;
      for (const { key, after } of result.ok ? result.changes : []) pending.set(key, after);
      return result;
    });
    const answer = () => {
      for (const result of results) if (result.ok) versions.publish(result);
      for (const [index, result] of results.entries()) jobs[index]?.resolve(result);
    };
    this.#unsynced = results.filter(({ ok }) => ok);
    if (this.answersEarly) answer();
    if (this.#unsynced.length > 0) await this.#clock.sleep(drawMs(this.#random, sync));
    if (!isAlive()) return;
    this.#keep();
    if (!this.answersEarly) answer();
  }

  #keep(): void {
    for (const { revision, changes } of this.#unsynced.splice(0)) {
      this.#revision = revision;
      for (const { key, after } of changes) {
        if (after === undefined) this.#synced.delete(key);
        else this.#synced.set(key, after);
      }
    }
  }
}
