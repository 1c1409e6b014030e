import { expect, test } from "vitest";
import type { NameRecord } from "../../../src/clouds/cloud.ts";
import {
  encodeAddress,
  encodeReply,
  parseQuery,
  parseResponse,
  recordTypes,
} from "../../../src/clouds/local/dns-message.ts";
import { type Forward, Resolver } from "../../../src/clouds/local/resolver.ts";

const a = (name: string, ...values: string[]): NameRecord => ({ name, type: "A", values, ttlSeconds: 5 });
const alias = (name: string, to: string): NameRecord => ({ name, type: "CNAME", values: [to], ttlSeconds: 5 });

function ask(name: string, type: number): Buffer {
  const query = { id: 7, name, type, wantsRecursion: true };
  const message = encodeReply(query, { code: 0, authoritative: false, records: [] }, "udp");
  message.writeUInt16BE(0x0100, 2);
  return message;
}

/** Knows example.org only, and counts what it is asked. */
function world() {
  const asked: string[] = [];
  const forward: Forward = async (message) => {
    const query = parseQuery(message);
    if (query === undefined) throw new Error("it is a question");
    asked.push(query.name);
    const record = { name: query.name, type: recordTypes.A, ttlSeconds: 60, data: encodeAddress("192.0.2.1") };
    return query.name === "example.org"
      ? encodeReply(query, { code: 0, authoritative: false, records: [record] }, "udp")
      : encodeReply(query, { code: 3, authoritative: false, records: [] }, "udp");
  };
  return { asked, forward };
}

const zone = {
  domain: "cluster.local",
  records: [
    a("foo.default.svc.cluster.local", "10.96.0.10"),
    a("web.default.svc.cluster.local", "10.90.1.1", "10.90.1.2"),
    a("web-0.web.default.svc.cluster.local", "10.90.1.1"),
    alias("db.default.svc.cluster.local", "foo.default.svc.cluster.local"),
    alias("out.default.svc.cluster.local", "example.org."),
    alias("loop.default.svc.cluster.local", "loop.default.svc.cluster.local"),
  ],
};

const words = ["ok", "badFormat", "failed", "noSuchName"];

async function answerOf(resolver: Resolver, name: string, type: number): Promise<string> {
  const reply = await resolver.answer(ask(name, type), "udp");
  if (reply === undefined) return "silence";
  const { code, records } = parseResponse(reply);
  const data = records.map((one) => (one.type === 1 ? one.data.join(".") : "alias"));
  return [words[code], ...data].join(" ");
}

test.for([
  ["foo.default.svc.cluster.local", 1, "ok 10.96.0.10"],
  ["FOO.Default.svc.cluster.local", 1, "ok 10.96.0.10"],
  ["foo.default.svc.cluster.local", 28, "ok"],
  ["web-0.web.default.svc.cluster.local", 1, "ok 10.90.1.1"],
  ["default.svc.cluster.local", 1, "ok"],
  ["bar.default.svc.cluster.local", 1, "noSuchName"],
  ["foo.default.svc.cluster.local.default.svc.cluster.local", 1, "noSuchName"],
  ["foo", 1, "noSuchName"],
  ["1.1.90.10.in-addr.arpa", 12, "noSuchName"],
  ["db.default.svc.cluster.local", 1, "ok alias 10.96.0.10"],
  ["out.default.svc.cluster.local", 1, "ok alias 192.0.2.1"],
  ["out.default.svc.cluster.local", 5, "ok alias"],
  ["example.org", 1, "ok 192.0.2.1"],
  ["nowhere.example", 1, "noSuchName"],
] as const)("%s, type %i: %s", async ([name, type, want]) => {
  const resolver = new Resolver(world().forward, () => 0);
  resolver.replace(zone);
  expect(await answerOf(resolver, name, type)).toBe(want);
});

test("an alias of itself has an end", async () => {
  const resolver = new Resolver(world().forward, () => 0);
  resolver.replace(zone);
  expect(await answerOf(resolver, "loop.default.svc.cluster.local", 1)).toMatch(/^ok( alias){2,12}$/);
});

test("the cluster's names never leave the computer", async () => {
  const { asked, forward } = world();
  const resolver = new Resolver(forward, () => 0);
  resolver.replace(zone);
  for (const name of ["bar.default.svc.cluster.local", "cluster.local", "foo", "9.9.96.10.in-addr.arpa"]) {
    await resolver.answer(ask(name, 1), "udp");
  }
  expect(asked).toEqual([]);
});

test("each answer begins with the next address", async () => {
  const resolver = new Resolver(world().forward, () => 0);
  resolver.replace(zone);
  const first = async () => (await answerOf(resolver, "web.default.svc.cluster.local", 1)).split(" ")[1];
  expect([await first(), await first(), await first()]).toEqual(["10.90.1.1", "10.90.1.2", "10.90.1.1"]);
});

test("while the computer's resolvers are silent foreign names fail at once, and work again later", async () => {
  let nowMs = 0;
  let reachable = false;
  let asked = 0;
  const { forward } = world();
  const resolver = new Resolver(
    (query) => {
      asked++;
      return reachable ? forward(query) : Promise.reject(new Error("silence"));
    },
    () => nowMs,
  );
  resolver.replace(zone);
  expect(await answerOf(resolver, "example.org", 1)).toBe("failed");
  expect(await answerOf(resolver, "example.org", 1)).toBe("failed");
  expect(asked).toBe(1);
  expect(await answerOf(resolver, "foo.default.svc.cluster.local", 1)).toBe("ok 10.96.0.10");
  reachable = true;
  nowMs = 3_000;
  expect(await answerOf(resolver, "example.org", 1)).toBe("ok 192.0.2.1");
});
