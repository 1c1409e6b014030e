import { MalformedValue } from "./malformed.ts";

/** Deeper than any object; everything that walks a value may recurse this far. */
const depthMax = 1000;

/** How many keys the objects in `value` have. @throws MalformedValue when it is nested too deeply */
export function countKeys(value: unknown, depth = 0): number {
  if (typeof value !== "object" || value === null) return 0;
  if (depth > depthMax) throw new MalformedValue("exceeded max depth");
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += countKeys(item, depth + 1);
  else for (const key in value) count += 1 + countKeys((value as Record<string, unknown>)[key], depth + 1);
  return count;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === 92) slashes++;
  return slashes % 2 === 1;
}

/** The place of the quote that ends the string that begins at `at`. */
function stringEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (text.charCodeAt(end - 1) === 92 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

/** Colons outside strings: one a key, repeated or not. */
function countColons(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 58) count++;
    else if (code === 34) at = stringEnd(text, at);
  }
  return count;
}

/** An object or list on the way to the current place: its path, its keys so far or the index of its item. */
type Level = { path: string; keys?: Set<string>; index: number };

function repeated(text: string): string[] {
  const found: string[] = [];
  const levels: Level[] = [];
  let path = "";
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    const level = levels.at(-1);
    if (sign === "{") levels.push({ path, keys: new Set(), index: 0 });
    else if (sign === "[") {
      levels.push({ path, index: 0 });
      path += "[0]";
    } else if (sign === "}" || sign === "]") levels.pop();
    else if (sign === "," && level && !level.keys) path = `${level.path}[${++level.index}]`;
    else if (sign === '"') {
      const end = stringEnd(text, at);
      const isKey = level?.keys !== undefined && /^\s*:/.test(text.slice(end + 1, end + 64));
      if (isKey) {
        const key = String(JSON.parse(text.slice(at, end + 1)));
        path = level.path === "" ? key : `${level.path}.${key}`;
        if (level.keys?.has(key)) found.push(path);
        level.keys?.add(key);
      }
      at = end;
    }
  }
  return found;
}

/**
 * Paths of the keys that an object in `text`, valid JSON, has a second time. `value` is what `JSON.parse` made of it:
 * as long as it has as many keys as the text, which is nearly always, nothing is read twice.
 */
export const duplicateKeys = (text: string, value: unknown): string[] =>
  countColons(text) === countKeys(value) ? [] : repeated(text);
