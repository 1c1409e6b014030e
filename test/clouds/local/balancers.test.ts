import { readFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Balancers, Target } from "../../../src/clouds/balancer.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import type { Holder } from "../../../src/clouds/local/holder-client.ts";
import { endPublisher, openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { networkSpec } from "../../contract/balancers.ts";
import { build, eventually, startHolder } from "./holder-home.ts";
import { generateLoad } from "./load.ts";
import { openParts } from "./parts.ts";
import { startTarget, type TestTarget } from "./targets.ts";

let tools: Tools;
beforeAll(async () => {
  build();
  tools = await openTools();
}, 300_000);

async function startBalancers() {
  const { holder, home, log } = await startHolder();
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  onTestFinished(async () => void (await endPublisher(home, "test")));
  const folder = join(home, "clusters", "test");
  const balancers = openBalancers({ folder, holder, publisher, tools, clock: systemClock, log });
  return { balancers, holder, home, log, publisher, folder };
}

const target = ({ machineId, address }: TestTarget, draining = false) => ({ machineId, address, port: 8080, draining });

const web = (targets: readonly Target[], more: Partial<Parameters<typeof networkSpec>[0]> = {}) =>
  networkSpec({ id: "svc-web", clusterAddress: "10.96.0.10", ports: [80], targets, ...more });

const stateOf = async (balancers: Balancers, id = "svc-web") => {
  const { balancers: all, complete } = await balancers.observe();
  expect(complete).toBe(true);
  return all.find((one) => one.id === id);
};

const settled = (balancers: Balancers, machineId: string, state: string, id = "svc-web") =>
  eventually(
    async () => (await stateOf(balancers, id))?.targets.find((t) => t.machineId === machineId)?.state === state,
  );

const fetchText = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get(url, { agent: false, timeout: 3_000 }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });

const addressOf = async (balancers: Balancers, id = "svc-web") =>
  (await stateOf(balancers, id))?.addresses[0]?.ip ?? "";

test("a Service answers on its cluster address inside and on a loopback address of its own outside", async () => {
  const { balancers, holder, home } = await startBalancers();
  const one = await startTarget(holder, home, 1);
  await balancers.ensure(web([target(one)]));
  await settled(balancers, "machine-1", "healthy");
  const ip = await addressOf(balancers);
  expect(ip).toMatch(/^127\.\d+\.\d+\.\d+$/);
  expect(await fetchText(`http://${ip}/`)).toBe("machine-1");
  const inside = await holder.dial("10.96.0.10", 80);
  inside.write("GET / HTTP/1.0\r\n\r\n");
  expect(await inside.toArray().then(String)).toContain("machine-1");
});

test("two Services both have port 80, and removing one leaves the other", async () => {
  const { balancers, holder, home } = await startBalancers();
  const [one, two] = [await startTarget(holder, home, 1), await startTarget(holder, home, 2)];
  await balancers.ensure(web([target(one)]));
  await balancers.ensure(web([target(two)], { id: "svc-other", clusterAddress: "10.96.0.11" }));
  await settled(balancers, "machine-1", "healthy");
  await settled(balancers, "machine-2", "healthy", "svc-other");
  const [first, second] = [await addressOf(balancers), await addressOf(balancers, "svc-other")];
  expect(await Promise.all([fetchText(`http://${first}/`), fetchText(`http://${second}/`)])).toEqual([
    "machine-1",
    "machine-2",
  ]);
  await balancers.remove("svc-web");
  await balancers.remove("svc-web");
  await expect(fetchText(`http://${first}/`)).rejects.toThrow("ECONNREFUSED");
  expect(await fetchText(`http://${second}/`)).toBe("machine-2");
  expect((await balancers.observe()).balancers.map(({ id }) => id)).toEqual(["svc-other"]);
  await eventually(async () => !(await holder.processes()).some((p) => p.running && p.id.includes("svc-web")));
});

test("a target is checked before it gets a connection, and left out after it has gone", async () => {
  const { balancers, holder, home } = await startBalancers();
  const one = await startTarget(holder, home, 1);
  const absent = { machineId: "machine-9", address: "10.90.1.1", port: 9999, draining: false };
  await balancers.ensure(web([target(one), absent]));
  await settled(balancers, "machine-1", "healthy");
  await settled(balancers, "machine-9", "unhealthy");
  const ip = await addressOf(balancers);
  for (let i = 0; i < 20; i++) expect(await fetchText(`http://${ip}/`)).toBe("machine-1");
  await holder.kill("machine-1", "SIGKILL");
  await settled(balancers, "machine-1", "unhealthy");
});

