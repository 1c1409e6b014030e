import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type PodServer, podServer } from "./pod-server.ts";
import { type SpdyPeer, speakSpdy } from "./spdy-peer.ts";

// What kubectl has no way to show without a terminal, and what other clients do.
const folder = mkdtempSync(join(tmpdir(), "drover-upgrades-"));
const echo = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
let server: PodServer;
beforeAll(async () => {
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  server = await podServer(folder, { 7: (echo.address() as AddressInfo).port });
});
afterAll(async () => {
  await server.close();
  await new Promise((resolve) => echo.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const pod = "/api/v1/namespaces/default/pods/p";
type Talk = { socket: WebSocket; channels: Map<number, string>; closed: Promise<number> };

async function talk(path: string, protocols: string[]): Promise<Talk> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}${pod}/${path}`, protocols);
  const channels = new Map<number, string>();
  socket.on("message", (data: Buffer) => {
    const channel = data[0] ?? -1;
    channels.set(channel, (channels.get(channel) ?? "") + data.subarray(1).toString("latin1"));
  });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return { socket, channels, closed };
}

/** A SPDY upgrade by hand; the answer's status, or the connection. */
function upgrade(
  path: string,
  headers: Record<string, string | string[]>,
): Promise<{ status: number; text: string; peer?: SpdyPeer }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server.url}${pod}/${path}`, {
      method: "POST",
      headers: { connection: "Upgrade", upgrade: "SPDY/3.1", ...headers },
    });
    asked.on("upgrade", (response, socket: Socket) => {
      void speakSpdy(socket).then((peer) =>
        resolve({
          status: response.statusCode ?? 0,
          text: String(response.headers["x-stream-protocol-version"]),
          peer,
        }),
      );
    });
    asked.on("response", (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject).end();
  });
}

test("the newest protocol is chosen, and a terminal gets its size", async () => {
  const offered = ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"];
  const { socket, channels, closed } = await talk(
    "exec?command=cat&container=c&stdin=1&stdout=1&stderr=1&tty=1",
    offered,
  );
  expect(socket.protocol).toBe("v5.channel.k8s.io");
  socket.send(Buffer.from('\x04{"Width":120,"Hei'));
  socket.send(Buffer.from('\x04ght":40}{"Width":80,"Height":24}'));
  await expect.poll(() => server.sizes.splice(0)).toEqual(["120x40", "80x24"]);
  socket.send(Buffer.from("\x00typed"));
  socket.send(Buffer.from([255, 0]));
  expect(await closed).toBe(1000);
  expect(channels).toEqual(
    new Map([
      [1, "typed"],
      [3, '{"metadata":{},"status":"Success"}'],
    ]),
  );
  expect(server.requests.at(-1)).toEqual({ command: ["cat"], container: "c", stdin: true, tty: true });
});

test("the older protocol works too", async () => {
  const { socket, channels, closed } = await talk("exec?command=sh&command=-c&command=exit+3&stdout=true", [
    "v4.channel.k8s.io",
  ]);
  expect(socket.protocol).toBe("v4.channel.k8s.io");
  await closed;
  expect(JSON.parse(channels.get(3) ?? "")).toEqual({
    metadata: {},
    status: "Failure",
    message: "command terminated with non-zero exit code: exit status 3",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  });
});

test("what cannot be opened is told as the command's failure", async () => {
  const { channels, closed } = await talk("exec?command=x&container=missing&stdout=true", ["v5.channel.k8s.io"]);
  await closed;
  expect(JSON.parse(channels.get(3) ?? "")).toMatchObject({
    status: "Failure",
    message: "container missing is not there",
    code: 500,
  });
});

test("a command ends when its client goes away", async () => {
  const { socket, channels } = await talk("exec?command=sh&command=-c&command=echo+$$;+exec+sleep+60&stdout=true", [
    "v5.channel.k8s.io",
  ]);
  await expect.poll(() => channels.get(1)).toMatch(/^\d+\n$/);
  socket.terminate();
  const isAlive = () => {
    try {
      return process.kill(Number(channels.get(1)), 0);
    } catch {
      return false;
    }
  };
  await expect.poll(isAlive, { timeout: 5_000 }).toBe(false);
});

test.for([
  [
    "a protocol that nobody speaks",
    "exec?command=x&stdout=true",
    { "x-stream-protocol-version": "v9" },
    "unable to upgrade",
  ],
  [
    "no command",
    "exec?stdout=true",
    { "x-stream-protocol-version": "v4.channel.k8s.io" },
    "you must specify at least one command",
  ],
  [
    "no stream",
    "attach",
    { "x-stream-protocol-version": "v4.channel.k8s.io" },
    "you must specify at least 1 of stdin, stdout, stderr",
  ],
  ["another upgrade", "portforward", { upgrade: "h2c" }, "unable to upgrade"],
] as const)("%s is refused with a Status", async ([_name, path, headers, message]) => {
  const { status, text } = await upgrade(path, headers);
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ kind: "Status", message: expect.stringContaining(message) });
});

test("SPDY gives a terminal its size and one stream for output", async () => {
  const offered = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
  const { status, text, peer } = await upgrade("exec?command=cat&stdin=true&stdout=true&stderr=true&tty=true", {
    "x-stream-protocol-version": offered,
  });
  expect([status, text]).toEqual([101, "v4.channel.k8s.io"]);
  for (const [index, streamtype] of ["error", "stdin", "stdout", "resize"].entries())
    await peer?.open(index * 2 + 1, { streamtype });
  peer?.send(7, '{"Width":100,"Height":30}\n');
  await expect.poll(() => server.sizes.splice(0)).toEqual(["100x30"]);
  peer?.send(3, "typed", true);
  await expect.poll(() => [...(peer?.ended ?? [])].sort()).toEqual([1, 3, 5, 7]);
  expect(peer?.data.get(5)).toBe("typed");
  expect(peer?.data.get(1)).toBe('{"metadata":{},"status":"Success"}');
  peer?.close();
});

test("port-forward by channels tells each port first and then carries its bytes", async () => {
  const { socket, channels } = await talk("portforward?ports=7&ports=8", ["v4.channel.k8s.io"]);
  socket.send(Buffer.from("\x00ping"));
  await expect.poll(() => channels.get(0)).toBe("\x07\x00ping");
  await expect.poll(() => channels.get(3)).toContain("\x08\x00error forwarding port 8: ");
  expect([channels.get(1), channels.get(2)]).toEqual(["\x07\x00", "\x08\x00"]);
  socket.close();
});
