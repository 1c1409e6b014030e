import { assert } from "../../base/assert.ts";
import { type Shape, type StructShape, structIn } from "../structure.ts";
import { byHand } from "./by-hand.ts";
import { defaultsTable, isFields, type Row, type Rule, ruleFrom } from "./rows.ts";

type Walk = (value: unknown) => void;

const stages = new Set(["defaults", "marker", "conversion"]);
const rowsByType = new Map<string, Row[]>();
for (const row of defaultsTable.defaults) {
  if (stages.has(row.s)) rowsByType.set(row.t, [...(rowsByType.get(row.t) ?? []), row]);
}

/** Rules of one type in the order of the table. A rule by hand stands where the first of its rows stands. */
function rulesOf(shape: StructShape): Rule[] {
  const rules: Rule[] = [];
  const done = new Set<string>();
  for (const row of rowsByType.get(shape.name) ?? []) {
    const id = `${row.t} ${row.p}`;
    const hand = byHand[id];
    if (hand !== undefined) {
      if (!done.has(id) && hand !== "elsewhere") rules.push(hand);
      done.add(id);
    } else if (row.gateDefault !== false) rules.push(plainRule(row, shape));
  }
  return rules;
}

function plainRule(row: Row, shape: StructShape): Rule {
  const rule = ruleFrom(row, shape);
  assert(rule !== undefined, `the default of ${row.t} ${row.p} is neither plain nor written by hand`);
  return rule;
}

const walks = new Map<string, Walk | undefined>();

/** Undefined when neither the type nor anything in it has a default. */
function walkOf(shape: StructShape): Walk | undefined {
  if (walks.has(shape.name)) return walks.get(shape.name);
  // A type that holds itself ends here; the only such type, a JSON Schema, has no defaults.
  walks.set(shape.name, undefined);
  const rules = rulesOf(shape);
  const children: { name: string; walk: Walk; is: Shape["is"] }[] = [];
  for (const field of shape.fields) {
    const struct = structIn(field.shape);
    const walk = struct && walkOf(struct);
    if (walk) children.push({ name: field.name, walk, is: field.shape.is });
  }
  if (rules.length === 0 && children.length === 0) return undefined;
  const walk: Walk = (value) => {
    if (!isFields(value)) return;
    for (const rule of rules) rule(value);
    for (const { name, walk: next, is } of children) {
      const given = value[name];
      if (given === undefined || given === null) continue;
      if (is === "struct") next(given);
      else if (Array.isArray(given)) for (const item of given) next(item);
      else for (const item of Object.values(given as object)) next(item);
    }
  };
  walks.set(shape.name, walk);
  return walk;
}

/** Fills the defaults of every type in `value`, parents before what they hold. */
export const fillDefaults = (shape: StructShape, value: unknown): void => walkOf(shape)?.(value);
