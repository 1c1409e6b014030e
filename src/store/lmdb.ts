import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { type Clock, systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { defaultBounds, type HistoryBounds } from "./history.ts";
import { holds, takeHold } from "./holder.ts";
import type { Commit, Entry, Revision, Store, Write } from "./store.ts";
import { Versions } from "./versions.ts";

/** Commits that share one transaction and one sync. */
const batchMax = 512;
/** Commits that wait for the disk; more are refused. */
const queueMax = 100_000;
/** Before the value: `created` and `modified` as 64-bit floats. */
const headerBytes = 16;

type Meta = "epoch" | "revision";
type Files = { root: RootDatabase<Buffer, string>; live: Database<Buffer, string>; meta: Database<number, Meta> };
type Job = {
  writes: readonly Write[];
  resolve: (result: Commit & { ok: boolean }) => void;
  reject: (cause: unknown) => void;
};

/**
 * The embedded store: LMDB files in `dir` (made with mode 0700, files 0600), synced before a commit resolves. Commits
 * that come while the disk is busy share the next transaction; when it fails, all of them do. The history begins when
 * the store is opened.
 * @throws STORE_LOCKED (another process has it), STORE_UNAVAILABLE (the files cannot be opened)
 */
export async function openLmdb(dir: string, options: { clock?: Clock; history?: HistoryBounds } = {}): Promise<Store> {
  const lockFile = join(dir, "holder.json");
  const files = openFiles(dir);
  const epoch = await seize(files, lockFile);
  const revision = files.meta.get("revision") ?? 0;
  const { history = defaultBounds, clock = systemClock } = options;
  const writer = new Writer(files, epoch, new Versions(revision, readAll(files.live), history, clock));
  return {
    range: writer.versions.range,
    commit: (writes) => writer.commit(writes),
    watch: writer.versions.watch,
    compact: writer.versions.compact,
    async close() {
      await writer.close();
      const closed = files.root.close();
      // After a failed transaction LMDB waits for its sync for ever; what was acknowledged needs no waiting.
      if (!writer.failed) await closed;
      if (holds(lockFile, epoch)) rmSync(lockFile, { force: true });
    },
  };
}

function openFiles(dir: string): Files {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    // Batches are made here; LMDB's own would leave a rejection behind that nobody can hear when one fails.
    const batches = { eventTurnBatching: false };
    const root = open<Buffer, string>({ path: dir, encoding: "binary", maxDbs: 2, noSubdir: false, ...batches });
    for (const file of ["data.mdb", "lock.mdb"]) chmodSync(join(dir, file), 0o600);
    const live = root.openDB<Buffer, string>({ name: "live", encoding: "binary" });
    const meta = root.openDB<number, Meta>({ name: "meta", encoding: "json", useVersions: true });
    return { root, live, meta };
  } catch (cause) {
    throw new DroverError("STORE_UNAVAILABLE", `The store in ${dir} cannot be opened: ${cause}`, { dir }, cause);
  }
}

/** Becomes the holder, inside a write transaction so that of two who try at once only one does. */
async function seize({ root, meta }: Files, lockFile: string): Promise<number> {
  try {
    return root.transactionSync(() => {
      const epoch = (meta.get("epoch") ?? 0) + 1;
      takeHold(lockFile, epoch);
      // The version is what every later write is conditional on.
      meta.putSync("epoch", epoch, { version: epoch });
      return epoch;
    });
  } catch (cause) {
    await root.close();
    throw cause;
  }
}

function* readAll(live: Files["live"]): Generator<Entry> {
  for (const { key, value } of live.getRange()) yield { key, ...unpack(value) };
}

function pack({ created, modified, value }: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + value.length);
  bytes.writeDoubleBE(created, 0);
  bytes.writeDoubleBE(modified, 8);
  bytes.set(value, headerBytes);
  return bytes;
}

const unpack = (bytes: Buffer): Omit<Entry, "key"> => ({
  created: bytes.readDoubleBE(0),
  modified: bytes.readDoubleBE(8),
  value: bytes.subarray(headerBytes),
});

/** A part of a transaction fails with the whole, which is heard elsewhere. */
const hush = (part: PromiseLike<unknown>): void => void part.then(undefined, () => {});

/** LMDB's failure of a commit carries its reason as a promise that rejects. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (reason) {
    return reason;
  }
}

class Writer {
  readonly versions: Versions;
  /** The last transaction failed. */
  failed = false;
  readonly #files: Files;
  readonly #epoch: number;
  #queue: Job[] = [];
  #running: Promise<void> | undefined;
  /** Why nothing can be written any more. */
  #end: DroverError | undefined;

  constructor(files: Files, epoch: number, versions: Versions) {
    this.#files = files;
    this.#epoch = epoch;
    this.versions = versions;
  }

  commit(writes: readonly Write[]): Promise<Commit & { ok: boolean }> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#queue.length >= queueMax) {
      return Promise.reject(new DroverError("STORE_UNAVAILABLE", `${queueMax} writes wait for the disk already.`));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async close(): Promise<void> {
    await this.#running;
    this.#end ??= new DroverError("STORE_UNAVAILABLE", "The store is closed.");
  }

  async #run(): Promise<void> {
    // One turn later, so that commits asked for together share the first transaction too.
    await null;
    while (this.#queue.length > 0) await this.#batch(this.#queue.splice(0, batchMax));
    this.#running = undefined;
  }

  async #batch(jobs: readonly Job[]): Promise<void> {
    const pending = new Map<string, Entry | undefined>();
    let revision = this.versions.revision;
    const results = jobs.map(({ writes }) => {
      const result = this.versions.decide(writes, revision + 1, pending);
      if (result.ok) revision = result.revision;
      for (const { key, after } of result.ok ? result.changes : []) pending.set(key, after);
      return result;
    });
    const failure = await this.#write(pending, revision);
    if (pending.size > 0) this.failed = failure !== undefined;
    const written = failure === undefined || this.#isWritten(revision);
    for (const [index, result] of results.entries()) {
      if (written && result.ok) this.versions.publish(result);
      if (failure === undefined) jobs[index]?.resolve(result);
      else jobs[index]?.reject(failure);
    }
  }

  /** One transaction, synced; nothing is written when another process has taken the store over. */
  async #write(pending: ReadonlyMap<string, Entry | undefined>, revision: Revision): Promise<DroverError | undefined> {
    if (this.#end !== undefined) return this.#end;
    if (pending.size === 0) return undefined;
    const { root, live, meta } = this.#files;
    try {
      const holding = await meta.ifVersion("epoch", this.#epoch, () => {
        for (const [key, entry] of pending) hush(entry ? live.put(key, pack(entry)) : live.remove(key));
        hush(meta.put("revision", revision, revision));
      });
      if (holding) {
        await root.flushed;
        return undefined;
      }
      this.#end = new DroverError("STORE_LOCKED", "Another drover has taken over the data of this one.");
      return this.#end;
    } catch (error) {
      const cause = await causeOf(error);
      return new DroverError("STORE_UNAVAILABLE", `The store could not write to its disk: ${cause}`, {}, cause);
    }
  }

  /** After a failure: whether the transaction went through and only its sync, or its answer, did not. */
  #isWritten(revision: Revision): boolean {
    return this.#end === undefined && this.#files.meta.get("revision") === revision;
  }
}
