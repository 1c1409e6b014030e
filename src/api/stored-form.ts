import type { Kind } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { type Shape, type StructShape, structIn, structureOfKind } from "./structure.ts";

type Values = Record<string, unknown>;
/** Answers the value itself when there is nothing to change in it. */
type Walk = (value: unknown) => unknown;

const isValues = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const hasNothing = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false;
  for (const _ in value) return false;
  return true;
};

const walks = new Map<StructShape, Walk | undefined>();

/** Undefined when neither the type nor anything in it has a list or map that is always written. */
function walkOf(shape: StructShape): Walk | undefined {
  if (walks.has(shape)) return walks.get(shape);
  // A type that holds itself ends here; the only such type, a JSON Schema, has no such field.
  walks.set(shape, undefined);
  const lists = shape.fields.filter(({ always, shape: { is } }) => always && (is === "list" || is === "map"));
  const children: { name: string; walk: Walk; isStruct: boolean }[] = [];
  for (const field of shape.fields) {
    const walk = field.name === "managedFields" ? undefined : walkInside(field.shape);
    if (walk) children.push({ name: field.name, walk, isStruct: field.shape.is === "struct" });
  }
  if (lists.length === 0 && children.length === 0) return undefined;
  const names = lists.map(({ name }) => name);
  const walk: Walk = (value) => {
    if (!isValues(value)) return value;
    let out = value;
    const set = (name: string, next: unknown) => {
      if (out === value) out = { ...value };
      out[name] = next;
    };
    for (const name of names) if (hasNothing(value[name])) set(name, null);
    for (const { name, walk: next, isStruct } of children) {
      const given = value[name];
      if (given === undefined || given === null) continue;
      const changed = isStruct ? next(given) : eachItem(next, given);
      if (changed !== given) set(name, changed);
    }
    return out;
  };
  walks.set(shape, walk);
  return walk;
}

function walkInside(shape: Shape): Walk | undefined {
  const struct = structIn(shape);
  return struct && walkOf(struct);
}

function eachItem(walk: Walk, items: unknown): unknown {
  if (Array.isArray(items)) {
    const next = items.map(walk);
    return next.some((item, index) => item !== items[index]) ? next : items;
  }
  const entries = isValues(items) ? Object.entries(items) : [];
  const next = entries.map(([key, item]) => [key, walk(item)] as const);
  return next.some(([, item], index) => item !== entries[index]?.[1]) ? Object.fromEntries(next) : items;
}

/**
 * An object in the form in which it comes back from the store: an empty list or map that is always written is null
 * there. Until then the two differ, as they do for who owns the field. What needs no change is shared, and so is an
 * object of a kind without a type in the table.
 */
export const storedForm = (kind: Kind, object: KubeObject): KubeObject =>
  // The walk keeps everything but such lists.
  kind.type === "" ? object : ((walkOf(structureOfKind(kind))?.(object) ?? object) as KubeObject);
