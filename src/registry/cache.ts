import type { KubeObject, ObjectKey, Resource } from "../api/object.ts";
import { DroverError } from "../base/errors.ts";
import { keyPrefix, parseKey, prefixEnd, storeKey } from "../store/keys.ts";
import { insertSorted, lowerBound, removeSorted } from "../store/sorted.ts";
import type { Change, Commit, Store } from "../store/store.ts";
import { Stored } from "./stored.ts";
import type { ShapeOf, View, ViewListener } from "./view.ts";

/** One change of one object. Without `after` it is gone. */
export type CacheEvent = { revision: number; key: ObjectKey; before?: Stored; after?: Stored };

type Waiter = { resolve: (reached: boolean) => void; reject: (cause: unknown) => void };
type Table = {
  /** In key order. */
  items: Stored[];
  byKey: Map<string, Stored>;
  /** By the UID of the controller, then by key. */
  byOwner: Map<string, Map<string, Stored>>;
};

/** Superseded versions kept for watchers that come back, in bytes of JSON. */
const historyBytesMax = 32 * 1024 * 1024;
const eventOverheadBytes = 256;
const everything = { start: "/registry/", end: prefixEnd("/registry/") };

/** Everything in the store, parsed and indexed, always as of one revision. */
export class Cache implements View {
  readonly #store: Store;
  readonly #tables = new Map<Resource, Table>();
  readonly #listeners = new Set<(events: readonly CacheEvent[]) => void>();
  readonly #stop = new AbortController();
  /** Objects on their way through the store, so that what was just written is not parsed again. */
  readonly #parsed = new WeakMap<Uint8Array, KubeObject>();
  #revision = 0;
  #events: CacheEvent[] = [];
  #eventsBytes = 0;
  /** Events after this revision are all in `#events`. */
  #floor = 0;
  /** By the revision for which they wait. */
  readonly #waiting = new Map<number, Set<Waiter>>();
  #failure: unknown;

  constructor(store: Store) {
    this.#store = store;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The oldest revision from which events are still known. */
  get floor(): number {
    return this.#floor;
  }

  /** Reads the whole store, then follows it until `close`. */
  async open(): Promise<void> {
    let start = everything.start;
    for (let at: number | undefined; ; ) {
      const page = await this.#store.range({ ...everything, start, limit: 10_000, ...(at !== undefined && { at }) });
      at = page.revision;
      for (const { key, modified, value } of page.entries) {
        const stored = new Stored(key, modified, value);
        this.#place(this.#table(parseKey(key).resource), key, undefined, stored);
        start = `${key}\0`;
      }
      this.#revision = this.#floor = page.revision;
      if (!page.more) break;
    }
    void this.#follow();
  }

  close(): void {
    this.#stop.abort();
    this.#fail(new DroverError("STORE_UNAVAILABLE", "The registry is closed."));
  }

  async #follow(): Promise<void> {
    try {
      const commits = this.#store.watch({ ...everything, from: this.#revision }, this.#stop.signal);
      for await (const commit of commits) this.#apply(commit);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #fail(cause: unknown): void {
    this.#failure = cause;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting.flatMap((waiters) => [...waiters])) reject(cause);
  }

  /** Tells the cache what the bytes of a coming commit mean. */
  expect(bytes: Uint8Array, object: KubeObject): void {
    this.#parsed.set(bytes, object);
  }

  /** Resolves with true when everything up to `revision` is visible, with false when `signal` aborts before. */
  reached(revision: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (revision <= this.#revision) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const waiters = this.#waiting.get(revision) ?? new Set();
      this.#waiting.set(revision, waiters.add(waiter));
      signal?.addEventListener("abort", () => {
        waiters.delete(waiter);
        if (waiters.size === 0) this.#waiting.delete(revision);
        resolve(false);
      });
    });
  }

