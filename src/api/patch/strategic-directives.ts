import { isObject } from "../json-values.ts";

/** In an object: `replace` or `delete` it; as an item of a list: the item, or the whole list. */
export const directive = "$patch";
/** The keys that an object keeps; the others are taken out of it. */
export const retainKeys = "$retainKeys";
export const deletePrefix = "$deleteFromPrimitiveList";
export const orderPrefix = "$setElementOrder";

/**
 * The plain value of a patch that has nothing to merge with: no nulls in objects, and none of the parts that carry
 * `$patch`, whatever it says. Other directives stay, and are unknown fields then. Undefined: nothing is left.
 */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, directive)) return undefined;
  const kept = Object.entries(value)
    .map(([name, item]) => [name, withoutDirectives(item)] as const)
    .filter(([, item]) => item !== undefined && item !== null);
  return Object.fromEntries(kept);
}
