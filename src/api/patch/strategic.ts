import { isObject, type JsonObject, own, put } from "../json-values.ts";
import type { Kind } from "../kinds.ts";
import { goText, goTypeName } from "./go-text.ts";
import { type MergeRule, ruleOfField, ruleOfType, serverError } from "./merge-rules.ts";
import { deletePrefix, directive, orderPrefix, retainKeys, withoutDirectives } from "./strategic-directives.ts";
import { elementOrder, type ListMerge, type MergedList, mergeList, withoutItems } from "./strategic-lists.ts";

/**
 * `target` changed by a strategic merge patch, by the merge keys and strategies of the kind's type, with every
 * directive that Kubernetes knows. Neither argument is modified.
 * @throws ApiError 500 for a patch that breaks the rules, as Kubernetes answers it
 */
export const strategicMergePatch = (kind: Kind, target: JsonObject, patch: JsonObject): unknown =>
  mergeObject(target, patch, ruleOfType(kind.type));

function mergeObject(original: JsonObject, patch: JsonObject, rule: MergeRule): JsonObject {
  if (Object.hasOwn(patch, directive)) {
    if (patch[directive] === "delete") return {};
    if (patch[directive] !== "replace") throw unknownDirective(patch);
    const { [directive]: _, ...rest } = patch;
    return rest;
  }
  const merged = retained(original, patch);
  const ordered = mergeOrderedLists(merged, patch, rule);
  for (const [name, value] of Object.entries(patch)) {
    if (name === retainKeys || ordered.has(name)) continue;
    if (name.startsWith(deletePrefix)) mergeDeletions(merged, name, value, rule);
    else mergeField(merged, name, value, rule);
  }
  return merged;
}

const unknownDirective = (patch: JsonObject) =>
  serverError(`unknown patch type: ${goText(patch[directive])} in map: ${goText(patch)}`);

function mergeField(merged: JsonObject, name: string, value: unknown, rule: MergeRule): void {
  const before = own(merged, name);
  if (value === null) delete merged[name];
  else if (isObject(before) && isObject(value)) {
    const field = ruleOfField(rule, name);
    put(merged, name, field.strategy === "replace" ? value : mergeObject(before, value, field));
  } else if (Array.isArray(before) && Array.isArray(value)) {
    put(merged, name, mergeLists(before, value, ruleOfField(rule, name)).items);
  } else {
    const plain = withoutDirectives(value);
    if (plain === undefined) delete merged[name];
    else put(merged, name, plain);
  }
}

const lists: ListMerge = { mergeObject, unknownDirective };
const mergeLists = (before: unknown[], patch: unknown[], rule: MergeRule): MergedList =>
  rule.strategy === "merge" ? mergeList(before, patch, rule, lists) : { items: patch, server: before };

/** `$deleteFromPrimitiveList/finalizers: [a]` takes items out of a list of texts or numbers. */
function mergeDeletions(merged: JsonObject, name: string, value: unknown, rule: MergeRule): void {
  const field = name.slice(deletePrefix.length + 1);
  const before = own(merged, field);
  if (value === null) delete merged[field];
  if (!Array.isArray(before) || !Array.isArray(value)) return;
  ruleOfField(rule, field);
  put(merged, field, withoutItems(before, value));
}

/** A copy of the original, without the keys that the patch's `$retainKeys` does not name. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  if (!Object.hasOwn(patch, retainKeys)) return { ...original };
  const keep = patch[retainKeys];
  if (!Array.isArray(keep)) throw serverError("invalid patch format of retainKeys");
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || name.startsWith("$")) continue;
    if (!keep.includes(name)) throw serverError("patch content doesn't match retainKeys list");
  }
  return Object.fromEntries(Object.entries(original).filter(([name]) => keep.includes(name)));
}

/**
 * Does the lists that a `$setElementOrder/…` names, in `merged`. Returns the names in the patch that are done with it.
 */
function mergeOrderedLists(merged: JsonObject, patch: JsonObject, rule: MergeRule): Set<string> {
  const done = new Set<string>();
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(orderPrefix)) continue;
    done.add(name);
    const wanted = asList(order);
    const field = name.slice(orderPrefix.length + 1);
    const [before, change] = [own(merged, field), own(patch, field)];
    const beforeItems = before === undefined ? undefined : asList(before);
    const changeItems = change === undefined ? undefined : asList(change);
    const fieldRule = ruleOfField(rule, field);
    elementOrder.check(changeItems ?? [], wanted, fieldRule.mergeKey);
    if (beforeItems === undefined && changeItems === undefined) continue;
    done.add(field);
    if (!beforeItems?.length && !changeItems?.length) throw serverError("no elements in any of the given slices");
    let list: MergedList = { items: beforeItems ?? [], server: beforeItems ?? [] };
    if (beforeItems === undefined) list = { items: asList(withoutDirectives(changeItems)), server: [] };
    else if (changeItems !== undefined) list = mergeLists(beforeItems, changeItems, fieldRule);
    put(merged, field, elementOrder.apply(list.items, wanted, list.server, fieldRule.mergeKey));
  }
  return done;
}

function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw serverError(`expected a []interface {}, but received a ${goTypeName(value)}`);
}
