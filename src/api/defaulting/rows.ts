import { readFileSync } from "node:fs";
import { assert } from "../../base/assert.ts";
import type { Field, Shape, StructShape } from "../structure.ts";

/** One row of `data/defaults.json`; the letters are explained in the file itself. */
export type Row = {
  t: string;
  p: string;
  w: string;
  v: unknown;
  s: "defaults" | "marker" | "conversion" | "strategy" | "admission";
  gate?: string;
  gateDefault?: boolean;
};
type Table = { generationOnCreate: string[]; defaults: Row[] };

export const defaultsTable: Table = JSON.parse(readFileSync(new URL("../data/defaults.json", import.meta.url), "utf8"));

/** Any object on the way through the rules. */
export type Fields = Record<string, unknown>;
/** Completes one value of a type in place. */
export type Rule = (value: Fields) => void;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** The objects in a list; nothing for anything else. */
export const items = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);
/** The object at `name`, if it is there. */
export const child = (value: unknown, name: string): Fields | undefined => {
  const found = isFields(value) ? value[name] : undefined;
  return isFields(found) ? found : undefined;
};
/** The object at `name`, put there if it is missing. */
export function ensureChild(value: Fields, name: string): Fields {
  const found = child(value, name);
  if (found) return found;
  const made: Fields = {};
  value[name] = made;
  return made;
}

type Path = readonly string[];
const at = (value: unknown, path: Path): unknown => {
  let found = value;
  for (const name of path) found = isFields(found) ? found[name] : undefined;
  return found;
};
const isAbsent = (value: unknown): boolean => value === undefined || value === null;
const isZero = (value: unknown): boolean =>
  isAbsent(value) || value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
const isHollow = (value: unknown): boolean => isZero(value) || (isFields(value) && Object.keys(value).length === 0);

/** The field at the end of `path`, if the type has it. */
function fieldAt(shape: StructShape, path: Path): Field | undefined {
  let struct: StructShape | undefined = shape;
  let field: Field | undefined;
  for (const name of path) {
    field = struct?.byName.get(name.replace("[]", ""));
    const next: Shape | undefined = field?.shape.is === "list" ? field.shape.item : field?.shape;
    struct = next?.is === "struct" ? next : undefined;
  }
  return field;
}

/** Whether absence is told from a zero at the end of `path`. */
const isPointer = (shape: StructShape, path: Path): boolean => fieldAt(shape, path)?.pointer ?? false;

type Condition = (root: Fields, parent: Fields) => boolean;

/** One term of a condition, or undefined when it is not in the plain language of most rows. */
function conditionFrom(term: string, shape: StructShape, target: Path): Condition | undefined {
  const last = target.at(-1) ?? "";
  if (term === "unset" || term === "0|unset") {
    const pointer = term === "unset" && isPointer(shape, target);
    return (_, parent) => (pointer ? isAbsent(parent[last]) : isZero(parent[last]));
  }
  if (term === "unset|empty") return (_, parent) => isHollow(parent[last]);
  const match = /^([\w.]+)(?:==(\w+)| (set|unset|empty|nonempty)(?: in request)?| in \(([\w,]+)\))$/.exec(term);
  if (!match) return undefined;
  const [, name = "", equal, state, list] = match;
  const path = name.split(".");
  const isRooted = shape.byName.has(path[0] ?? "");
  const read = (root: Fields, parent: Fields) => at(isRooted ? root : parent, path);
  if (equal !== undefined) return (root, parent) => read(root, parent) === equal;
  if (list !== undefined) {
    const values = new Set<unknown>(list.split(","));
    return (root, parent) => values.has(read(root, parent));
  }
  const absent = isPointer(shape, path) ? isAbsent : isHollow;
  if (state === "empty" || state === "nonempty") {
    return (root, parent) => isHollow(read(root, parent)) === (state === "empty");
  }
  return (root, parent) => absent(read(root, parent)) === (state === "unset");
}

/** Fills the field at `path` of `value`, in every item where the path goes through lists. */
function fill(root: Fields, value: Fields, path: Path, when: readonly Condition[], make: () => unknown): void {
  const [name = "", ...rest] = path;
  if (name.endsWith("[]")) {
    for (const item of items(value[name.slice(0, -2)])) fill(root, item, rest, when, make);
  } else if (rest.length > 0) {
    const inside = child(value, name);
    if (inside) fill(root, inside, rest, when, make);
    else {
      // Made only if the rule then puts something into it.
      const made: Fields = {};
      fill(root, made, rest, when, make);
      if (Object.keys(made).length > 0) value[name] = made;
    }
  } else if (when.every((condition) => condition(root, value))) value[name] = make();
}

/**
 * A row in the plain language (a constant, under conditions on fields) as a rule, or undefined when the row needs code
 * of its own.
 */
export function ruleFrom(row: Row, shape: StructShape): Rule | undefined {
  if (typeof row.v === "string" && row.v.startsWith("=")) return undefined;
  if (!/^\w+(\[\])?(\.\w+(\[\])?)*$/.test(row.p)) return undefined;
  const path = row.p.split(".");
  const field = fieldAt(shape, path);
  // A zero that is not written leaves no trace.
  if (field && !field.pointer && !field.always && isZero(row.v)) return () => {};
  const when: Condition[] = [];
  for (const term of row.w.split(" && ")) {
    const condition = conditionFrom(term, shape, path);
    if (!condition) return undefined;
    when.push(condition);
  }
  assert(when.length > 0, `the default of ${row.t} ${row.p} has no condition`);
  const text = JSON.stringify(row.v);
  const make = typeof row.v === "object" ? () => JSON.parse(text) : () => row.v;
  return (value) => fill(value, value, path, when, make);
}
