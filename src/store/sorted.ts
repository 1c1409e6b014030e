/** Below, equal or above zero, as the UTF-8 bytes of `a` lie before, on or after those of `b`. */
export function compareKeys(a: string, b: string): number {
  const size = Math.min(a.length, b.length);
  for (let at = 0; at < size; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return utf8Rank(x) - utf8Rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 puts the halves of characters beyond 0xffff before 0xe000 to 0xffff; their UTF-8 bytes come after. */
const utf8Rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);

/** Index of the first of the sorted `items` that does not lie before `key`. */
export function lowerBound(items: readonly { readonly key: string }[], key: string): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(items[middle]?.key ?? "", key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts `item` in its place among the sorted `items`, instead of one with the same key. */
export function insertSorted<T extends { readonly key: string }>(items: T[], item: T): void {
  const last = items[items.length - 1];
  if (last === undefined || compareKeys(last.key, item.key) < 0) {
    items.push(item);
    return;
  }
  const at = lowerBound(items, item.key);
  items.splice(at, items[at]?.key === item.key ? 1 : 0, item);
}

export function removeSorted(items: { readonly key: string }[], key: string): void {
  const at = lowerBound(items, key);
  if (items[at]?.key === key) items.splice(at, 1);
}
