import { expect, test } from "vitest";
import { kinds } from "../../../src/api/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { jsonPatch } from "../../../src/api/patch/json-patch.ts";
import { mergePatch } from "../../../src/api/patch/merge-patch.ts";
import { patchObject } from "../../../src/api/patch/patch.ts";
import { strategicMergePatch } from "../../../src/api/patch/strategic.ts";

const kindOf = (id: string) => {
  const kind = kinds.get(id);
  if (!kind) throw new Error(`the table has no ${id}`);
  return kind;
};
const pod = kindOf("v1/Pod");
const refused = (code: number, message: string | RegExp) =>
  expect.objectContaining({ status: expect.objectContaining({ code }), message: expect.stringMatching(message) });

test.for([
  ["a negative index counts from the end", { l: [1, 2, 3] }, [{ op: "remove", path: "/l/-1" }], { l: [1, 2] }],
  ["an item put at -1 becomes the last", { l: [1] }, [{ op: "add", path: "/l/-1", value: 2 }], { l: [1, 2] }],
  ["a missing value is null", { a: 1 }, [{ op: "replace", path: "/a" }], { a: null }],
  ["a copy of what is not there is null", {}, [{ op: "copy", from: "/a", path: "/b" }], { b: null }],
  ["what stands before the first slash is ignored", {}, [{ op: "add", path: "x/a", value: 1 }], { a: 1 }],
  ["an item is put in before an index", { l: [1] }, [{ op: "add", path: "/l/0", value: 0 }], { l: [0, 1] }],
  ["a dash is the end", { l: [1] }, [{ op: "add", path: "/l/-", value: 2 }], { l: [1, 2] }],
  ["escapes name slash and tilde", { "a/b~": 1 }, [{ op: "replace", path: "/a~1b~0", value: 2 }], { "a/b~": 2 }],
  [
    "a test ignores the order of keys",
    { a: { b: 1, c: 2 } },
    [{ op: "test", path: "/a", value: { c: 2, b: 1 } }],
    { a: { b: 1, c: 2 } },
  ],
  [
    "keys that objects inherit are only data",
    {},
    [{ op: "add", path: "/constructor", value: "x" }],
    { constructor: "x" },
  ],
] as const)("%s", ([_name, target, operations, want]) => {
  expect(jsonPatch(target, operations)).toEqual(want);
});

test.for([
  ["through what every object inherits", { op: "add", path: "/toString/call", value: 1 }],
  ["through a prototype", { op: "add", path: "/__proto__/polluted", value: 1 }],
  ["into a text", { op: "add", path: "/a/b", value: 1 }],
  ["beyond the end of a list", { op: "add", path: "/l/2", value: 1 }],
  ["to what is not there", { op: "move", from: "/x", path: "/y" }],
  ["to another whole", { op: "add", path: "", value: {} }],
  ["into its own child", { op: "move", from: "/l", path: "/l/0" }],
  ["without a slash", { op: "remove", path: "a" }],
] as const)("no operation leads %s", ([_name, operation]) => {
  expect(() => jsonPatch({ a: "x", l: [1] }, [operation])).toThrow(refused(422, "the server rejected our request"));
});

test("a patch may not copy without end", () => {
  const operations = Array.from({ length: 40 }, () => ({ op: "copy", from: "/a", path: "/a/-" }));
  expect(() => jsonPatch({ a: ["x".repeat(1000)] }, operations)).toThrow(refused(413, "accumulated size"));
  expect(() =>
    jsonPatch(
      {},
      Array.from({ length: 10_001 }, () => ({})),
    ),
  ).toThrow(refused(413, "10000, got 10001"));
});

test("a key named __proto__ survives every patch as data", () => {
  const patch = JSON.parse('{"data":{"__proto__":"x"}}');
  const configMap = kindOf("v1/ConfigMap");
  expect(JSON.stringify(mergePatch({}, patch))).toBe('{"data":{"__proto__":"x"}}');
  expect(JSON.stringify(strategicMergePatch(configMap, { data: { a: "b" } }, patch))).toBe(
    '{"data":{"a":"b","__proto__":"x"}}',
  );
  expect(JSON.stringify(jsonPatch({}, [{ op: "add", path: "/__proto__", value: 1 }]))).toBe('{"__proto__":1}');
});

