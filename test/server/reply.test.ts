import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { anonymous } from "../../src/server/authenticate.ts";
import { callOf } from "../../src/server/call.ts";
import { sendBytes } from "../../src/server/reply.ts";

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What a client that connects from `address` gets. */
function answer(address: string, bytes: Buffer, warnings: string[] = []) {
  const server = createServer((request, response) => {
    const socket = { remoteAddress: address };
    const from = new Proxy(request, { get: (to, key) => (key === "socket" ? socket : Reflect.get(to, key)) });
    const call = { ...callOf(from, response, anonymous), warnings };
    void sendBytes(call, 200, bytes, "application/json");
  });
  servers.push(server);
  return new Promise<{ headers: IncomingMessage["headers"]; bytes: Buffer }>((resolve, reject) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      const headers = { "accept-encoding": "gzip, deflate", connection: "close" };
      const request = get({ port, host: "127.0.0.1", headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () => resolve({ headers: response.headers, bytes: Buffer.concat(chunks) }));
      });
      request.on("error", reject);
    });
  });
}

const large = Buffer.from(JSON.stringify("y".repeat(200_000)));
test.for([
  ["a far client's large answer is compressed", "192.0.2.1", large, "gzip"],
  ["a near client's is not", "127.0.0.1", large, undefined],
  ["nor is one over IPv6 loopback", "::ffff:127.0.0.1", large, undefined],
  ["nor is a small one", "192.0.2.1", Buffer.from("{}"), undefined],
] as const)("%s", async ([, address, bytes, encoding]) => {
  const reply = await answer(address, bytes);
  expect(reply.headers["content-encoding"]).toBe(encoding);
  expect(encoding === undefined ? reply.bytes : gunzipSync(reply.bytes)).toEqual(bytes);
});

test("warnings are quoted, told once and cut before they fill the headers", async () => {
  const many = Array.from({ length: 100 }, (_, i) => `field ${i} ${"x".repeat(100)}`);
  const { headers } = await answer("127.0.0.1", Buffer.from("{}"), [
    'unknown field "a\\b"',
    'unknown field "a\\b"',
    "línea\r\n",
    ...many,
  ]);
  const warning = String(headers["warning"]);
  expect(warning).toContain('299 - "unknown field \\"a\\\\b\\"", 299 - "l nea  "');
  expect(warning.length).toBeLessThan(5_000);
});
