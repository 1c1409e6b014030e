import { expect, test } from "vitest";
import type { SeenRule } from "../../../src/clouds/aws/balancer-inventory.ts";
import type { PlannedRule } from "../../../src/clouds/aws/destinations.ts";
import { conditionsOf, planRules } from "../../../src/clouds/aws/rules.ts";

const rule = (path: string): PlannedRule => ({ hosts: [], paths: [path], destination: { forward: [] } });

/** `b-5/x@3`: the rule for /x of the balancer b with order -5, at priority 3. */
function seen(text: string): SeenRule {
  const [, balancer = "", order = "", path = "", priority = ""] = /^([a-z]+)([-\d]*)(\/\w*)@(\d+)$/.exec(text) ?? [];
  const tags = {
    "drover.dev/balancer": balancer,
    "drover.dev/name": `default/${balancer}`,
    "drover.dev/order": order || "0",
  };
  return { arn: text, priority: Number(priority), raw: { Conditions: conditionsOf(rule(path)) }, tags };
}

type Row = {
  present: string[];
  order?: number;
  wanted: string[];
  moves: string[];
  creates?: string[];
  removes?: string[];
};

const rows: Row[] = [
  { present: [], wanted: ["/a", "/b"], moves: [], creates: ["/a@1", "/b@2"] },
  { present: ["m/a@1", "m/b@2"], wanted: ["/a", "/b"], moves: [] },
  // Another order is one call that moves both.
  { present: ["m/a@1", "m/b@2"], wanted: ["/b", "/a"], moves: ["m/b@2>1", "m/a@1>2"] },
  { present: ["m/b@1"], wanted: ["/a", "/b"], moves: ["m/b@1>2"], creates: ["/a@1"] },
  // What goes makes room first, so that nothing is in the way.
  {
    present: ["m/a@1", "m/b@2"],
    wanted: ["/b", "/c"],
    moves: ["m/b@2>1", "m/a@1>3"],
    creates: ["/c@2"],
    removes: ["m/a@1"],
  },
  { present: ["m/a@1"], wanted: [], moves: [], removes: ["m/a@1"] },
  // Members of a group by their order, then by name; others' rules keep theirs.
  { present: ["a/x@1", "a/y@2"], wanted: ["/m"], moves: [], creates: ["/m@3"] },
  { present: ["z/x@1", "z/y@2"], wanted: ["/m"], moves: ["z/x@1>2", "z/y@2>3"], creates: ["/m@1"] },
  { present: ["a/x@1", "z-5/y@2"], wanted: ["/m"], moves: ["z-5/y@2>1", "a/x@1>2"], creates: ["/m@3"] },
  { present: ["a/x@1"], order: -1, wanted: ["/m"], moves: ["a/x@1>2"], creates: ["/m@1"] },
  // Two rules alike are two rules.
  { present: ["m/a@1"], wanted: ["/a", "/a"], moves: [], creates: ["/a@2"] },
];

test.for(rows)("$present and $wanted", ({ present, order = 0, wanted, moves, creates = [], removes = [] }) => {
  const plan = planRules(present.map(seen), { id: "m", people: "default/m", order }, wanted.map(rule));
  expect(plan.priorities.map(({ seen: { arn }, priority }) => `${arn}>${priority}`)).toEqual(moves);
  expect(plan.create.map(({ wanted: { paths }, priority }) => `${paths[0]}@${priority}`)).toEqual(creates);
  expect(plan.remove.map(({ arn }) => arn)).toEqual(removes);
});

test("a rule for everything has a condition all the same", () => {
  expect(conditionsOf({ hosts: [], paths: [], destination: { forward: [] } })).toEqual([
    { Field: "path-pattern", PathPatternConfig: { Values: ["/*"] } },
  ]);
});