test("a draining target keeps its connections, gets no new ones, and is drained after the last", async () => {
  const { balancers, holder, home } = await startBalancers();
  const [one, two] = [await startTarget(holder, home, 1), await startTarget(holder, home, 2)];
  await balancers.ensure(web([target(one)]));
  await settled(balancers, "machine-1", "healthy");
  const ip = await addressOf(balancers);
  const slow = fetchText(`http://${ip}/slow?ms=1500`);
  await systemClock.sleep(200);
  await balancers.ensure(web([target(one, true), target(two)]));
  await settled(balancers, "machine-2", "healthy");
  expect((await stateOf(balancers))?.targets[0]?.state).toBe("draining");
  for (let i = 0; i < 10; i++) expect(await fetchText(`http://${ip}/`)).toBe("machine-2");
  expect(await slow).toBe("machine-1");
  await settled(balancers, "machine-1", "drained");
  await balancers.ensure(web([target(one), target(two)]));
  await settled(balancers, "machine-1", "healthy");
});

test("other listeners take over without a lost request, and old connections still count as draining", async () => {
  const { balancers, holder, home } = await startBalancers();
  const [one, two] = [await startTarget(holder, home, 1), await startTarget(holder, home, 2)];
  await balancers.ensure(web([target(one), target(two)]));
  await settled(balancers, "machine-1", "healthy");
  await settled(balancers, "machine-2", "healthy");
  const ip = await addressOf(balancers);
  const load = generateLoad(`http://${ip}`, { perSecond: 60, slowMs: 500 });
  const held = connect(80, ip);
  onTestFinished(() => void held.destroy());
  await systemClock.sleep(300);
  const both = (draining: boolean) => [target(one, draining), target(two, draining)];
  await balancers.ensure(web(both(false), { ports: [80, 8081] }));
  await systemClock.sleep(700);
  expect(await fetchText(`http://${ip}:8081/`)).toMatch(/machine/);
  const { lost, sent } = await load.stop();
  expect(lost).toEqual([]);
  expect(sent).toBeGreaterThan(40);
  await balancers.ensure(web(both(true), { ports: [80, 8081] }));
  const states = async () => (await stateOf(balancers))?.targets.map(({ state }) => state).toSorted();
  await eventually(async () => (await states())?.join() === "drained,draining");
  held.destroy();
  await eventually(async () => (await states())?.join() === "drained,drained");
});

test("a removed balancer that still carries a connection can be made again", async () => {
  const { balancers, holder, home } = await startBalancers();
  const one = await startTarget(holder, home, 1);
  await balancers.ensure(web([target(one)]));
  await settled(balancers, "machine-1", "healthy");
  const ip = await addressOf(balancers);
  const slow = fetchText(`http://${ip}/slow?ms=2000`);
  await systemClock.sleep(200);
  await balancers.remove("svc-web");
  await balancers.ensure(web([target(one)]));
  await settled(balancers, "machine-1", "healthy");
  expect(await fetchText(`http://${await addressOf(balancers)}/`)).toBe("machine-1");
  expect(await slow).toBe("machine-1");
});

test("a killed haproxy comes back with the targets of now, on the same address", async () => {
  const { balancers, holder, home } = await startBalancers();
  const [one, two] = [await startTarget(holder, home, 1), await startTarget(holder, home, 2)];
  await balancers.ensure(web([target(one)]));
  await balancers.ensure(web([target(two)]));
  await settled(balancers, "machine-2", "healthy");
  const ip = await addressOf(balancers);
  const pid = (await holder.processes()).find(({ id }) => id.startsWith("haproxy/"))?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await eventually(() => fetchText(`http://${ip}/`).catch(() => undefined));
  for (let i = 0; i < 5; i++) expect(await fetchText(`http://${ip}/`)).toBe("machine-2");
});

test("another drover finds the same balancers, and a killed publisher's addresses again", async () => {
  const first = await startBalancers();
  const { holder, home, folder, log } = first;
  const one = await startTarget(holder, home, 1);
  await first.balancers.ensure(web([target(one)]));
  await settled(first.balancers, "machine-1", "healthy");
  const before = await first.balancers.observe();
  const record = await import("node:fs").then((fs) => fs.readFileSync(join(folder, "publisher.json"), "utf8"));
  process.kill((JSON.parse(record) as { pid: number }).pid, "SIGKILL");
  first.publisher.close();
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  const again = openBalancers({ folder, holder, publisher, tools, clock: systemClock, log });
  expect(await again.observe()).toEqual(before);
  expect(await fetchText(`http://${await addressOf(again)}/`)).toBe("machine-1");
});

