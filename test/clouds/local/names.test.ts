import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { NameRecord } from "../../../src/clouds/cloud.ts";
import type { Holder } from "../../../src/clouds/local/holder-client.ts";
import { changed, openNames } from "../../../src/clouds/local/names.ts";
import { endPublisher, openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { askUpstream, hostResolvers } from "../../../src/clouds/local/upstream.ts";
import { namesContract } from "../../contract/names.ts";
import { build, startHolder } from "./holder-home.ts";

beforeAll(build);

const a = (name: string, ...values: string[]): NameRecord => ({ name, type: "A", values, ttlSeconds: 5 });

/** Asks the namespace's resolver as a machine would. */
async function lookUp(holder: Holder, name: string): Promise<string> {
  const program = `
    const { Resolver } = require("dns").promises;
    const resolver = new Resolver({ timeout: 4000, tries: 1 });
    resolver.setServers(["10.90.0.1"]);
    resolver.resolve4("${name}").then((all) => console.log(all.sort().join(" ")), (error) => console.log(error.code));`;
  return (await holder.run([process.execPath, "-e", program])).stdout.trim();
}

async function start() {
  const { holder, home } = await startHolder();
  const folder = join(home, "clusters", "test");
  return { holder, home, folder, names: openNames({ folder, domain: "cluster.local", holder }) };
}

namesContract(async () => {
  const { names, folder, holder } = await start();
  return { names, reopen: async () => openNames({ folder, domain: "cluster.local", holder }) };
});

test("a changed name is answered as soon as the change is done, more addresses than a datagram holds too", async () => {
  const { holder, names } = await start();
  expect(await lookUp(holder, "foo.default.svc.cluster.local")).toBe("ENOTFOUND");
  await names.change([
    a("foo.default.svc.cluster.local", "10.96.0.10"),
    a("all.default.svc.cluster.local", "10.90.0.2"),
  ]);
  expect(await lookUp(holder, "foo.default.svc.cluster.local")).toBe("10.96.0.10");
  const many = Array.from({ length: 60 }, (_, i) => `10.90.3.${i + 10}`);
  await names.change([a("all.default.svc.cluster.local", ...many), a("foo.default.svc.cluster.local")]);
  expect(await lookUp(holder, "all.default.svc.cluster.local")).toBe(many.join(" "));
  expect(await lookUp(holder, "foo.default.svc.cluster.local")).toBe("ENOTFOUND");
  expect((await names.list()).map(({ name }) => name)).toEqual(["all.default.svc.cluster.local"]);
});

test("names survive the drover that made them and are there again for the next holder", async () => {
  const { holder, folder, names, home } = await start();
  await names.change([a("foo.default.svc.cluster.local", "10.96.0.10")]);
  holder.close();
  process.kill(holder.pid, "SIGKILL");
  const { openHolder } = await import("../../../src/clouds/local/holder-client.ts");
  const { capture } = await import("./holder-home.ts");
  const next = await openHolder({ home, cluster: "test", clock: systemClock, log: capture() });
  expect(await lookUp(next, "foo.default.svc.cluster.local")).toBe("10.96.0.10");
  expect(await openNames({ folder, domain: "cluster.local", holder: next }).list()).toHaveLength(1);
});

test("without a publisher, or without resolvers that answer, a foreign name fails soon", async () => {
  const { holder, home } = await start();
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  onTestFinished(async () => void (await endPublisher(home, "test")));
  publisher.close();
  const startedMs = performance.now();
  // Whatever resolver the computer has: `.invalid` never exists.
  expect(await lookUp(holder, "nowhere.invalid")).toMatch(/ENOTFOUND|ESERVFAIL|ETIMEOUT/);
  await endPublisher(home, "test");
  expect(await lookUp(holder, "nowhere.invalid")).toMatch(/ESERVFAIL|ENOTFOUND/);
  expect(performance.now() - startedMs).toBeLessThan(12_000);
});

test("the second resolver is asked when the first one is silent", async () => {
  const server = createSocket("udp4");
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  server.on("message", (message, from) => server.send(Buffer.concat([message, Buffer.of(1)]), from.port, from.address));
  const query = Buffer.from("000100000000000000000000", "hex");
  const { port } = server.address();
  expect(await askUpstream(query, ["127.0.0.2", "127.0.0.1"], port)).toEqual(Buffer.concat([query, Buffer.of(1)]));
  await expect(askUpstream(query, [], port)).rejects.toThrow("none");
});

test("the computer's resolvers are read from its own file", async () => {
  const { home } = await start();
  const path = join(home, "resolv.conf");
  writeFileSync(path, "# nameserver 9.9.9.9\nsearch x\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\n");
  expect(hostResolvers(path)).toEqual(["127.0.0.53", "fe80::1%eth0"]);
  expect(hostResolvers(join(home, "absent"))).toEqual([]);
});

test("a record replaces that of the same name and type, and leaves without values", () => {
  const cname: NameRecord = { name: "foo", type: "CNAME", values: ["bar"], ttlSeconds: 5 };
  const before = [a("foo", "10.0.0.1"), cname];
  expect(changed(before, [a("FOO.", "10.0.0.2")])).toEqual([a("FOO.", "10.0.0.2"), cname]);
  expect(changed(before, [a("foo")])).toEqual([cname]);
});

test.for([
  ["an address that is none", a("foo.x", "10.0.0")],
  ["a name with a blank", a("foo bar", "10.0.0.1")],
  ["a label that is too long", a(`${"x".repeat(64)}.y`, "10.0.0.1")],
  ["two aliases", { name: "x.y", type: "CNAME", values: ["a", "b"], ttlSeconds: 5 }],
] satisfies [string, NameRecord][])("%s is refused", ([_name, record]) => {
  const names = openNames({ folder: "/nowhere", domain: "cluster.local", holder: {} as Holder });
  expect(() => names.change([record])).toThrow(/can't have/);
});
