/** A copy of a JSON value that shares nothing with it; much quicker than going through text. */
export function copyJson<T>(value: T): T {
  return copy(value) as T; // The same shape by construction.
}

function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copy);
  const from = value as Record<string, unknown>; // Neither a list nor null.
  const to: Record<string, unknown> = {};
  for (const key in from) {
    // A plain assignment to this key would set the prototype instead.
    if (key === "__proto__") Object.defineProperty(to, key, { ...own, value: copy(from[key]) });
    else to[key] = copy(from[key]);
  }
  return to;
}

const own = { enumerable: true, configurable: true, writable: true };