test("after the holder's death the Services serve again, on the same addresses", async () => {
  const first = await startBalancers();
  await first.balancers.ensure(web([target({ machineId: "machine-1", address: "10.90.1.1" })]));
  const before = await addressOf(first.balancers);
  process.kill(first.holder.pid, "SIGKILL");
  first.holder.close();
  const next = await openParts(first.home, tools);
  onTestFinished(() => next.close());
  await startTarget(next.holder, first.home, 1);
  await settled(next.balancers, "machine-1", "healthy");
  expect(await addressOf(next.balancers)).toBe(before);
  expect(await fetchText(`http://${before}/`)).toBe("machine-1");
});

test("a port that another program has everywhere leaves the rest of the Service alone until it is free", async () => {
  const { balancers, holder, home, log } = await startBalancers();
  const other = createServer().listen(0, "0.0.0.0");
  await eventually(() => other.listening);
  const { port } = other.address() as AddressInfo;
  await balancers.ensure(web([target(await startTarget(holder, home, 1))], { ports: [port] }));
  await settled(balancers, "machine-1", "healthy");
  expect(await stateOf(balancers)).toMatchObject({ ready: false, addresses: [] });
  expect(log.lines).toEqual([
    `default/svc-web is not published: Port ${port} can't be published: another program listens on it on every address.`,
  ]);
  await new Promise((resolve) => other.close(resolve));
  const ip = await eventually(async () => (await addressOf(balancers)) || undefined);
  expect(await fetchText(`http://${ip}:${port}/`)).toBe("machine-1");
});

test("Services of the same id in two clusters have an address each", async () => {
  const [one, two] = [await startBalancers(), await startBalancers()];
  await one.balancers.ensure(web([]));
  await two.balancers.ensure(web([]));
  const [first, second] = [await addressOf(one.balancers), await addressOf(two.balancers)];
  expect(first).not.toBe(second);
  expect([first, second]).not.toContain("");
});

test("a server that refuses a connection loses one request and not every third until its next check", async () => {
  const { balancers, holder, home } = await startBalancers();
  const all = [];
  for (const n of [1, 2, 3]) all.push(target(await startTarget(holder, home, n)));
  await balancers.ensure(web(all));
  for (const n of [1, 2, 3]) await settled(balancers, `machine-${n}`, "healthy");
  const ip = await addressOf(balancers);
  await holder.kill("machine-2", "SIGKILL");
  await eventually(async () => (await holder.processes()).some((one) => one.id === "machine-2" && !one.running));
  const answers = [];
  for (let i = 0; i < 30; i++) answers.push(await fetchText(`http://${ip}/`).catch(() => "lost"));
  expect(answers.filter((answer) => answer === "lost").length).toBeLessThanOrEqual(1);
});

test("a machine that is kept from accepting is waited for longer than an ALB would, as an NLB's client does", async () => {
  const { balancers, holder, home } = await startBalancers();
  const stalled = await stall(balancers, holder, home);
  const answer = fetchText(`http://${await addressOf(balancers)}/`);
  await systemClock.sleep(11_000);
  await stalled.goOn();
  expect(await answer).toBe("machine-1");
});

test("while all targets are unhealthy all of them are asked", async () => {
  const { balancers, holder, home } = await startBalancers();
  const stalled = await stall(balancers, holder, home);
  await settled(balancers, "machine-1", "unhealthy");
  const answer = fetchText(`http://${await addressOf(balancers)}/`);
  await systemClock.sleep(500);
  await stalled.goOn();
  expect(await answer).toBe("machine-1");
});

/** A balancer's only target, kept from accepting. */
async function stall(balancers: Balancers, holder: Holder, home: string): Promise<{ goOn(): Promise<void> }> {
  const target = { machineId: "machine-1", address: "10.90.1.1", port: 8080, draining: false };
  await holder.run(["ip", "addr", "replace", `${target.address}/16`, "dev", "drover0"]);
  const argv = ["python3", "-c", oneByOne(target)];
  await holder.spawn({ id: target.machineId, argv, logPath: join(home, "machine-1.log") });
  await balancers.ensure(web([target]));
  await settled(balancers, target.machineId, "healthy");
  await holder.kill(target.machineId, "SIGSTOP");
  // Until it is really stopped it may accept once more.
  const { pid } = (await holder.processes()).find(({ id }) => id === target.machineId) ?? {};
  await eventually(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") T "));
  const waiting = await holder.dial(target.address, target.port);
  return {
    goOn: async () => {
      waiting.destroy();
      await holder.kill(target.machineId, "SIGCONT");
    },
  };
}

/** A server for which the kernel takes one connection at most before it is accepted. */
const oneByOne = ({ machineId, address, port }: Target) => `
import socket
server = socket.create_server(("${address}", ${port}), backlog=0)
while True:
  connection, _ = server.accept()
  try:
    with connection:
      if connection.recv(4096): connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n${machineId}")
  except OSError:
    pass # A check ends by a reset.
`;

