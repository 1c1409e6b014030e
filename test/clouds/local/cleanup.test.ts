import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import { localCleanup } from "../../../src/clouds/local/cleanup.ts";
import { run } from "../../../src/clouds/local/command.ts";
import { endEgress, ensureEgress, roadOf } from "../../../src/clouds/local/egress.ts";
import { openHolder } from "../../../src/clouds/local/holder-client.ts";
import { openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { ensureRegistry } from "../../../src/clouds/local/registry.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { build, capture, eventually, makeHome, startHolder } from "./holder-home.ts";
import { takeSnapshot } from "./snapshot.ts";
import { startTarget } from "./targets.ts";

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

const isRoot = process.getuid?.() === 0;

test("after the clean-up no process, interface, namespace, mount, port or rule is left", {
  timeout: 40_000,
}, async () => {
  const { home, forget } = makeHome();
  onTestFinished(forget);
  const before = await takeSnapshot(home, tools);
  const holder = await openHolder({ home, cluster: "test", clock: systemClock, log: capture() });
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  const folder = join(home, "clusters", "test");
  await ensureEgress({ folder, holder, tools, log: capture() });
  await ensureRegistry({ home, folder, holder, tools, clock: systemClock });
  await holder.addTap("tap0");
  const one = await startTarget(holder, home, 1);
  const balancers = openBalancers({ folder, holder, publisher, tools, clock: systemClock, log: capture() });
  await balancers.ensure({
    id: "svc-web",
    cluster: "test",
    name: "default/web",
    scheme: "internet-facing",
    clusterAddress: "10.96.0.10",
    listeners: [{ port: 80, protocol: "TCP" }],
    targets: [{ ...one, ports: [8080], draining: false }],
  });
  const during = await takeSnapshot(home, tools);
  // The holder, the publisher, the registry, haproxy and the target, which names no file of the home but its log.
  expect(during.processes).toHaveLength(5);
  expect(during.namespaces).toHaveLength(1);
  const published = (snapshot: typeof before) =>
    snapshot.listeners.filter((one) => /^tcp (?!0100007F)\w{6}7F:/.test(one));
  const added = published(during).filter((one) => !published(before).includes(one));
  expect(added).toHaveLength(1);
  holder.close();
  publisher.close();
  const ended = await localCleanup(home, "test");
  for (const what of ["holder", "the publisher", "registry", "haproxy/svc-web/1", "machine-1"]) {
    expect(ended).toContain(`ended ${what}`);
  }
  const after = await eventually(async () => {
    const now = await takeSnapshot(home, tools);
    return now.namespaces.length === 0 ? now : undefined;
  });
  // Other programs of the computer may come and go meanwhile; what is new must not be ours.
  expect(after.processes).toEqual(before.processes);
  for (const what of ["interfaces", "mounts", "tables"] as const) {
    expect(after[what].filter((one) => !before[what].includes(one) && mayBeOurs(one, folder))).toEqual([]);
  }
  expect(published(after)).not.toContain(added[0]);
  expect(await localCleanup(home, "test")).toEqual([]);
  expect(readdirSync(folder).toSorted()).toEqual(["holder.log", "publisher.log", "registry.log", "registry.yml"]);
});

const mayBeOurs = (one: string, folder: string) => one.includes(roadOf(folder).name) || one.startsWith(folder);

test.skipIf(!isRoot)("machines reach what the computer reaches, and not the computer itself (root)", async () => {
  const { holder, home } = await startHolder();
  const folder = join(home, "clusters", "test");
  const log = capture();
  onTestFinished(async () => void (await endEgress(home, "test", tools)));
  if (!(await ensureEgress({ folder, holder, tools, log }))) throw new Error(log.lines.join("\n"));
  expect(await ensureEgress({ folder, holder, tools, log })).toBe(true);
  // A network beyond the computer: another holder's namespace, at the far end of a pair of interfaces.
  const far = await startHolder();
  const link = `far${process.pid}`.slice(0, 15);
  const batch = `link add ${link} type veth peer name here netns ${far.holder.pid}\naddr add 198.51.100.1/30 dev ${link}\nlink set ${link} up\n`;
  onTestFinished(async () => void (await run(["ip", "link", "del", link])));
  expect(await run(["ip", "-batch", "-"], batch)).toMatchObject({ exitCode: 0 });
  await far.holder.run(["ip", "-batch", "-"], { input: "addr add 198.51.100.2/30 dev here\nlink set here up\n" });
  const server = (address: string) => [
    process.execPath,
    "-e",
    `require("net").createServer((s) => s.end(s.remoteAddress)).listen(7, "${address}")`,
  ];
  await far.holder.spawn({ id: "server", argv: server("198.51.100.2"), logPath: join(far.home, "server.log") });
  // As a machine would: from an address of the machines' network.
  await holder.run(["ip", "addr", "add", "10.90.1.1/16", "dev", "drover0"]);
  const client = (to: string) => [
    process.execPath,
    "-e",
    `const s = require("net").connect({ host: "${to}", port: 7, localAddress: "10.90.1.1", timeout: 1000 });
     s.on("data", (d) => console.log(String(d))); s.on("error", (e) => console.log(e.code));
     s.on("timeout", () => { console.log("silence"); process.exit(); })`,
  ];
  const reach = async (to: string) => (await holder.run(client(to))).stdout.trim();
  // The far side sees the computer's own address there.
  await eventually(async () => (await reach("198.51.100.2")) === "198.51.100.1");
  expect(await reach("198.51.100.1")).toBe("silence");
  expect(await reach(roadOf(folder).outside)).toBe("silence");
});

test("a user without root is told that there is no road", async () => {
  const { holder, home } = await startHolder();
  const folder = join(home, "clusters", "test");
  const log = capture();
  const user = vi.spyOn(process, "getuid").mockReturnValue(1000);
  onTestFinished(() => user.mockRestore());
  expect(await ensureEgress({ folder, holder, tools, log })).toBe(false);
  expect(log.lines.join()).toContain("drover image load");
  expect(existsSync(join(folder, "egress.json"))).toBe(false);
});

test("a road follows from its folder and stays in its network", () => {
  const roads = Array.from({ length: 500 }, (_, i) => roadOf(`/home/${i}`));
  for (const { name, outside, inside } of roads) {
    expect(name.length).toBeLessThanOrEqual(15);
    expect(`${outside} ${inside}`).toMatch(/^10\.91\.\d+\.\d+ 10\.91\.\d+\.\d+$/);
    expect(Number(outside.split(".")[3]) % 4).toBe(1);
    expect(Number(inside.split(".")[3]) % 4).toBe(2);
  }
  expect(roadOf("/home/1")).toEqual(roadOf("/home/1"));
});
