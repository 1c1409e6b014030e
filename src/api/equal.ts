/** Whether two JSON values say the same: order of keys does not count, and an undefined field is an absent one. */
export function equal(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item, index) => equal(item, right[index]));
  }
  const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>];
  let size = 0;
  for (const key in a) {
    if (a[key] === undefined) continue;
    size++;
    if (!equal(a[key], Object.hasOwn(b, key) ? b[key] : undefined)) return false;
  }
  for (const key in b) if (b[key] !== undefined) size--;
  return size === 0;
}
