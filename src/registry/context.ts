import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { storeKey } from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";
import type { AddressBook } from "./address-book.ts";
import type { Cache } from "./cache.ts";
import type { Identify } from "./client.ts";
import type { KindTable } from "./kind-table.ts";
import { encode, Stored } from "./stored.ts";

/** What every operation of the registry works with. */
export type Context = {
  store: Store;
  cache: Cache;
  addresses: AddressBook;
  clock: Clock;
  random: Random;
  kinds: KindTable;
  /** Set while controllers run that know of earlier lives of objects. */
  identify?: Identify;
};

/** The refusals' name for an object. */
export const subjectOf = (kind: Kind, name?: string): { group: string; resource: string; name?: string } => ({
  group: kind.group,
  resource: kind.plural,
  ...(name !== undefined && { name }),
});

/** `expect`: the revision that the writer has seen, or "absent". `object` undefined: delete. */
export type ObjectWrite = {
  kind: Kind;
  namespace: string;
  name: string;
  object?: KubeObject;
  expect: number | "absent";
};

/**
 * Writes one object and waits until that is visible in the cache: the object as it was stored (the last one that was
 * there when it was deleted). `undefined`: a race was lost, and the winner is visible by now.
 */
export async function commit(context: Context, write: ObjectWrite, last?: KubeObject): Promise<Stored | undefined> {
  const { kind, namespace, name, object, expect } = write;
  const { cache, store } = context;
  const key = storeKey({ resource: kind.resource, namespace, name });
  const value = object && encode(object);
  if (value !== undefined && object !== undefined) cache.expect(value, object);
  const { ok, revision } = await store.commit([commandOf(key, value, expect)]);
  await cache.reached(revision);
  if (!ok) return undefined;
  const stored = cache.find(kind.resource, namespace, name);
  if (stored?.revision === revision) return stored;
  const answer = object ?? last;
  return answer && new Stored(key, revision, value ?? encode(answer), answer);
}

function commandOf(key: string, value: Buffer | undefined, expect: number | "absent"): Write {
  if (value !== undefined) return { put: key, value, expect };
  return { delete: key, expect: expect === "absent" ? 0 : expect };
}

/** What a dry run answers. `revision` 0: the object is new and would only get one. */
export const unstored = (kind: Kind, object: KubeObject, revision: number): Stored =>
  new Stored(
    storeKey({ resource: kind.resource, namespace: object.metadata.namespace ?? "", name: object.metadata.name }),
    revision,
    encode(object),
    object,
  );
