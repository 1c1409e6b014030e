import { itemElement } from "./field-compare.ts";
import { type FieldSet, fieldSet, leaf } from "./field-set.ts";
import type { ListShape, ScalarType, Shape, StructShape } from "./structure.ts";

/** A configuration that does not fit its type; `message` begins with the field's path. */
export class Misfit extends Error {
  override readonly name = "Misfit";
}

type Values = Record<string, unknown>;
export const isValues = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const kindOf: Partial<Record<ScalarType, [isFitting: (value: unknown) => boolean, expected: string]>> = {
  string: [(value) => typeof value === "string", "string"],
  bytes: [(value) => typeof value === "string", "string"],
  int32: [(value) => typeof value === "number", "numeric (int or float)"],
  int64: [(value) => typeof value === "number", "numeric (int or float)"],
  double: [(value) => typeof value === "number", "numeric (int or float)"],
  bool: [(value) => typeof value === "boolean", "boolean"],
};

function checkScalar(type: ScalarType, value: unknown, at: string): void {
  const [isFitting, expected] = kindOf[type] ?? [];
  if (value !== null && isFitting && !isFitting(value)) {
    throw new Misfit(`${at}: expected ${expected}, got ${JSON.stringify(value)}`);
  }
}

/** `[name="c"]`, `[="x"]`: an element of a list as complaints show it. */
export function shownElement(element: string): string {
  if (element.startsWith("f:")) return `.${element.slice(2)}`;
  if (element.startsWith("v:")) return `[=${element.slice(2)}]`;
  const keys = Object.entries(JSON.parse(element.slice(2)) as Values);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
}

function ownedList(shape: ListShape, items: readonly unknown[], at: string): FieldSet {
  const members: Record<string, FieldSet> = {};
  for (const item of items) {
    const element = itemElement(shape, item);
    if (members[element]) throw new Misfit(`${at}: duplicate entries for key ${shownElement(element)}`);
    const inside = owned(shape.item, item, at + shownElement(element));
    members[element] = shape.kind === "set" || inside === leaf ? leaf : { ".": leaf, ...inside };
  }
  return fieldSet(members, false) ?? leaf;
}

const inOrder = (members: Record<string, FieldSet>): Record<string, FieldSet> =>
  Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));

function ownedFields(shape: StructShape, value: Values, skip: ReadonlySet<string>, at: string): FieldSet | undefined {
  const members: Record<string, FieldSet> = {};
  for (const [name, given] of Object.entries(value)) {
    const field = shape.byName.get(name);
    if (!field) throw new Misfit(`${at}.${name}: field not declared in schema`);
    if (!skip.has(name)) members[`f:${name}`] = owned(field.shape, given, `${at}.${name}`);
  }
  return fieldSet(inOrder(members), false);
}

const nothing: ReadonlySet<string> = new Set();

/** What somebody who says `value` says: every end, and every item of a keyed list. */
function owned(shape: Shape, value: unknown, at: string): FieldSet {
  if (shape.is === "scalar") checkScalar(shape.type, value, at);
  if (shape.is === "scalar" || shape.is === "schemaOr" || value === null) return leaf;
  if (shape.is === "list") {
    if (!Array.isArray(value)) throw new Misfit(`${at}: expected list, got ${JSON.stringify(value)}`);
    return shape.kind === "atomic" ? leaf : ownedList(shape, value, at);
  }
  if (!isValues(value)) throw new Misfit(`${at}: expected map, got ${JSON.stringify(value)}`);
  if (shape.is === "struct") return (shape.atomic ? undefined : ownedFields(shape, value, nothing, at)) ?? leaf;
  if (shape.atomic) return leaf;
  const members: Record<string, FieldSet> = {};
  for (const [key, item] of Object.entries(value)) members[`f:${key}`] = owned(shape.item, item, `${at}.${key}`);
  return fieldSet(inOrder(members), false) ?? leaf;
}

/**
 * The fields that a configuration states, without those that nobody owns. `ignored`: top-level fields that its
 * endpoint does not write.
 * @throws Misfit when the configuration does not fit the type
 */
export function ownedBy(
  shape: StructShape,
  config: Values,
  unowned: ReadonlySet<string>,
  ignored: readonly string[],
): FieldSet | undefined {
  const { metadata, ...rest } = config;
  const own = shape.byName.get("metadata")?.shape;
  const skip = new Set(["apiVersion", "kind", ...ignored]);
  const members = ownedFields(shape, rest, skip, "");
  if (own?.is !== "struct" || !isValues(metadata)) return members;
  const inside = ownedFields(own, metadata, unowned, ".metadata");
  return inside && !ignored.includes("metadata") ? inOrder({ ...members, "f:metadata": inside }) : members;
}