  /** `listener` is called in commit order, once a commit, after it is visible. Returns the way to stop. */
  onEvents(listener: (events: readonly CacheEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  subscribe(listener: ViewListener): () => void {
    return this.onEvents((events) => {
      for (const { key, before, after } of events) {
        listener({ key, ...(before && { before: before.object }), ...(after && { after: after.object }) });
      }
    });
  }

  #apply({ revision, changes }: Commit): void {
    const events = changes.map((change) => this.#change(revision, change));
    const before = this.#revision;
    this.#revision = revision;
    for (const listener of [...this.#listeners]) listener(events);
    this.#remember(events);
    for (let reached = before + 1; reached <= revision; reached++) {
      for (const { resolve } of this.#waiting.get(reached) ?? []) resolve(true);
      this.#waiting.delete(reached);
    }
  }

  #change(revision: number, { key, after: entry }: Change): CacheEvent {
    const at = parseKey(key);
    const table = this.#table(at.resource);
    const before = table.byKey.get(key);
    const after = entry && new Stored(key, revision, entry.value, this.#parsed.get(entry.value));
    if (entry) this.#parsed.delete(entry.value);
    this.#place(table, key, before, after);
    return { revision, key: at, ...(before && { before }), ...(after && { after }) };
  }

  #place(table: Table, key: string, before: Stored | undefined, after: Stored | undefined): void {
    const oldOwner = before && controllerUid(before.object);
    if (oldOwner !== undefined) {
      const owned = table.byOwner.get(oldOwner);
      owned?.delete(key);
      if (owned?.size === 0) table.byOwner.delete(oldOwner);
    }
    if (after === undefined) {
      table.byKey.delete(key);
      removeSorted(table.items, key);
      return;
    }
    table.byKey.set(key, after);
    insertSorted(table.items, after);
    const owner = controllerUid(after.object);
    if (owner === undefined) return;
    const owned = table.byOwner.get(owner) ?? new Map<string, Stored>();
    table.byOwner.set(owner, owned.set(key, after));
  }

  #remember(events: readonly CacheEvent[]): void {
    for (const event of events) {
      event.before?.fold();
      this.#events.push(event);
      this.#eventsBytes += bytesOf(event);
    }
    if (this.#eventsBytes <= historyBytesMax) return;
    let drop = 0;
    for (const event of this.#events) {
      if (this.#eventsBytes <= 0.9 * historyBytesMax) break;
      this.#eventsBytes -= bytesOf(event);
      this.#floor = event.revision;
      drop++;
    }
    this.#events.splice(0, drop);
  }

  /** Events of a resource after `from`, oldest first; `undefined`: the history does not reach back so far. */
  since(resource: Resource, from: number): readonly CacheEvent[] | undefined {
    if (from < this.#floor) return undefined;
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low).filter(({ key }) => key.resource === resource);
  }

  #table(resource: Resource): Table {
    const table = this.#tables.get(resource) ?? { items: [], byKey: new Map(), byOwner: new Map() };
    this.#tables.set(resource, table);
    return table;
  }

  find(resource: Resource, namespace: string, name: string): Stored | undefined {
    return this.#tables.get(resource)?.byKey.get(storeKey({ resource, namespace, name }));
  }

  /** In key order. */
  all(resource: Resource, namespace = ""): readonly Stored[] {
    const items = this.#tables.get(resource)?.items ?? [];
    if (namespace === "") return items.slice();
    const prefix = keyPrefix(resource, namespace);
    return items.slice(lowerBound(items, prefix), lowerBound(items, prefixEnd(prefix)));
  }

  /** As `all`, but as of an earlier revision; `undefined`: the history does not reach back so far. */
  allAt(resource: Resource, namespace: string, revision: number): readonly Stored[] | undefined {
    const events = this.since(resource, revision);
    if (events === undefined || events.length === 0) return events && this.all(resource, namespace);
    const past = new Map<string, Stored | undefined>();
    for (const { key, before } of events) {
      const id = storeKey(key);
      if (!past.has(id) && (namespace === "" || key.namespace === namespace)) past.set(id, before);
    }
    const items = this.all(resource, namespace).filter(({ key }) => !past.has(key));
    for (const item of past.values()) if (item !== undefined) insertSorted(items, item);
    return items;
  }

  get<R extends Resource>(resource: R, namespace: string, name: string): ShapeOf<R> | undefined {
    return this.find(resource, namespace, name)?.object as ShapeOf<R> | undefined; // Validated before it was stored.
  }

  list<R extends Resource>(resource: R, namespace?: string): readonly ShapeOf<R>[] {
    return this.all(resource, namespace).map(({ object }) => object as ShapeOf<R>); // As above.
  }

  controlledBy<R extends Resource>(resource: R, ownerUid: string): readonly ShapeOf<R>[] {
    const owned = this.#tables.get(resource)?.byOwner.get(ownerUid) ?? new Map<string, Stored>();
    return [...owned.values()].map(({ object }) => object as ShapeOf<R>); // As above.
  }
}

const controllerUid = (object: KubeObject): string | undefined =>
  object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;

/** What comes after is held by the table or by the next event. */
const bytesOf = ({ before }: CacheEvent): number => eventOverheadBytes + (before?.byteLength ?? 0);
