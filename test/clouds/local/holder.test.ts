import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { endHolder, openHolder } from "../../../src/clouds/local/holder-client.ts";
import {
  commandLine,
  identify,
  lives,
  networkNamespace,
  processesInNamespace,
} from "../../../src/clouds/local/identity.ts";
import { build, capture, eventually, makeHome, startHolder } from "./holder-home.ts";

beforeAll(build);

/** An echo server as a program of the namespace: answers in capitals, and says BYE after the client's end. */
const echo = (address: string, port: number) => [
  process.execPath,
  "-e",
  `require("net").createServer({ allowHalfOpen: true }, (s) => {
    s.on("data", (d) => s.write(String(d).toUpperCase()));
    s.on("end", () => s.end("BYE"));
  }).listen(${port}, "${address}")`,
];

async function readAll(stream: Duplex): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

test("the namespace has its own bridge, loopback and Service addresses, and taps come and go", async () => {
  const { holder } = await startHolder();
  expect(networkNamespace(holder.pid)).not.toBe(networkNamespace("self"));
  await holder.addTap("tap0");
  await holder.addTap("tap0");
  const seen = await holder.run(["ip", "-o", "addr"]);
  expect(seen.stdout).toMatch(/drover0.*10\.90\.0\.1\/16/);
  expect((await holder.run(["ip", "-o", "link", "show", "tap0"])).stdout).toMatch(/master drover0/);
  expect((await holder.run(["ip", "route", "show", "table", "local"])).stdout).toMatch(/local 10\.96\.0\.0\/16 dev lo/);
  await holder.removeTap("tap0");
  await holder.removeTap("tap0");
  expect((await holder.run(["ip", "-o", "link", "show", "tap0"])).exitCode).not.toBe(0);
  await expect(holder.addTap("eth0; rm")).rejects.toMatchObject({ code: "CLOUD_INVALID" });
});

test("a process runs in the namespace once per id, outlives its opener, and its end is remembered", async () => {
  const { holder, home, log } = await startHolder();
  const sleeper = { id: "sleeper", argv: ["sleep", "60"], logPath: join(home, "sleeper.log") };
  const { pid } = await holder.spawn(sleeper);
  expect(await Promise.all([holder.spawn(sleeper), holder.spawn(sleeper)])).toEqual([{ pid }, { pid }]);
  expect(networkNamespace(pid)).toBe(networkNamespace(holder.pid));
  holder.close();
  const again = await openHolder({ home, cluster: "test", clock: systemClock, log });
  expect(again.pid).toBe(holder.pid);
  expect(await again.processes()).toMatchObject([{ id: "sleeper", pid, running: true }]);
  await again.kill("sleeper", "SIGTERM");
  const ended = await eventually(async () => (await again.processes()).find(({ running }) => !running));
  expect(ended).toMatchObject({ id: "sleeper", exitCode: 143 });
  const next = await again.spawn({ ...sleeper, argv: ["sh", "-c", "echo said; exit 3"] });
  expect(next.pid).not.toBe(pid);
  await eventually(async () => (await again.processes()).find(({ exitCode }) => exitCode === 3));
  expect(readFileSync(sleeper.logPath, "utf8")).toBe("said\n");
});

test("a program that does not exist is named", async () => {
  const { holder, home } = await startHolder();
  const missing = holder.spawn({ id: "x", argv: ["/nowhere/qemu"], logPath: join(home, "x.log") });
  await expect(missing).rejects.toMatchObject({
    code: "SETUP_MISSING",
    message: expect.stringContaining("/nowhere/qemu"),
  });
});

test("a process that is to be kept comes back after a crash, and not after it was asked to end", async () => {
  const { holder, home } = await startHolder();
  const argv = ["sleep", "60"];
  const { pid } = await holder.spawn({ id: "kept", argv, restart: argv, logPath: join(home, "kept.log") });
  process.kill(pid, "SIGSEGV");
  const next = await eventually(async () => (await holder.processes()).find((one) => one.running && one.pid !== pid));
  expect(next.id).toBe("kept");
  await holder.kill("kept", "SIGTERM");
  await systemClock.sleep(1_500);
  expect(await holder.processes()).toMatchObject([{ id: "kept", running: false }]);
});

test("dialled bytes and the end of each direction pass both ways", async () => {
  const { holder, home } = await startHolder();
  await holder.spawn({ id: "echo", argv: echo("10.90.0.1", 7), logPath: join(home, "echo.log") });
  const stream = await eventually(() => holder.dial("10.90.0.1", 7).catch(() => undefined));
  stream.end("hello");
  expect(await readAll(stream)).toBe("HELLOBYE");
});

