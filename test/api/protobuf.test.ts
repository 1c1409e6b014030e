import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decodeProtobuf } from "../../src/api/protobuf.ts";

/** Bodies that kubectl 1.35 sent, and what the same command prints with `--dry-run=client -o json`. */
const read = (name: string) => readFileSync(new URL(`./protobuf/${name}`, import.meta.url));

/** Without nulls, which a client writes for times that are not set, and without what only its printer adds. */
const withoutNulls = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, item) => item ?? undefined));

test.for([
  "configmap",
  "cronjob",
  "deployment",
  "ingress",
  "job",
  "pdb",
  "priorityclass",
  "quota",
  "role",
  "secret",
  "service",
])("a %s sent by kubectl reads as the client prints it", (name) => {
  const printed = withoutNulls(JSON.parse(read(`${name}.json`).toString()));
  expect(withoutNulls(decodeProtobuf(read(`${name}.bin`)).value)).toEqual(printed);
});

test("a token request, a review and delete options read as kubectl means them", () => {
  expect(withoutNulls(decodeProtobuf(read("token.bin")))).toEqual({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    value: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: { audiences: ["x"], expirationSeconds: 600 },
      status: { token: "" },
    },
  });
  expect(decodeProtobuf(read("access-review.bin")).value).toMatchObject({
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: { verb: "list", resource: "pods", namespace: "default" } },
  });
  expect(decodeProtobuf(read("delete-options.bin"))).toEqual({
    apiVersion: "v1",
    kind: "DeleteOptions",
    value: { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0 },
  });
});

const unsigned = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...unsigned(Math.floor(value / 128))];
const field = (number: number, content: readonly number[] | string): number[] => {
  const bytes = typeof content === "string" ? [...Buffer.from(content)] : content;
  return unsigned(number * 8 + 2).concat(unsigned(bytes.length), bytes);
};
const varint = (number: number, ...bytes: number[]): number[] => [...unsigned(number * 8), ...bytes];
const minusOne = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
const body = (apiVersion: string, kind: string, object: readonly number[]): Uint8Array =>
  Uint8Array.from(
    [...Buffer.from("k8s\0")].concat(field(1, [...field(1, apiVersion), ...field(2, kind)]), field(2, object)),
  );

test("zeros stay where JSON keeps them, negatives are signed, unknown numbers are skipped", () => {
  const replicaSet = [...field(2, [...varint(1, 0), ...varint(4, 0), ...varint(90, 5)]), ...field(3, varint(1, 0))];
  expect(decodeProtobuf(body("apps/v1", "ReplicaSet", replicaSet)).value).toEqual({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    spec: { replicas: 0 },
    status: { replicas: 0 },
  });
  expect(decodeProtobuf(body("scheduling.k8s.io/v1", "PriorityClass", varint(2, ...minusOne))).value).toMatchObject({
    value: -1,
  });
});

test("a key may be called __proto__, a value may be missing", () => {
  const entry = [...field(2, [...field(1, "__proto__"), ...field(2, "x")]), ...field(2, field(1, "empty"))];
  const { value } = decodeProtobuf(body("v1", "ConfigMap", entry));
  expect(JSON.stringify(value)).toContain('"data":{"__proto__":"x","empty":""}');
});

test("times and micro times are RFC 3339", () => {
  const lease = field(2, [...field(3, [...varint(1, 1), ...varint(2, 0xc0, 0x84, 0x3d)])]);
  expect(decodeProtobuf(body("coordination.k8s.io/v1", "Lease", lease)).value).toMatchObject({
    spec: { acquireTime: "1970-01-01T00:00:01.001000Z" },
  });
  const metadata = field(1, field(8, varint(1, 60)));
  expect(decodeProtobuf(body("v1", "Pod", metadata)).value).toMatchObject({
    metadata: { creationTimestamp: "1970-01-01T00:01:00Z" },
  });
});

test.for([
  ["no envelope", Buffer.from('{"kind":"Pod"}'), /expected prefix \[107 56 115 0\]/],
  ["an unknown kind", body("v9", "Nothing", []), /no kind "Nothing" is registered for version "v9"/],
  ["an end within a field", body("v1", "Pod", [10, 9, 1]), /unexpected EOF/],
  ["a wire type of its own", body("v1", "Pod", [15]), /unknown wire type 7/],
  ["an endless integer", body("v1", "Pod", [8, ...Array.from({ length: 11 }, () => 255)]), /more than 64 bits/],
] as const)("%s is a bad request", ([_name, bytes, message]) => {
  expect(() => decodeProtobuf(bytes)).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
});

test("nesting without end is refused before the stack is used up", () => {
  let schema: number[] = [];
  for (let depth = 0; depth < 5_000; depth++) schema = field(28, schema);
  const version = field(2, field(7, field(4, field(1, schema))));
  const bytes = body("apiextensions.k8s.io/v1", "CustomResourceDefinition", version);
  expect(() => decodeProtobuf(bytes)).toThrow("nested too deeply");
});
