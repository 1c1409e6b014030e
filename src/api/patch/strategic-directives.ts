import { isObject } from "./json-values.ts";

/** In an object: `replace` or `delete` it; as an item of a list: the item, or the whole list. */
export const directive = "$patch";
/** The keys that an object keeps; the others are taken out of it. */
export const retainKeys = "$retainKeys";
export const deletePrefix = "$deleteFromPrimitiveList";
export const orderPrefix = "$setElementOrder";

const isDirective = (name: string): boolean =>
  name === directive ||
  name === retainKeys ||
  name.startsWith(`${deletePrefix}/`) ||
  name.startsWith(`${orderPrefix}/`);

/**
 * The plain value of a patch that has nothing to merge with: no directives, no nulls in objects. Undefined: the patch
 * only says to delete it.
 */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (value[directive] === "delete") return undefined;
  const kept: [string, unknown][] = [];
  for (const [name, item] of Object.entries(value)) {
    if (isDirective(name) || item === null) continue;
    const plain = withoutDirectives(item);
    if (plain !== undefined) kept.push([name, plain]);
  }
  return Object.fromEntries(kept);
}
