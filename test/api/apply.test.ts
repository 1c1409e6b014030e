import { expect, test } from "vitest";
import { type Applier, applyPatch, readConfig } from "../../src/api/apply.ts";
import { decodeObject } from "../../src/api/decode.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import { recordUpdate } from "../../src/api/managed.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { kindOf } from "./kind-of.ts";

const time = "2026-01-01T00:00:00Z";
const by = (manager: string, more: Partial<Applier> = {}): Applier => ({ manager, time, force: false, ...more });

/** What a server makes of an apply. */
function apply(live: KubeObject | undefined, config: Record<string, unknown>, applier: Applier): KubeObject {
  const kind = kindOf(`${config["apiVersion"]}/${config["kind"]}`);
  const applied = applyPatch(kind, live, config, applier);
  const { object } = decodeObject(kind, applied.object);
  applyDefaults(kind, object, "defaults");
  object.metadata.managedFields = applied.managedFields;
  return object;
}

const pod = (spec: object, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", ...metadata },
  spec,
});
const map = (data: object | undefined, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", ...metadata },
  ...(data && { data }),
});
const namesOf = (list: unknown): string[] => (list as { name: string }[]).map(({ name }) => name);
const specOf = (object: KubeObject) => object.spec as { containers: { name: string; env?: { name: string }[] }[] };

test("an item that its applier drops goes with everything that nobody else says of it", () => {
  const first = apply(
    undefined,
    pod({
      containers: [
        { name: "a", image: "x:1" },
        { name: "b", image: "x:1" },
      ],
    }),
    by("m"),
  );
  const second = apply(first, pod({ containers: [{ name: "a", image: "x:1" }] }), by("m"));
  expect(namesOf(specOf(second).containers)).toEqual(["a"]);
});

test("an item stays as long as another manager says something of it", () => {
  const first = apply(undefined, pod({ containers: [{ name: "a", image: "x:1" }] }), by("m1"));
  const env = [{ name: "E", value: "1" }];
  const shared = apply(first, pod({ containers: [{ name: "a", env }] }), by("m2"));
  const last = apply(shared, pod({ containers: [{ name: "b", image: "x:1" }] }), by("m1"));
  expect(specOf(last).containers).toMatchObject([{ name: "a", env }, { name: "b" }]);
  expect(specOf(last).containers[0]).not.toHaveProperty("image");
});

test("what a server added to a field of the applier's goes with the field", () => {
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } };
  const deployment = (spec: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a" },
    spec: { selector: { matchLabels: { a: "b" } }, template: { metadata: { labels: { a: "b" } } }, ...spec },
  });
  const first = apply(undefined, deployment({ strategy }), by("m"));
  const second = apply(first, deployment({ strategy: { type: "Recreate" } }), by("m"));
  expect((second.spec as { strategy: object }).strategy).toEqual({ type: "Recreate" });
});

test.for([
  [
    ["a", "b"],
    ["b", "c"],
    ["a", "b", "c"],
  ],
  [
    ["a", "b", "c"],
    ["c", "a"],
    ["b", "c", "a"],
  ],
  [["a", "b"], ["x"], ["a", "b", "x"]],
  [
    ["a", "b", "c", "d"],
    ["d", "x", "b"],
    ["a", "c", "d", "x", "b"],
  ],
] as const)("%j with %j laid over is %j", ([old, next, merged]) => {
  const containers = (names: readonly string[]) => pod({ containers: names.map((name) => ({ name, image: "x:1" })) });
  const live = apply(undefined, containers(old), by("m1"));
  const object = apply(live, containers(next), by("m2"));
  expect(namesOf(specOf(object).containers)).toEqual(merged);
});

test("finalizers are a set: each applier has its own", () => {
  const first = apply(undefined, map(undefined, { finalizers: ["x.io/a"] }), by("m1"));
  const second = apply(first, map(undefined, { finalizers: ["x.io/b"] }), by("m2"));
  expect(second.metadata.finalizers).toEqual(["x.io/a", "x.io/b"]);
  expect(apply(second, map(undefined), by("m1")).metadata.finalizers).toEqual(["x.io/b"]);
});

test("a conflict names the item by its keys", () => {
  const ports = (hostPort: number) =>
    pod({ containers: [{ name: "a", image: "x:1", ports: [{ containerPort: 80, protocol: "UDP", hostPort }] }] });
  const live = apply(undefined, ports(1), by("m1"));
  const field = '.spec.containers[name="a"].ports[containerPort=80,protocol="UDP"].hostPort';
  expect(() => apply(live, ports(2), by("m2"))).toThrow(`Apply failed with 1 conflict: conflict with "m1": ${field}`);
  expect(apply(live, ports(2), by("m2", { force: true })).spec).toMatchObject({
    containers: [{ ports: [{ hostPort: 2 }] }],
  });
});

const annotation = "kubectl.kubernetes.io/last-applied-configuration";

test("kubectl takes over what it has applied from its own side, and keeps the annotation true", () => {
  const kind = kindOf("v1/ConfigMap");
  const live = decodeObject(
    kind,
    map({ k: "1" }, { annotations: { [annotation]: JSON.stringify(map({ k: "1" })) } }),
  ).object;
  live.metadata.managedFields = recordUpdate(kind, undefined, live, { manager: "kubectl-client-side-apply", time });
  const next = apply(live, map({ k: "2" }), by("kubectl"));
  expect(next["data"]).toEqual({ k: "2" });
  expect(JSON.parse(next.metadata.annotations?.[annotation] ?? "")).toEqual(map({ k: "2" }));
  expect(() => apply(live, map({ k: "2" }), by("other"))).toThrow('conflict with "kubectl-client-side-apply" using v1');
});

test.for([
  [{ data: { k: 1 } }, ".data.k: expected string, got 1"],
  [{ data: [] }, ".data: expected map, got []"],
  [{ metadata: { name: "a", finalizers: ["x", "x"] } }, '.metadata.finalizers: duplicate entries for key [="x"]'],
] as const)("%j does not fit", ([change, message]) => {
  const config = { ...map(undefined), ...structuredClone(change) };
  expect(() => apply(undefined, config, by("m"))).toThrow(
    `failed to create typed patch object (/a; /v1, Kind=ConfigMap): ${message}`,
  );
});

test.for([
  ["{}", "invalid object type: /, Kind="],
  ["kind: ConfigMap", "invalid object type: /, Kind=ConfigMap"],
  ["a: [", "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content"],
  ["apiVersion: v1\nkind: ConfigMap\nmetadata: {managedFields: [{}]}", "metadata.managedFields must be nil"],
] as const)("the configuration %j is refused", ([text, message]) => {
  expect(() => readConfig(kindOf("v1/ConfigMap"), Buffer.from(text))).toThrow(message);
});
