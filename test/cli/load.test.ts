import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { startLoad } from "../../src/cli/load.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function loaded(listener: RequestListener, timeoutMs = 2_000) {
  const load = startLoad({ clock: systemClock, url: await serving(listener), ratePerSecond: 100, timeoutMs });
  await systemClock.sleep(300);
  return load.stop();
}

test("answers are counted by the first word of their page", async () => {
  const report = await loaded((_request, response) => response.end("web-1 v1\n"));
  expect(report).toMatchObject({ lost: 0, retried: 0 });
  expect(report.sent).toBeGreaterThan(15);
  expect(report.answeredBy).toEqual({ "web-1": report.sent });
});

test("another status than 200 is lost", async () => {
  const report = await loaded((_request, response) => response.writeHead(503).end());
  expect(report.losses).toEqual({ "status 503": report.sent });
  expect(report.lost).toBe(report.sent);
});

test("a connection reset in the middle of an answer is lost", async () => {
  const report = await loaded((request, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("half");
    request.socket.resetAndDestroy();
  });
  expect(report.lost).toBe(report.sent);
});

test("an answer that never comes is lost after the time-out", async () => {
  const report = await loaded(() => {}, 300);
  expect(report.losses).toEqual({ "time-out": report.sent });
});

test("a kept-alive connection closed before the answer is repeated once, and counted apart", async () => {
  const seen = new WeakMap<object, number>();
  const report = await loaded((request, response) => {
    const count = (seen.get(request.socket) ?? 0) + 1;
    seen.set(request.socket, count);
    if (count > 1) request.socket.resetAndDestroy();
    else response.end("ok");
  });
  expect(report.lost).toBe(0);
  expect(report.retried).toBeGreaterThan(0);
});

test("so is one that was closed when a request had waited for it", async () => {
  const seen = new WeakSet<object>();
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let fresh = 0;
  const url = await serving(async (request, response) => {
    const { socket } = request;
    if (seen.has(socket)) return void socket.resetAndDestroy();
    seen.add(socket);
    if (request.headers.connection === "close") fresh++;
    else await released;
    response.end("ok");
  });
  const load = startLoad({ clock: systemClock, url, ratePerSecond: 400 });
  // As many are sent on kept-alive connections, of which there are fewer.
  await expect.poll(() => fresh, { timeout: 10_000 }).toBeGreaterThan(64);
  release();
  const { lost, retried } = await load.stop();
  expect(lost).toBe(0);
  expect(retried).toBeGreaterThan(0);
});

test("a fresh connection that is closed unanswered is lost", async () => {
  const report = await loaded((request) => void request.socket.resetAndDestroy());
  expect(report.lost).toBe(report.sent);
  expect(report.retried).toBe(0);
});