test("a machine that is not even found for longer than Linux looks for a neighbour is waited for", async () => {
  const { holder, home } = await startHolder();
  const script = [
    `${process.execPath} -e 'require("net").createServer((s) => s.end("HELLO")).listen(7, "0.0.0.0")' &`,
    "until ip addr add 10.90.7.8/16 dev inside; do sleep 0.1; done",
    "sleep 5",
    "ip link set inside up",
    "wait",
  ].join("\n");
  const argv = ["unshare", "--net", "--", "sh", "-c", script];
  const { pid } = await holder.spawn({ id: "machine", argv, logPath: join(home, "machine.log") });
  await eventually(() => networkNamespace(pid) !== networkNamespace(holder.pid));
  await holder.run(["ip", "link", "add", "outside", "type", "veth", "peer", "name", "inside", "netns", `${pid}`]);
  await holder.run(["ip", "link", "set", "outside", "master", "drover0", "up"]);
  expect(await readAll(await holder.dial("10.90.7.8", 7))).toBe("HELLO");
});

test("a dial that nobody answers says who could not be reached", async () => {
  const { holder } = await startHolder();
  await expect(holder.dial("10.90.0.1", 9)).rejects.toMatchObject({
    code: "BOX_UNREACHABLE",
    message: expect.stringContaining("10.90.0.1:9"),
  });
  await expect(holder.dial("example.org", 80)).rejects.toMatchObject({ code: "BOX_UNREACHABLE" });
  const abort = new AbortController();
  const slow = holder.dial("10.90.7.7", 80, abort.signal);
  abort.abort(new Error("no longer wanted"));
  const sinceMs = systemClock.monotonicMs();
  await expect(slow).rejects.toThrow("no longer wanted");
  expect(systemClock.monotonicMs() - sinceMs).toBeLessThan(2_000);
});

test("the folder and the sockets are the owner's alone", async () => {
  const { home } = await startHolder();
  const folder = join(home, "clusters", "test");
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of ["holder.sock", "dial.sock"]) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test("several openers at once share one holder", async () => {
  const { home, forget } = makeHome();
  onTestFinished(forget);
  const open = () => openHolder({ home, cluster: "test", clock: systemClock, log: capture() });
  const holders = await Promise.all([open(), open(), open()]);
  expect(new Set(holders.map(({ pid }) => pid)).size).toBe(1);
});

test("ending the holder ends every process of the namespace, strangers too, and says so", async () => {
  const { holder, home } = await startHolder();
  await holder.spawn({ id: "sleeper", argv: ["sleep", "61"], logPath: join(home, "s.log") });
  await holder.spawn({ id: "leaver", argv: ["sh", "-c", "setsid sleep 62 & exit 0"], logPath: join(home, "l.log") });
  const namespace = networkNamespace(holder.pid) ?? "";
  const lines = () => processesInNamespace(namespace).map(({ pid }) => commandLine(pid));
  await eventually(() => lines().length === 3 && lines().includes("sleep 62"));
  expect((await endHolder(home, "test")).toSorted()).toEqual(["holder", "sleep 62", "sleeper"]);
  expect(processesInNamespace(namespace)).toEqual([]);
  expect(await endHolder(home, "test")).toEqual([]);
});

test("what a killed holder leaves is ended before another one starts, and nobody else", async () => {
  const { holder, home, log } = await startHolder();
  const { pid } = await holder.spawn({ id: "orphan", argv: ["sleep", "63"], logPath: join(home, "o.log") });
  const orphan = identify(pid);
  const first = identify(holder.pid);
  if (orphan === undefined || first === undefined) throw new Error("both run");
  process.kill(holder.pid, "SIGKILL");
  await eventually(() => !lives(first));
  expect(lives(orphan)).toBe(true);
  const next = await openHolder({ home, cluster: "test", clock: systemClock, log });
  expect(next.pid).not.toBe(first.pid);
  expect(lives(orphan)).toBe(false);
  expect(log.lines.join()).toContain("orphan");
  expect(await next.processes()).toEqual([]);
});

test("a home too long for sockets is refused with what to do", async () => {
  const home = `/tmp/${"x".repeat(60)}`;
  const refused = openHolder({ home, cluster: "test", clock: systemClock, log: capture() });
  await expect(refused).rejects.toMatchObject({
    code: "CLOUD_INVALID",
    message: expect.stringContaining("--data DIR"),
  });
});

test("a server outside of the namespace can't be dialled", async () => {
  const { holder } = await startHolder();
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await eventually(() => server.listening);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  await expect(holder.dial("127.0.0.1", address.port)).rejects.toMatchObject({ code: "BOX_UNREACHABLE" });
});
