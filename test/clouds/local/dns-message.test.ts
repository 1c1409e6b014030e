import { expect, test } from "vitest";
import {
  encodeAddress,
  encodeName,
  encodeReply,
  parseQuery,
  parseResponse,
  recordTypes,
} from "../../../src/clouds/local/dns-message.ts";

const question = (name: string, type = 1, more = Buffer.alloc(0)) =>
  Buffer.concat([
    Buffer.from([0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, more.length > 0 ? 1 : 0]),
    encodeName(name),
    Buffer.from([0, type, 0, 1]),
    more,
  ]);
const edns = Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);

test("a question is read in lower case, with what its asker can take", () => {
  expect(parseQuery(question("Foo.Default"))).toEqual({
    id: 0x1234,
    name: "foo.default",
    type: 1,
    wantsRecursion: true,
  });
  expect(parseQuery(question("a.b", 28, edns))).toMatchObject({ type: 28, ednsBytes: 1232 });
});

test.for([
  ["nothing", Buffer.alloc(0)],
  ["an answer", Buffer.concat([Buffer.from([0, 1, 0x80]), question("a").subarray(3)])],
  ["a question that breaks off", question("foo.default").subarray(0, 18)],
  ["a name that points at itself", Buffer.concat([question("").subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])],
] as const)("%s is no question", ([_name, bytes]) => expect(parseQuery(bytes)).toBeUndefined());

test("any bytes are a question or not, and never an exception", () => {
  let seed = 7;
  const next = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed;
  };
  for (let i = 0; i < 3_000; i++) {
    const bytes = question("foo.default.svc.cluster.local", 1, edns);
    for (let flips = next() % 6; flips >= 0; flips--) bytes[next() % bytes.length] = next() % 256;
    parseQuery(bytes.subarray(0, next() % (bytes.length + 1)));
  }
});

const records = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    name: "foo.default",
    type: recordTypes.A,
    ttlSeconds: 5,
    data: encodeAddress(`10.90.0.${i}`),
  }));

test("a reply reads back as it was written", () => {
  const query = parseQuery(question("foo.default"));
  if (query === undefined) throw new Error("it is a question");
  const reply = parseResponse(encodeReply(query, { code: 0, authoritative: true, records: records(3) }, "udp"));
  expect(reply.code).toBe(0);
  expect(reply.records.map(({ data, ttlSeconds }) => [data.join("."), ttlSeconds])).toEqual([
    ["10.90.0.0", 5],
    ["10.90.0.1", 5],
    ["10.90.0.2", 5],
  ]);
});

test("what does not fit into a datagram is to be asked again over TCP", () => {
  const query = parseQuery(question("foo.default"));
  if (query === undefined) throw new Error("it is a question");
  const reply = { code: 0, authoritative: true, records: records(60) };
  const short = encodeReply(query, reply, "udp");
  expect([short.length <= 512, short.readUInt8(2) & 0x02, parseResponse(short).records]).toEqual([true, 2, []]);
  expect(parseResponse(encodeReply(query, reply, "tcp")).records).toHaveLength(60);
});

test.for(["a..b", `${"x".repeat(64)}.y`])("%s is no name", (name) =>
  expect(() => encodeName(name)).toThrow(RangeError),
);
