import { isObject, own } from "../json-values.ts";

/** `target` changed as RFC 7386 says: objects merge, null deletes, everything else replaces. Nothing is modified. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const before = isObject(target) ? target : {};
  const merged = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(own(before, key), value));
  }
  return Object.fromEntries(merged);
}
