import { equal } from "./equal.ts";
import { type FieldSet, fieldSet, leaf } from "./field-set.ts";
import type { Field, ListShape, Shape, StructShape } from "./structure.ts";

/** What became of the fields between two versions: new or other values, and fields that are gone. */
export type Changes = { changed: FieldSet | undefined; removed: FieldSet | undefined };

type Values = Record<string, unknown>;
const none: Changes = { changed: undefined, removed: undefined };
const added: Changes = { changed: leaf, removed: undefined };
const gone: Changes = { changed: undefined, removed: leaf };

const isValues = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Two versions of a value that has one owner. */
function compareWhole(before: unknown, after: unknown): Changes {
  if (before === undefined) return after === undefined ? none : added;
  if (after === undefined) return gone;
  return equal(before, after) ? none : added;
}

const isHollow = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true;
  for (const _ in value) return false;
  return true;
};

const sortedFields = new WeakMap<StructShape, readonly Field[]>();
/** Sets list their members in this order. */
function inOrder(shape: StructShape): readonly Field[] {
  let fields = sortedFields.get(shape);
  if (!fields) {
    fields = shape.fields.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    sortedFields.set(shape, fields);
  }
  return fields;
}

/** The members' changes under their elements. */
type Gathering = { changed: Record<string, FieldSet>; removed: Record<string, FieldSet> };

function put(gathering: Gathering, element: string, { changed, removed }: Changes): void {
  if (changed) gathering.changed[element] = changed;
  if (removed) gathering.removed[element] = removed;
}

const gathering = (): Gathering => ({ changed: {}, removed: {} });

/** The members' changes, with the thing itself where it has come or gone. */
const gathered = (gathering: Gathering, before: unknown, after: unknown): Changes => ({
  changed: fieldSet(gathering.changed, before === undefined),
  removed: fieldSet(gathering.removed, after === undefined),
});

/** The element that names an item of a keyed list: its keys in order of their names, absent ones by their default. */
export function itemElement(shape: ListShape, item: unknown): string {
  if (shape.kind === "set") return `v:${JSON.stringify(item)}`;
  const keys: Values = {};
  const fields = shape.item.is === "struct" ? shape.item.byName : undefined;
  for (const key of shape.keys) {
    const given = isValues(item) ? item[key] : undefined;
    const value = given ?? fields?.get(key)?.default;
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** Items by their elements; more than one where a list repeats itself. */
function byElement(shape: ListShape, items: unknown): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of Array.isArray(items) ? items : []) {
    const element = itemElement(shape, item);
    const same = found.get(element);
    if (same) same.push(item);
    else found.set(element, [item]);
  }
  return found;
}

/** Items of one element in both lists; repeated ones are looked at together. */
function compareItems(shape: ListShape, before: unknown[] | undefined, after: unknown[] | undefined): Changes {
  const isRepeated = (before?.length ?? 0) > 1 || (after?.length ?? 0) > 1;
  return isRepeated ? compareWhole(before, after) : compareFields(shape.item, before?.[0], after?.[0]);
}

function compareList(shape: ListShape, before: unknown, after: unknown): Changes {
  const [old, next] = [byElement(shape, before), byElement(shape, after)];
  const changes = gathering();
  for (const [element, items] of next) put(changes, element, compareItems(shape, old.get(element), items));
  for (const [element, items] of old) {
    if (!next.has(element)) put(changes, element, compareItems(shape, items, undefined));
  }
  return gathered(changes, before, after);
}

function compareMap(item: Shape, before: unknown, after: unknown): Changes {
  const [old, next] = [isValues(before) ? before : {}, isValues(after) ? after : {}];
  const changes = gathering();
  for (const key of Object.keys({ ...old, ...next }).sort()) {
    put(changes, `f:${key}`, compareFields(item, old[key], next[key]));
  }
  return gathered(changes, before, after);
}

/** `skip`: fields that are not looked at. */
function compareStruct(shape: StructShape, before: unknown, after: unknown, skip?: ReadonlySet<string>): Changes {
  const [old, next] = [isValues(before) ? before : {}, isValues(after) ? after : {}];
  const changes = gathering();
  for (const { name, shape: field } of inOrder(shape)) {
    const [given, wanted] = [old[name], next[name]];
    if (given === wanted || skip?.has(name)) continue;
    put(changes, `f:${name}`, compareFields(field, given, wanted));
  }
  return gathered(changes, before, after);
}

/** Everything that a value which comes or goes as a whole has in it, itself included. */
function everything(shape: Shape, value: unknown): FieldSet {
  if (shape.is === "scalar" || shape.is === "schemaOr") return leaf;
  if ((shape.is === "list" ? shape.kind === "atomic" : shape.atomic) || isHollow(value)) return leaf;
  const members: Record<string, FieldSet> = { ".": leaf };
  if (shape.is === "list") {
    for (const [element, items] of byElement(shape, value)) {
      members[element] = items.length > 1 ? leaf : everything(shape.item, items[0]);
    }
  } else if (shape.is === "map") {
    const map = isValues(value) ? value : {};
    for (const key of Object.keys(map).sort()) members[`f:${key}`] = everything(shape.item, map[key]);
  } else {
    const struct = isValues(value) ? value : {};
    for (const { name, shape: field } of inOrder(shape)) {
      const given = struct[name];
      if (given !== undefined) members[`f:${name}`] = everything(field, given);
    }
  }
  return members;
}

/** How `after` differs from `before`; undefined stands for an absent value. */
function compareFields(shape: Shape, before: unknown, after: unknown): Changes {
  if (before === undefined)
    return after === undefined ? none : { changed: everything(shape, after), removed: undefined };
  if (after === undefined) return { changed: undefined, removed: everything(shape, before) };
  if (shape.is === "scalar" || shape.is === "schemaOr") return compareWhole(before, after);
  const isAtomic = shape.is === "list" ? shape.kind === "atomic" : shape.atomic;
  if (isAtomic || (isHollow(before) && isHollow(after))) return compareWhole(before, after);
  if (shape.is === "list") return compareList(shape, before, after);
  if (shape.is === "map") return compareMap(shape.item, before, after);
  return compareStruct(shape, before, after);
}

const identity = new Set(["apiVersion", "kind", "metadata"]);
/** Metadata that belongs to nobody. */
export const unowned: ReadonlySet<string> = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "selfLink",
  "managedFields",
]);

/**
 * How one version of an object differs from another in the fields that have owners, which identity has not. `ignored`:
 * the names of top-level fields that the writer's endpoint does not write.
 */
export function compareObjects(
  shape: StructShape,
  before: Values,
  after: Values,
  ignored: readonly string[] = [],
): Changes {
  const changes = gathering();
  const metadata = shape.byName.get("metadata")?.shape;
  if (metadata?.is === "struct" && !ignored.includes("metadata")) {
    put(changes, "f:metadata", compareStruct(metadata, before["metadata"] ?? {}, after["metadata"] ?? {}, unowned));
  }
  const rest = compareStruct(shape, before, after, new Set([...identity, ...ignored]));
  const merged = gathered(changes, before, after);
  return {
    changed: merged.changed || rest.changed ? { ...merged.changed, ...rest.changed } : undefined,
    removed: merged.removed || rest.removed ? { ...merged.removed, ...rest.removed } : undefined,
  };
}
