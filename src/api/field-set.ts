/**
 * A set of fields of an object in the form of FieldsV1: `f:name` for a field, `k:{"name":"c"}` for an item by its keys,
 * `v:"x"` for an item by its value, `.` for the thing itself where it also has members. An end without members is a
 * field itself. Sets are never changed, so that parts of them may be shared.
 */
export type FieldSet = { readonly [element: string]: FieldSet };

/** The field itself, and nothing in it. */
export const leaf: FieldSet = Object.freeze({});

const isLeaf = (set: FieldSet): boolean => {
  for (const _ in set) return false;
  return true;
};
const holdsItself = (set: FieldSet): boolean => isLeaf(set) || "." in set;

/** `members` and, with `self`, the thing that holds them; undefined when that is nothing. */
export function fieldSet(members: Record<string, FieldSet>, self: boolean): FieldSet | undefined {
  if (isLeaf(members)) return self ? leaf : undefined;
  return self ? { ".": leaf, ...members } : members;
}

function combine(
  left: FieldSet,
  right: FieldSet,
  self: boolean,
  keys: readonly string[],
  each: (a: FieldSet | undefined, b: FieldSet | undefined) => FieldSet | undefined,
): FieldSet | undefined {
  const members: Record<string, FieldSet> = {};
  for (const key of keys) {
    if (key === ".") continue;
    const part = each(left[key], right[key]);
    if (part) members[key] = part;
  }
  return fieldSet(members, self);
}

/** Fields of either set. */
export function union(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right || left === right) return left ?? right;
  const keys = Object.keys({ ...left, ...right }).sort();
  return combine(left, right, holdsItself(left) || holdsItself(right), keys, union);
}

/** Fields of `left` that are not in `right`. */
export function difference(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right) return left;
  return combine(left, right, holdsItself(left) && !holdsItself(right), Object.keys(left), difference);
}

/** Fields of both sets. */
export function intersection(left: FieldSet | undefined, right: FieldSet | undefined): FieldSet | undefined {
  if (!left || !right) return undefined;
  return combine(left, right, holdsItself(left) && holdsItself(right), Object.keys(left), intersection);
}

/** The way to one field, element by element. */
export type FieldPath = readonly string[];

/** Every field of a set: at each level first the fields themselves, then what is inside of others. */
export function* pathsOf(set: FieldSet | undefined, at: FieldPath = []): Generator<FieldPath> {
  const members = Object.entries(set ?? {}).filter(([element]) => element !== ".");
  for (const [element, part] of members) if (holdsItself(part)) yield [...at, element];
  for (const [element, part] of members) yield* pathsOf(part, [...at, element]);
}
