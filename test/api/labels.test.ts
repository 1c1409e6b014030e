import { expect, test } from "vitest";
import { labelSelectorMatcher, parseLabelSelector } from "../../src/api/labels.ts";

const labels = { app: "web", tier: "front", n: "5", "example.com/x": "" };

test.for([
  ["", true],
  ["app=web", true],
  ["app==web", true],
  ["app = web , tier != back", true],
  ["app=db", false],
  ["app!=db", true],
  ["none!=x", true],
  ["app", true],
  ["none", false],
  ["!none", true],
  ["! app", false],
  ["app in (db,web)", true],
  ["app in (db)", false],
  ["app notin (db)", true],
  ["none notin (db)", true],
  ["tier in (front),app", true],
  ["n>4", true],
  ["n>5", false],
  ["n<6", true],
  ["app>1", false],
  ["example.com/x=", true],
  ["example.com/x", true],
  ["app in (,web)", true],
] as const)("%s selects: %s", ([text, selected]) => {
  expect(parseLabelSelector(text)(labels)).toBe(selected);
});

test.for([
  ["a b c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ["a in b", "unable to parse requirement: found 'b' expected: '('"],
  ["=a", "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"],
  ["a=b,", "found '', expected: identifier after ','"],
  ["a=b c", "found 'c', expected: ',' or 'end of string'"],
  ["a in (b", "unable to parse requirement: found '', expected: ',', or ')'"],
] as const)("%s is refused", ([text, message]) => {
  expect(() => parseLabelSelector(text)).toThrow(message);
});

test("a key of three parts is refused", () => {
  expect(() => parseLabelSelector("a/b/c=d")).toThrow(/^unable to parse requirement: <nil>: Invalid value: "a\/b\/c"/);
});

test("an absent selector selects nothing, an empty one everything", () => {
  expect(labelSelectorMatcher(undefined)(labels)).toBe(false);
  expect(labelSelectorMatcher({})(undefined)).toBe(true);
});

test.for([
  [{ matchLabels: { app: "web" } }, true],
  [{ matchLabels: { app: "web", tier: "back" } }, false],
  [{ matchExpressions: [{ key: "app", operator: "In", values: ["web", "db"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "Exists" }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "DoesNotExist" }] }, false],
  [{ matchLabels: { app: "web" }, matchExpressions: [{ key: "none", operator: "DoesNotExist" }] }, true],
] as const)("%j selects: %s", ([selector, selected]) => {
  expect(labelSelectorMatcher(structuredClone(selector) as object)(labels)).toBe(selected);
});
