import { itemElement } from "./field-compare.ts";
import { isValues } from "./field-owned.ts";
import type { FieldSet } from "./field-set.ts";
import { fieldSet } from "./field-set.ts";
import type { ListShape, Shape, StructShape } from "./structure.ts";

type Values = Record<string, unknown>;

/** `live` with what `config` says laid over it: fields and keyed items one by one, everything atomic as a whole. */
export function laidOver(shape: Shape, live: unknown, config: unknown): unknown {
  if (live === undefined || live === null || config === null) return config;
  if (shape.is === "list") return shape.kind === "atomic" ? config : listLaidOver(shape, live, config);
  if (shape.is === "scalar" || shape.is === "schemaOr" || shape.atomic) return config;
  if (!isValues(live) || !isValues(config)) return config;
  const out: Values = { ...live };
  for (const [key, value] of Object.entries(config)) {
    const inside = shape.is === "map" ? shape.item : shape.byName.get(key)?.shape;
    out[key] = inside ? laidOver(inside, live[key], value) : value;
  }
  return out;
}

/**
 * The items of both lists. Those that both have stand in the order of `config`; those of one list alone keep their
 * place among their neighbours.
 */
function listLaidOver(shape: ListShape, live: unknown, config: unknown): unknown {
  if (!Array.isArray(live) || !Array.isArray(config)) return config;
  const old = live.map((item) => itemElement(shape, item));
  const next = config.map((item) => itemElement(shape, item));
  const [inOld, inNext] = [new Map(old.map((element, index) => [element, live[index]])), new Set(next)];
  const shared = next.filter((element) => inOld.has(element));
  let nextShared = 0;
  const taken = new Set<string>();
  const out: unknown[] = [];
  let [left, right] = [0, 0];
  const take = (element: string) => {
    taken.add(element);
    if (shared[nextShared] === element) nextShared++;
    out.push(inOld.has(element) ? laidOver(shape.item, inOld.get(element), config[right]) : config[right]);
    right++;
  };
  while (left < old.length || right < next.length) {
    const [mine, theirs] = [old[left], next[right]];
    if (mine !== undefined && theirs !== undefined && mine === theirs) {
      take(theirs);
      left++;
    } else if (mine !== undefined && !inNext.has(mine)) out.push(live[left++]);
    else if (mine !== undefined && (taken.has(mine) || (theirs !== undefined && shared[nextShared] !== mine))) left++;
    else if (theirs !== undefined) take(theirs);
    else left++;
  }
  return out;
}

/** `set` with every declared field on the way to its fields: such a field goes when all in it goes. */
export function withDeclaredFields(shape: Shape | undefined, set: FieldSet | undefined): FieldSet | undefined {
  if (!set || !shape) return set;
  const members: Record<string, FieldSet> = {};
  for (const [element, part] of Object.entries(set)) {
    if (element === ".") continue;
    const inside = insideOf(shape, element);
    const deep = withDeclaredFields(inside, part) ?? part;
    const isDeclared = shape.is === "struct" && inside !== undefined;
    members[element] = isDeclared ? (fieldSet(withoutSelf(deep), true) ?? deep) : deep;
  }
  return fieldSet(members, "." in set || Object.keys(set).length === 0);
}

const withoutSelf = ({ ".": _, ...members }: FieldSet): Record<string, FieldSet> => members;

function insideOf(shape: Shape, element: string): Shape | undefined {
  if (shape.is === "list" || shape.is === "map") return shape.item;
  return shape.is === "struct" ? shape.byName.get(element.slice(2))?.shape : undefined;
}

const isWhole = (set: FieldSet): boolean => "." in set || Object.keys(set).length === 0;

/** `value` without the fields of `set`. What becomes empty by it becomes nothing. */
export function without(shape: Shape, value: unknown, set: FieldSet | undefined): unknown {
  if (!set || value === null || value === undefined) return value;
  if (shape.is === "list" && Array.isArray(value)) {
    const kept: unknown[] = [];
    for (const item of value) {
      const part = set[itemElement(shape, item)];
      if (!part) kept.push(item);
      else if (!isWhole(part)) kept.push(without(shape.item, item, part));
    }
    return kept.length > 0 ? kept : undefined;
  }
  if ((shape.is !== "struct" && shape.is !== "map") || !isValues(value)) return value;
  return fieldsWithout(shape, value, set);
}

function fieldsWithout(shape: StructShape | (Shape & { is: "map" }), value: Values, set: FieldSet): Values | undefined {
  const kept: Values = {};
  for (const [key, item] of Object.entries(value)) {
    const part = set[`f:${key}`];
    if (part && isWhole(part)) continue;
    const inside = insideOf(shape, `f:${key}`);
    const rest = part && inside ? without(inside, item, part) : item;
    if (rest !== undefined) kept[key] = rest;
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}
