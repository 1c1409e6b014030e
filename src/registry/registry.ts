import type { Kind } from "../api/kinds.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Store } from "../store/store.ts";
import { AddressBook } from "./address-book.ts";
import { Cache } from "./cache.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { type Created, create } from "./create.ts";
import { type Deleted, type Deletion, remove, removeCollection } from "./delete.ts";
import { ensureFirstNamespaces } from "./first-start.ts";
import { inProcessClient } from "./in-process-client.ts";
import { type KindTable, kindTable } from "./kind-table.ts";
import { list, parseRevision, waitFor } from "./list.ts";
import type {
  ListQuery,
  ListResult,
  RequestOptions,
  Selection,
  UpdateOptions,
  WatchQuery,
  WatchStream,
} from "./requests.ts";
import type { Stored } from "./stored.ts";
import { type ChangeObject, type Updated, update } from "./update.ts";
import { asVersion } from "./versions.ts";
import type { View } from "./view.ts";
import { WatchHub } from "./watch.ts";

/** What the API server does, without HTTP: every failure is an ApiError that can be answered as it is. */
export type Registry = {
  readonly kinds: KindTable;
  readonly view: View;
  /** Everything up to here is visible. */
  revision(): number;
  get(kind: Kind, namespace: string, name: string): Stored | undefined;
  list(kind: Kind, query: ListQuery): Promise<ListResult>;
  /** Resolves when `resourceVersion` is visible. @throws ApiError 400, 504 after 3 s */
  reached(resourceVersion: string): Promise<void>;
  watch(kind: Kind, query: WatchQuery, signal: AbortSignal): WatchStream;
  create(kind: Kind, namespace: string, value: unknown, options: RequestOptions): Promise<Created>;
  /** `change` makes the next version of a private copy of the present one; it is repeated when a race was lost. */
  update(kind: Kind, namespace: string, name: string, change: ChangeObject, options: UpdateOptions): Promise<Updated>;
  delete(kind: Kind, namespace: string, name: string, deletion: Deletion, options: RequestOptions): Promise<Deleted>;
  /** Deletes what is selected; what is gone by then is left out of the answer. */
  deleteCollection(
    kind: Kind,
    query: Selection,
    deletion: Deletion,
    options: RequestOptions,
  ): Promise<readonly Stored[]>;
  client(): Client;
  /** Ends the cache; the store is left to its owner. */
  close(): void;
};

/** Reads the store, follows it, and creates the first namespaces in an empty one. */
export async function openRegistry(o: { store: Store; clock: Clock; random: Random }): Promise<Registry> {
  const cache = new Cache(o.store);
  await cache.open();
  const context: Context = { ...o, cache, addresses: new AddressBook(cache), kinds: kindTable() };
  const hub = new WatchHub(context);
  await ensureFirstNamespaces(context);
  return {
    kinds: context.kinds,
    view: cache,
    revision: () => cache.revision,
    get(kind, namespace, name) {
      const stored = cache.find(context.kinds.storedAs(kind).resource, namespace, name);
      return stored && asVersion(stored, kind);
    },
    list: (kind, query) => list(context, kind, query),
    reached: (resourceVersion) => waitFor(context, parseRevision(resourceVersion)),
    watch: (kind, query, signal) => hub.watch(kind, query, signal),
    create: (kind, namespace, value, options) => create(context, kind, namespace, value, options),
    update: (kind, namespace, name, change, options) => update(context, kind, namespace, name, change, options),
    delete: (kind, namespace, name, deletion, options) => remove(context, kind, namespace, name, deletion, options),
    deleteCollection: (kind, query, deletion, options) => removeCollection(context, kind, query, deletion, options),
    client: () => inProcessClient(context),
    close() {
      hub.close();
      cache.close();
    },
  };
}
