import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { storeKey } from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";
import type { AddressBook } from "./address-book.ts";
import type { Cache } from "./cache.ts";
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
 * Writes all or nothing and waits until it is visible in the cache. `undefined`: a race was lost, and the winner is
 * visible by now.
 */
export async function commit(context: Context, writes: readonly ObjectWrite[]): Promise<number | undefined> {
  const commands = writes.map(({ kind, namespace, name, object, expect }): Write => {
    const key = storeKey({ resource: kind.resource, namespace, name });
    if (object === undefined) return { delete: key, expect: expect === "absent" ? 0 : expect };
    const value = encode(object);
    context.cache.expect(value, object);
    return { put: key, value, expect };
  });
  const { ok, revision } = await context.store.commit(commands);
  await context.cache.reached(revision);
  return ok ? revision : undefined;
}

/** An answer that is in no store: of a dry run, or of an object that is gone. */
export const unstored = (kind: Kind, object: KubeObject, revision: number): Stored =>
  new Stored(
    storeKey({ resource: kind.resource, namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" }),
    revision,
    encode(object),
    object,
  );