const containers = (...names: string[]) => ({ spec: { containers: names.map((name) => ({ name })) } });
test.for([
  ["new items go in front", "ab", { containers: [{ name: "c" }] }, "cab"],
  ["items keep the server's order where both know it", "ab", { containers: [{ name: "b" }, { name: "c" }] }, "abc"],
  ["an order moves items", "abc", { "$setElementOrder/containers": [{ name: "c" }, { name: "a" }] }, "bca"],
  [
    "an order and a deletion go together",
    "abc",
    { "$setElementOrder/containers": [{ name: "c" }, { name: "a" }], containers: [{ name: "b", $patch: "delete" }] },
    "ca",
  ],
  [
    "an item that takes a deleted one's place stands behind the server's own",
    "adz",
    {
      "$setElementOrder/containers": [{ name: "e" }, { name: "d" }, { name: "a" }],
      containers: [{ name: "e" }, { name: "a" }, { name: "d", $patch: "delete" }],
    },
    "zea",
  ],
  ["null takes the list away", "ab", { containers: null }, ""],
] as const)("%s", ([_name, before, spec, want]) => {
  const merged = strategicMergePatch(pod, containers(...before), { spec });
  expect(merged).toEqual(want === "" ? { spec: {} } : containers(...want));
});

test("deletions and nulls of a part that is new leave nothing behind", () => {
  const patch = {
    spec: {
      containers: [
        { name: "a", $patch: "delete" },
        { name: "b", env: null, image: "x" },
      ],
    },
  };
  expect(strategicMergePatch(pod, {}, patch)).toEqual({ spec: { containers: [{ name: "b", image: "x" }] } });
});

test("a new item is taken as it is, with directives that nobody obeys", () => {
  const patch = { spec: { containers: [{ name: "b", env: [{ name: "F", $patch: "delete" }] }] } };
  const { spec } = strategicMergePatch(pod, containers("a"), patch) as ReturnType<typeof containers>;
  expect(spec.containers[0]).toEqual({ name: "b", env: [{ name: "F", $patch: "delete" }] });
});

test.for([
  ["an order of nothing", { "$setElementOrder/initContainers": [], initContainers: [] }, "no elements in any of"],
  [
    "an order that lacks an item",
    { "$setElementOrder/containers": [], containers: [{ name: "a" }] },
    "doesn't match \\$setElementOrder list",
  ],
  [
    "retained keys that lack a key",
    { volumes: [{ name: "v", $retainKeys: ["name"], emptyDir: {} }] },
    "doesn't match retainKeys",
  ],
  [
    "an order of an unknown field",
    { "$setElementOrder/nope": [] },
    'unable to find api field in struct PodSpec for the json field "nope"',
  ],
  ["merge in a list", { containers: [{ $patch: "merge" }] }, "merging lists cannot yet be specified"],
  ["texts among objects", { containers: ["a"] }, "list element types are not identical"],
] as const)("%s is a mistake", ([_name, spec, message]) => {
  const target = { spec: { containers: [{ name: "a" }], volumes: [{ name: "v" }] } };
  expect(() => strategicMergePatch(pod, target, { spec })).toThrow(refused(500, message));
});

test.for(["merge-patch", "strategic-merge-patch", "json-patch"])(
  "a %s that is nested too deeply is refused",
  (type) => {
    const target: KubeObject = JSON.parse('{"apiVersion":"v1","kind":"Pod","metadata":{}}');
    const body = Buffer.from(`${'{"a":'.repeat(500_000)}1${"}".repeat(500_000)}`);
    expect(() => patchObject(pod, `application/${type}+json`, target, body)).toThrow(
      refused(400, "exceeded max depth"),
    );
  },
);

test("thousands of items merge in no time", () => {
  const env = (value: string) => Array.from({ length: 20_000 }, (_, index) => ({ name: `E${index}`, value }));
  const object = (value: string) => ({ spec: { containers: [{ name: "a", env: env(value) }] } });
  const startedMs = performance.now();
  expect(strategicMergePatch(pod, object("1"), object("2"))).toEqual(object("2"));
  expect(performance.now() - startedMs).toBeLessThan(2000);
});
