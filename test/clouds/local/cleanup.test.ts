import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import { localCleanup } from "../../../src/clouds/local/cleanup.ts";
import { run } from "../../../src/clouds/local/command.ts";
import { ensureEgress, roadOf } from "../../../src/clouds/local/egress.ts";
import { type Holder, openHolder } from "../../../src/clouds/local/holder-client.ts";
import { endPublisher, openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { ensureRegistry } from "../../../src/clouds/local/registry.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { networkSpec } from "../../contract/balancers.ts";
import { build, capture, eventually, makeHome, startHolder } from "./holder-home.ts";
import { takeSnapshot } from "./snapshot.ts";
import { startTarget } from "./targets.ts";

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

const isRoot = process.getuid?.() === 0;
// An ordinary user's road to the internet is a process, root's is a rule of the computer.
const road = isRoot ? [] : ["slirp4netns"];
const helpers = ["holder", "publisher", "registry", "haproxy/svc-web/1", ...road];

test("after the clean-up no process, interface, namespace, mount, port or rule is left", {
  timeout: 40_000,
}, async () => {
  const { home, forget } = makeHome();
  onTestFinished(forget);
  const before = await takeSnapshot(home, tools);
  const holder = await openHolder({ home, cluster: "test", clock: systemClock, log: capture() });
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  const folder = join(home, "clusters", "test");
  await ensureEgress({ folder, holder, publisher, tools, clock: systemClock, log: capture() });
  await ensureRegistry({ home, folder, holder, tools, clock: systemClock });
  await holder.addTap("tap0");
  const one = await startTarget(holder, home, 1);
  const balancers = openBalancers({ folder, holder, publisher, tools, clock: systemClock, log: capture() });
  const targets = [{ ...one, port: 8080, draining: false }];
  await balancers.ensure(networkSpec({ id: "svc-web", clusterAddress: "10.96.0.10", targets }));
  const during = await takeSnapshot(home, tools);
  // With the target, which names no file of the home but its log.
  expect(during.processes).toHaveLength(helpers.length + 1);
  expect(during.namespaces).toHaveLength(1);
  const [first] = await publisher.list();
  const bytes = first?.address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  const listener = `tcp ${bytes?.reverse().join("").toUpperCase()}:0050`;
  expect(during.listeners).toContain(listener);
  holder.close();
  publisher.close();
  const ended = await localCleanup(home, "test");
  for (const what of [...helpers, "machine-1"]) {
    expect(ended).toContainEqual(expect.stringMatching(`^ended ${what}`));
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
  expect(after.listeners).not.toContain(listener);
  expect(await localCleanup(home, "test")).toEqual([]);
  const logs = ["holder", "publisher", "registry", ...road].map((name) => `${name}.log`);
  expect(readdirSync(folder).toSorted()).toEqual([...logs, "registry.yml"].toSorted());
});

const mayBeOurs = (one: string, folder: string) => one.includes(roadOf(folder).name) || one.startsWith(folder);

/** A network beyond the computer: another namespace at the far end of a pair of interfaces, with a server in it. */
async function startWorld(number: number): Promise<{ near: string; far: string }> {
  const { holder, home } = await startHolder();
  const [near, far] = [`198.51.100.${number * 4 + 1}`, `198.51.100.${number * 4 + 2}`];
  const link = `far${number}x${process.pid}`.slice(0, 15);
  onTestFinished(async () => void (await run(["ip", "link", "del", link])));
  const pair = `link add ${link} type veth peer name here netns ${holder.pid}`;
  const batch = `${pair}\naddr add ${near}/30 dev ${link}\nlink set ${link} up\n`;
  expect(await run(["ip", "-batch", "-"], batch)).toMatchObject({ exitCode: 0 });
  await holder.run(["ip", "-batch", "-"], { input: `addr add ${far}/30 dev here\nlink set here up\n` });
  const program = `require("net").createServer((s) => s.end(s.remoteAddress)).listen(7, "${far}")`;
  await holder.spawn({ id: "server", argv: [process.execPath, "-e", program], logPath: join(home, "server.log") });
  return { near, far };
}

/** Asks port 7 there as a machine would: from an address of the machines' network. */
async function reach(holder: Holder, to: string): Promise<string> {
  await holder.run(["ip", "addr", "replace", "10.90.1.1/16", "dev", "drover0"]);
  const program = `
    const s = require("net").connect({ host: "${to}", port: 7, localAddress: "10.90.1.1", timeout: 1000 });
    s.on("data", (d) => console.log(String(d))); s.on("error", (e) => console.log(e.code));
    s.on("timeout", () => { console.log("silence"); process.exit(); })`;
  return (await holder.run([process.execPath, "-e", program])).stdout.trim();
}

async function startEgress() {
  const { holder, home, log } = await startHolder();
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  onTestFinished(async () => void (await localCleanup(home, "test")));
  const folder = join(home, "clusters", "test");
  const ensure = () => ensureEgress({ folder, holder, publisher, tools, clock: systemClock, log });
  return { holder, home, log, publisher, folder, ensure };
}

if (!isRoot)
  console.warn("not root: the tests of the machines' road to the internet are left out, they make interfaces");

test.skipIf(!isRoot)("machines reach what the computer reaches, and not the computer itself (root)", async () => {
  const { holder, folder, ensure, log } = await startEgress();
  if (!(await ensure())) throw new Error(log.lines.join("\n"));
  expect(await ensure()).toBe(true);
  const { near, far } = await startWorld(0);
  // The far side sees the computer's own address there.
  await eventually(async () => (await reach(holder, far)) === near);
  expect(await reach(holder, near)).toBe("silence");
  expect(await reach(holder, roadOf(folder).outside)).toBe("silence");
});

test.skipIf(!isRoot)("without root they do so through a network stack in user space (made by root)", async () => {
  const { holder, home, folder, ensure, log, publisher } = await startEgress();
  const user = vi.spyOn(process, "getuid").mockReturnValue(1000);
  onTestFinished(() => user.mockRestore());
  if (!(await ensure())) throw new Error(`${log.lines.join()} ${readFileSync(join(folder, "slirp4netns.log"))}`);
  expect(await ensure()).toBe(true);
  user.mockRestore();
  const { near, far } = await startWorld(1);
  await eventually(async () => (await reach(holder, far)) === near);
  expect((await publisher.processes()).filter(({ running }) => running)).toHaveLength(1);
  publisher.close();
  expect(await endPublisher(home, "test")).toEqual([`slirp4netns/${holder.pid}`, "publisher"]);
  await eventually(async () => (await reach(holder, far)) !== near);
});

test("where no road can be made the log says what else helps", async () => {
  const { folder, holder, log, publisher } = await startEgress();
  const user = vi.spyOn(process, "getuid").mockReturnValue(1000);
  onTestFinished(() => user.mockRestore());
  const broken = { command: () => ["false"] };
  expect(await ensureEgress({ folder, holder, publisher, tools: broken, clock: systemClock, log })).toBe(false);
  expect(log.lines.join()).toMatch(/slirp4netns.*drover image load/);
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
