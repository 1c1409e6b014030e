import { spawn } from "node:child_process";
import { createServer, get } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Boxes, ExecRequest, ExecSession } from "../../../src/clouds/box.ts";
import { kubectl } from "../../clients/kubectl.ts";
import { serve, type TestServer } from "../serve.ts";

// The way through TLS, authentication and authorization, for a Pod whose machine is this test.
const web = createServer((_, response) => response.end("page"));
const asked: [string, ExecRequest][] = [];

function echo(): ExecSession {
  const stdin = new PassThrough();
  const exit = new Promise<{ exitCode: number }>((resolve) => stdin.once("end", () => resolve({ exitCode: 3 })));
  return {
    stdin,
    stdout: stdin,
    stderr: Readable.from([]),
    exit,
    resize: () => undefined,
    close: () => stdin.destroy(),
  };
}

const boxes: Partial<Boxes> = {
  exec: (machineId, request) => {
    asked.push([machineId, request]);
    return Promise.resolve(echo());
  },
  connect: () => Promise.resolve(connect((web.address() as AddressInfo).port, "127.0.0.1")),
};

let server: TestServer;
beforeAll(async () => {
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  server = await serve({ boxes: boxes as Boxes });
  const account = await server.request("POST", "/api/v1/namespaces/default/serviceaccounts", {
    metadata: { name: "default" },
  });
  expect(account.status, account.text).toBe(201);
  const path = "/api/v1/namespaces/default/pods";
  const spec = { nodeName: "m-1", automountServiceAccountToken: false, containers: [{ name: "c", image: "x" }] };
  const made = await server.request("POST", path, { metadata: { name: "p" }, spec });
  expect(made.status, made.text).toBe(201);
  const headers = { "content-type": "application/merge-patch+json" };
  const running = await server.request("PATCH", `${path}/p/status`, { status: { phase: "Running" } }, { headers });
  expect(running.status, running.text).toBe(200);
});
afterAll(async () => {
  await server.close();
  web.closeAllConnections();
  await new Promise((resolve) => web.close(resolve));
});

describe.each(["1.27", "1.36"] as const)("kubectl %s", (version) => {
  const start = async (...args: string[]) => {
    const env = { PATH: process.env["PATH"], HOME: server.folder, KUBECONFIG: server.kubeconfig };
    return spawn(await kubectl(version), args, { env, timeout: 30_000 });
  };

  test("exec reaches the machine and comes back with its exit code", async () => {
    const child = await start("exec", "-i", "p", "--", "anything", "at all");
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stdin.end("hello");
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(3);
    expect(output).toBe("hello");
    const command = ["anything", "at all"];
    expect(asked.at(-1)).toEqual(["m-1", { container: "c", command, stdin: true, tty: false }]);
  });

  test("port-forward reaches a port of the machine", async () => {
    const child = await start("port-forward", "pod/p", ":80");
    try {
      const port = await new Promise<number>((resolve, reject) => {
        child.stdout.on("data", (chunk) => resolve(Number(/127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1])));
        child.stderr.on("data", (chunk) => reject(new Error(String(chunk))));
      });
      const page = await new Promise<string>((resolve, reject) => {
        get({ port, host: "127.0.0.1", agent: false }, (response) => {
          response.once("data", (chunk) => resolve(String(chunk)));
        }).on("error", reject);
      });
      expect(page).toBe("page");
    } finally {
      child.kill();
    }
  });
});
