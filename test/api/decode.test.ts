import { expect, test } from "vitest";
import { decodeObject } from "../../src/api/decode.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import { equal } from "../../src/api/equal.ts";
import { kinds } from "../../src/api/kinds.ts";
import { storedForm } from "../../src/api/stored-form.ts";
import { exchanges } from "../oracle/recorded.ts";
import { kindOf } from "./kind-of.ts";

const decode = (id: string, value: object) => decodeObject(kindOf(id), value);

test("unknown fields are left out and named in the order of the document", () => {
  const { object, unknown } = decode("v1/Pod", {
    zzz: 1,
    spec: { containers: [{ name: "c", imagePulPolicy: "x", env: [{ nam: "x" }] }], replica: 1 },
    metadata: { nope: 1 },
  });
  expect(unknown).toEqual([
    "zzz",
    "spec.containers[0].imagePulPolicy",
    "spec.containers[0].env[0].nam",
    "spec.replica",
    "metadata.nope",
  ]);
  expect(object).not.toHaveProperty("zzz");
});

test.for([
  ["v1/ConfigMap", { data: { a: 1 } }, "cannot unmarshal number into Go struct field ConfigMap.data of type string"],
  ["v1/Pod", { spec: { containers: {} } }, "field PodSpec.spec.containers of type []v1.Container"],
  ["v1/Pod", { spec: { containers: [{ image: 1 }] } }, "field Container.spec.containers.image of type string"],
  ["v1/Pod", { spec: { containers: [{ imagePullPolicy: 1 }] } }, "of type v1.PullPolicy"],
  [
    "apps/v1/Deployment",
    { spec: { replicas: 1.5 } },
    "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
  ],
  [
    "apps/v1/Deployment",
    { spec: { replicas: "1" } },
    "string into Go struct field DeploymentSpec.spec.replicas of type int32",
  ],
  ["apps/v1/Deployment", { spec: { replicas: 2 ** 31 } }, "number 2147483648 into Go struct field"],
  [
    "v1/ConfigMap",
    { metadata: { labels: { a: true } } },
    "bool into Go struct field ObjectMeta.metadata.labels of type string",
  ],
  ["v1/Secret", { data: { k: "!" } }, "illegal base64 data at input byte 0"],
] as const)("%s %j is refused", ([id, value, message]) => {
  expect(() => decode(id, value)).toThrow(message);
});

test.for([
  [" 64Mi ", "64Mi"],
  [2, "2"],
  [0.5, "500m"],
  [true, /quantities must match/],
  [{ a: 1 }, /quantities must match/],
] as const)("an amount of %j is %s", ([amount, expected]) => {
  const read = () =>
    decode("v1/Pod", { spec: { containers: [{ name: "c", resources: { limits: { memory: amount } } }] } });
  if (expected instanceof RegExp) expect(read).toThrow(expected);
  else expect(read().object.spec).toMatchObject({ containers: [{ resources: { limits: { memory: expected } } }] });
});

test("a field keeps its zero where presence counts and loses it where it does not", () => {
  const { object } = decode("v1/Pod", {
    spec: { hostNetwork: false, terminationGracePeriodSeconds: 0, nodeName: "", containers: [], volumes: [] },
  });
  expect(object.spec).toEqual({ containers: [], terminationGracePeriodSeconds: 0 });
  expect(storedForm(kindOf("v1/Pod"), object).spec).toEqual({ containers: null, terminationGracePeriodSeconds: 0 });
});

test("nulls are as good as nothing", () => {
  const { object, unknown } = decode("v1/Pod", { metadata: { creationTimestamp: null, labels: null }, spec: null });
  expect(object).toEqual({ apiVersion: "v1", kind: "Pod", metadata: {}, spec: { containers: null }, status: {} });
  expect(unknown).toEqual([]);
});

test("a key called __proto__ is only a key", () => {
  const { object } = decode("v1/ConfigMap", JSON.parse('{"data":{"__proto__":"x"}}'));
  expect(JSON.stringify(object)).toContain('"data":{"__proto__":"x"}');
  expect(Object.getPrototypeOf(object["data"])).toBe(Object.prototype);
});

test("the value given is left alone", () => {
  const value = {
    metadata: { labels: { b: "1", a: "2" } },
    spec: { containers: [{ name: "c", resources: { limits: { cpu: "1000m" } } }] },
  };
  const before = structuredClone(value);
  decode("v1/Pod", value);
  expect(value).toEqual(before);
});

const recorded = exchanges(/^create /).flatMap(({ name, exchanges: steps }) =>
  steps.flatMap(({ answer }) => {
    const kind = kinds.get(`${answer.body["apiVersion"]}/${answer.body["kind"]}`);
    return kind && answer.status === 201 ? [{ name, kind, body: answer.body }] : [];
  }),
);

/** Recordings hide times, addresses and ports; any will do here. */
const unmasked = (body: object): object =>
  JSON.parse(
    JSON.stringify(body)
      .replaceAll('"eventTime":"<time>"', '"eventTime":"2026-01-01T00:00:00.000000Z"')
      .replaceAll('"renewTime":"<time>"', '"renewTime":"2026-01-01T00:00:00.000000Z"')
      .replaceAll("<time>", "2026-01-01T00:00:00Z")
      .replaceAll("<ip>", "10.0.0.1")
      .replaceAll('"<port>"', "30000"),
  );

test("there are recorded objects", () => expect(recorded.length).toBeGreaterThan(40));

test.for(recorded)("the stored object of '$name' decodes and defaults to itself", ({ kind, body }) => {
  const stored = unmasked(body);
  const { object, unknown } = decodeObject(kind, stored);
  applyDefaults(kind, object, "defaults");
  expect(unknown).toEqual([]);
  expect(object).toEqual(stored);
  expect(equal(object, stored)).toBe(true);
});
