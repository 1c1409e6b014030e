import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { closeDoors, type Doors, openDoors } from "../../../src/clouds/local/doors.ts";
import type { Published } from "../../../src/clouds/local/publication.ts";

const ports = [18_080, 18_081] as const;

/** Something behind the doors that says hello and hangs up. */
async function startInside(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "drover-doors-"));
  const socketPath = join(folder, "inside.sock");
  const server = createServer((socket) => socket.on("error", () => undefined).end("hello")).listen(socketPath);
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return socketPath;
}

function owner() {
  let doors: Doors | undefined;
  onTestFinished(() => closeDoors(doors));
  const current = (): Published | undefined => doors?.published;
  return async (id: string, socketPath: string, wanted: readonly number[], sourceRanges: readonly string[] = []) => {
    const listeners = wanted.map((port) => ({ port, socketPath }));
    const next = await openDoors({ id, listeners, sourceRanges }, doors, current);
    const before = doors;
    doors = next;
    closeDoors(before, next);
    return next;
  };
}

const greeting = (host: string, port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("end", () => resolve(text));
  });

test("a port that stays keeps its socket when another comes or goes", async () => {
  const [socketPath, open] = [await startInside(), owner()];
  const one = await open("doors-stay", socketPath, [ports[0]]);
  const two = await open("doors-stay", socketPath, ports);
  expect(two.published.address).toBe(one.published.address);
  expect(two.servers.get(ports[0])).toBe(one.servers.get(ports[0]));
  expect(await greeting(two.published.address, ports[1])).toBe("hello");
  const three = await open("doors-stay", socketPath, [ports[0]]);
  expect(await greeting(three.published.address, ports[0])).toBe("hello");
  expect(await greeting(three.published.address, ports[1])).toBe("ECONNREFUSED");
});

test("who may connect is decided by what is published now", async () => {
  const [socketPath, open] = [await startInside(), owner()];
  const { published } = await open("doors-ranges", socketPath, [ports[0]]);
  expect(await greeting(published.address, ports[0])).toBe("hello");
  await open("doors-ranges", socketPath, [ports[0]], ["198.51.100.0/24"]);
  expect(await greeting(published.address, ports[0])).toBe("ECONNRESET");
});

test("a port that is taken at its address moves the Service to another one, with all its ports", async () => {
  const [socketPath, open] = [await startInside(), owner()];
  const one = await open("doors-move", socketPath, [ports[0]]);
  const squatter = createServer().listen(ports[1], one.published.address);
  await once(squatter, "listening");
  onTestFinished(() => void squatter.close());
  const two = await open("doors-move", socketPath, ports);
  expect(two.published.address).not.toBe(one.published.address);
  expect(await greeting(two.published.address, ports[0])).toBe("hello");
  expect(await greeting(one.published.address, ports[0])).toBe("ECONNREFUSED");
});
