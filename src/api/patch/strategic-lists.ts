import { isObject, type JsonObject, own } from "../json-values.ts";
import type { ApiError } from "../status.ts";
import { goText } from "./go-text.ts";
import { type MergeRule, ruleOfItems, serverError } from "./merge-rules.ts";
import { directive, orderPrefix } from "./strategic-directives.ts";

/** What merging items of a list needs of merging objects. */
export type ListMerge = {
  mergeObject: (original: JsonObject, patch: JsonObject, rule: MergeRule) => JsonObject;
  unknownDirective: (patch: JsonObject) => ApiError;
};

/** `server`: where the server's items stand afterwards, for an order that is to be kept. */
export type MergedList = { items: unknown[]; server: readonly unknown[] };

/** A list whose strategy is `merge`: items with the same key merge, texts and numbers join. */
export function mergeList(before: unknown[], patch: unknown[], rule: MergeRule, with_: ListMerge): MergedList {
  const items = [...before, ...patch];
  if (items.length === 0) return { items: before, server: before };
  if (!items.every(isObject)) {
    if (items.some(isObject)) throw serverError(`list element types are not identical: ${goText([before, patch])}`);
    return { items: elementOrder.apply([...new Set(items)], patch, before, ""), server: before };
  }
  if (rule.mergeKey === "") throw serverError("cannot merge lists without merge key");
  const server = before.filter(isObject);
  const { kept, changes } = obeyDirectives(server, patch.filter(isObject), rule.mergeKey, with_);
  if (changes === "replace") return { items: kept, server };
  const merged: JsonObject[] = [...kept];
  const places = firstPlaces(merged, rule.mergeKey);
  for (const change of changes) {
    const key = keyText(change, rule.mergeKey);
    const at = places.get(key) ?? merged.length;
    const found = merged[at];
    // A new item is taken as it is, its own directives too, which are unknown fields then.
    merged[at] = found ? with_.mergeObject(found, change, ruleOfItems(rule)) : change;
    if (!found && at < server.length) server[at] = change;
    places.set(key, at);
  }
  return { items: elementOrder.apply(merged, changes, kept, rule.mergeKey), server };
}

/**
 * Does `$patch: delete` and `$patch: replace` items; `changes` are the ordinary ones. Like Kubernetes it closes the gap
 * of a deleted item in `server` itself and leaves what was last there standing: clients see that in the order.
 */
function obeyDirectives(
  server: JsonObject[],
  patch: JsonObject[],
  mergeKey: string,
  { unknownDirective }: ListMerge,
): { kept: JsonObject[]; changes: JsonObject[] | "replace" } {
  let lengthKept = server.length;
  let replace = false;
  const changes: JsonObject[] = [];
  for (const item of patch) {
    const word = own(item, directive);
    if (word === undefined) changes.push(item);
    else if (word === "replace") replace = true;
    else if (word === "merge") throw serverError("merging lists cannot yet be specified in the patch");
    else if (word !== "delete") throw unknownDirective(item);
    else {
      const key = keyText(item, mergeKey);
      const kept = server.slice(0, lengthKept).filter((other) => keyText(other, mergeKey) !== key);
      server.splice(0, kept.length, ...kept);
      lengthKept = kept.length;
    }
  }
  return replace ? { kept: changes, changes: "replace" } : { kept: server.slice(0, lengthKept), changes };
}

/** What two items must share to be the same one: their merge key, or themselves where they have none. */
function keyText(item: unknown, mergeKey: string): string {
  if (mergeKey === "") return JSON.stringify(item);
  if (!isObject(item)) throw serverError(`list element types are not identical: ${goText([item])}`);
  const key = own(item, mergeKey);
  if (key === undefined) throw serverError(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
  return JSON.stringify(key);
}

/** Index of the first item with each key. */
function firstPlaces(items: readonly unknown[], mergeKey: string): Map<string, number> {
  const places = new Map<string, number>();
  for (const [index, item] of items.entries()) {
    const key = keyText(item, mergeKey);
    if (!places.has(key)) places.set(key, index);
  }
  return places;
}

/** Items of a list of texts or numbers without those of another. */
export function withoutItems(items: readonly unknown[], gone: readonly unknown[]): unknown[] {
  const places = firstPlaces(gone, "");
  return items.filter((item) => !places.has(keyText(item, "")));
}

export const elementOrder = {
  /**
   * Puts the items that `order` names into its order. The others keep their order on the server and stand before a
   * named item only where both were on the server and in that order.
   */
  apply(items: readonly unknown[], order: readonly unknown[], server: readonly unknown[], mergeKey: string): unknown[] {
    const [orderPlaces, serverPlaces] = [firstPlaces(order, mergeKey), firstPlaces(server, mergeKey)];
    const placed = items.map((item) => {
      const key = keyText(item, mergeKey);
      return { item, named: orderPlaces.get(key), server: serverPlaces.get(key) };
    });
    const named = placed.filter((one) => one.named !== undefined).sort((a, b) => (a.named ?? 0) - (b.named ?? 0));
    const others = placed.filter((one) => one.named === undefined).sort((a, b) => (a.server ?? 0) - (b.server ?? 0));
    const result: unknown[] = [];
    let [nextNamed, nextOther] = [0, 0];
    while (nextNamed < named.length || nextOther < others.length) {
      const [one, other] = [named[nextNamed], others[nextOther]];
      if (other && (!one || (other.server ?? Infinity) < (one.server ?? -1))) {
        result.push(other.item);
        nextOther++;
      } else {
        result.push(one?.item);
        nextNamed++;
      }
    }
    return result;
  },

  /** @throws ApiError 500 when `patch` has items that `order` does not name in the same sequence */
  check(patch: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
    const changed = patch.filter((item) => !isObject(item) || own(item, directive) === undefined);
    let found = 0;
    for (const item of order) {
      if (found < changed.length && keyText(item, mergeKey) === keyText(changed[found], mergeKey)) found++;
    }
    if (found === changed.length) return;
    throw serverError(
      `The order in patch list:\n${goText(patch)}\n doesn't match ${orderPrefix} list:\n${goText(order)}\n`,
    );
  },
};