test("UDP is said not to be served, once", async () => {
  const { balancers, log } = await startBalancers();
  const { listeners, ...rest } = web([]);
  const both = { ...rest, listeners: [...listeners, { port: 53, protocol: "UDP" as const, forward: [] }] };
  await balancers.ensure(both);
  await balancers.ensure(both);
  expect(log.lines).toEqual(["The local cloud balances TCP only: default/svc-web is not served on UDP 53."]);
  expect(await stateOf(balancers)).toMatchObject({ ready: true });
});

const bad = { machineId: "a", address: "10.90.1.1", port: 80, draining: false };
test.for([
  ["a machine's id", web([{ ...bad, machineId: "a b" }])],
  ["a target's address", web([{ ...bad, address: "x\n" }])],
  ["a target's port", web([{ ...bad, port: 0 }])],
  ["a port", web([], { ports: [70000] })],
  ["an address", web([], { clusterAddress: "10.96.0.1:80\n bind" })],
  [
    "a host",
    {
      ...web([]),
      listeners: [{ port: 80, protocol: "HTTP" as const, rules: [{ host: "a b", forward: [] }], forward: [] }],
    },
  ],
  [
    "a path",
    {
      ...web([]),
      listeners: [{ port: 80, protocol: "HTTP" as const, rules: [{ path: "/\n", forward: [] }], forward: [] }],
    },
  ],
] as const)("%s that can't stand in a configuration is refused", async ([_name, spec]) => {
  const balancers = openBalancers({ folder: "/nowhere" } as unknown as Parameters<typeof openBalancers>[0]);
  await expect(async () => balancers.ensure(spec)).rejects.toMatchObject({ code: "CLOUD_INVALID" });
});

describe("a rolling replacement of three targets under load", () => {
  const slowMs = 4_000;
  /** Replaces each target by a fresh one; `drain`: whether it is drained before it is ended. */
  async function roll(balancers: Balancers, holder: Holder, home: string, drain: boolean): Promise<void> {
    let serving = [1, 2, 3];
    const targets = (numbers: number[], draining: number[] = []) =>
      numbers.map((n) => target({ machineId: `machine-${n}`, address: `10.90.1.${n}` }, draining.includes(n)));
    for (const old of [1, 2, 3]) {
      const next = old + 3;
      await startTarget(holder, home, next);
      await balancers.ensure(web(targets([...serving, next])));
      await settled(balancers, `machine-${next}`, "healthy");
      if (drain) {
        await balancers.ensure(web(targets([...serving, next], [old])));
        // Idle kept-alive connections never end by themselves: after a while the server is asked to end them.
        await settledWithin(balancers, `machine-${old}`, slowMs + 1_000);
        await holder.kill(`machine-${old}`, "SIGTERM");
        await eventually(
          async () => (await holder.processes()).some((p) => p.id === `machine-${old}` && !p.running),
          12_000,
        );
        await settled(balancers, `machine-${old}`, "drained");
      } else await holder.kill(`machine-${old}`, "SIGKILL");
      serving = [...serving.filter((n) => n !== old), next];
      await balancers.ensure(web(targets(serving)));
    }
  }

  const settledWithin = (balancers: Balancers, machineId: string, withinMs: number) =>
    eventually(
      async () => (await stateOf(balancers))?.targets.find((t) => t.machineId === machineId)?.state === "drained",
      withinMs,
    ).catch(() => undefined);

  test.for([
    ["loses nothing with the drain", true],
    ["loses requests without it, so the load tells", false],
  ] as const)("%s", { timeout: 90_000 }, async ([_name, drain]) => {
    const { balancers, holder, home } = await startBalancers();
    const first = [];
    for (const n of [1, 2, 3]) first.push(target(await startTarget(holder, home, n)));
    await balancers.ensure(web(first));
    for (const n of [1, 2, 3]) await settled(balancers, `machine-${n}`, "healthy");
    const load = generateLoad(`http://${await addressOf(balancers)}`, { perSecond: 80, slowMs });
    await systemClock.sleep(1_000);
    await roll(balancers, holder, home, drain);
    await expect.poll(() => load.answered("machine-6")).toBe(true);
    const { sent, lost, names } = await load.stop();
    expect(sent).toBeGreaterThan(100);
    expect([...names.keys()].toSorted()).toEqual(expect.arrayContaining(["machine-1", "machine-6"]));
    if (drain) expect(lost).toEqual([]);
    else expect(lost.length).toBeGreaterThan(0);
  });
});
