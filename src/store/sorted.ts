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

/** Only among these do UTF-16 and UTF-8 disagree about order; without one of them the language's own, faster order does. */
const astral = /[\ud800-\uffff]/;
const plainOrder = (a: string, b: string): number => (a < b ? -1 : a === b ? 0 : 1);

/** Index of the first of the sorted `items` that does not lie before `key`. */
export function lowerBound(items: readonly { readonly key: string }[], key: string): number {
  const compare = astral.test(key) ? compareKeys : plainOrder;
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(items[middle]?.key ?? "", key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts `item` in its place among the sorted `items`, instead of one with the same key. */
export function insertSorted<T extends { readonly key: string }>(items: T[], item: T): void {
  const at = lowerBound(items, item.key);
  if (at === items.length) items.push(item);
  else if (items[at]?.key === item.key) items[at] = item;
  else items.splice(at, 0, item);
}

export function removeSorted(items: { readonly key: string }[], key: string): void {
  const at = lowerBound(items, key);
  if (items[at]?.key === key) items.splice(at, 1);
}
