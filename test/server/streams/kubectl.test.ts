import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KubectlVersion, kubectl } from "../../clients/kubectl.ts";
import { onTerminal } from "../../clients/terminal.ts";
import { type PodServer, podServer } from "./pod-server.ts";

type Result = { code: number | null; stdout: Buffer; stderr: string };
const home = mkdtempSync(join(tmpdir(), "drover-streams-"));
const large = randomBytes(5_000_000);
const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A web server inside the Pod: it answers a POST with the digest of its body and a GET with `large`. */
const web = createServer((asked, response) => {
  const chunks: Buffer[] = [];
  asked.on("data", (chunk) => chunks.push(chunk));
  asked.on("end", () => response.end(asked.method === "POST" ? digest(Buffer.concat(chunks)) : large));
});
let server: PodServer;
beforeAll(async () => {
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  server = await podServer(home, { 80: (web.address() as AddressInfo).port });
});
afterAll(async () => {
  await server.close();
  web.closeAllConnections();
  await new Promise((resolve) => web.close(resolve));
  rmSync(home, { recursive: true, force: true });
});

const options = () => [`--server=${server.url}`, `--cache-dir=${home}/cache`, "--kubeconfig=/dev/null"];
const environment = { HOME: home, PATH: process.env["PATH"] };

async function run(version: KubectlVersion, args: string[], stdin?: Buffer): Promise<Result> {
  const child = spawn(await kubectl(version), [...options(), ...args], { env: environment, timeout: 30_000 });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk) => stdout.push(chunk));
  child.stderr.on("data", (chunk) => stderr.push(chunk));
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

const get = (port: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const asked = request({ port, host: "127.0.0.1", agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks)));
      response.on("error", reject);
    });
    asked.on("error", reject).end();
  });
const post = (port: number, body: Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ port, host: "127.0.0.1", method: "POST", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject).end(body);
  });

describe.each([
  ["1.27", "SPDY/3.1", "SPDY/3.1"],
  ["1.30", "websocket", "SPDY/3.1"],
  ["1.33", "websocket", "websocket"],
  ["1.36", "websocket", "websocket"],
] as const)("kubectl %s", (version, execUpgrade, forwardUpgrade) => {
  test("exec brings back output, errors and the exit code", async () => {
    const { code, stdout, stderr } = await run(version, [
      "exec",
      "p",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 3",
    ]);
    expect(stdout.toString()).toBe("out\n");
    expect(stderr).toContain("err\n");
    expect(stderr).toContain("command terminated with exit code 3");
    expect(code).toBe(3);
    expect(server.upgrades.at(-1)).toBe(execUpgrade);
    const command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
    expect(server.requests.at(-1)).toEqual({ container: "c", command, stdin: false, tty: false });
  });

  test("exec -i sends megabytes there and back and closes stdin", async () => {
    const { code, stdout, stderr } = await run(version, ["exec", "-i", "p", "--", "cat"], large);
    expect(stderr.replace(/^Defaulted.*\n/, "")).toBe("");
    expect([code, digest(stdout)]).toEqual([0, digest(large)]);
  });

  test("exec -it ends with its command, though more could be typed", async () => {
    const words = [await kubectl(version), ...options(), "exec", "-it", "p", "--", "sh", "-c", "echo out; exit 3"];
    const [program, ...rest] = onTerminal(words);
    const terminal = spawn(program, rest, { env: environment, timeout: 20_000 });
    let shown = "";
    terminal.stdout.on("data", (chunk) => {
      shown += chunk;
    });
    const code = await new Promise((resolve) => terminal.once("close", resolve));
    expect([code, shown]).toEqual([3, expect.stringMatching(/^out$/m)]);
    expect(server.requests.at(-1)).toMatchObject({ stdin: true, tty: true });
  });

  test("a command that reads nothing does not hold its client up", async () => {
    const { code, stdout } = await run(version, ["exec", "-i", "p", "--", "echo", "done"], large);
    expect([code, stdout.toString()]).toEqual([0, "done\n"]);
  });

  test("a command that cannot be started is said to be so", async () => {
    const { code, stderr } = await run(version, ["exec", "p", "--", "/no/such/program"]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("ENOENT");
  });

  test("cp copies a file there and back", async () => {
    writeFileSync(join(home, "source"), large);
    const there = await run(version, ["cp", join(home, "source"), `p:there-${version}`]);
    expect([there.code, there.stderr.replace(/^Defaulted.*\n/, "")]).toEqual([0, ""]);
    expect(digest(readFileSync(join(home, `there-${version}`)))).toBe(digest(large));
    const back = await run(version, ["cp", `p:there-${version}`, join(home, `back-${version}`)]);
    expect(back.code).toBe(0);
    expect(digest(readFileSync(join(home, `back-${version}`)))).toBe(digest(large));
  });

  test("attach -i talks to the main process", async () => {
    const { code, stdout } = await run(version, ["attach", "-i", "p"], Buffer.from("hello\n"));
    expect([code, stdout.toString()]).toEqual([0, "hello\n"]);
    expect(server.requests.at(-1)).toEqual({ container: "c", command: [], stdin: true, tty: false });
  });

  test("port-forward carries many connections both ways", async () => {
    const child = spawn(await kubectl(version), [...options(), "port-forward", "pod/p", ":80"], { env: environment });
    try {
      const port = await new Promise<number>((resolve, reject) => {
        child.stdout.on("data", (chunk) => resolve(Number(/127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1])));
        child.stderr.on("data", (chunk) => reject(new Error(String(chunk))));
      });
      const downloads = await Promise.all(Array.from({ length: 10 }, () => get(port)));
      expect(downloads.map(digest)).toEqual(downloads.map(() => digest(large)));
      const uploads = await Promise.all(Array.from({ length: 5 }, () => post(port, large)));
      expect(uploads).toEqual(uploads.map(() => digest(large)));
      expect(server.upgrades.at(-1)).toBe(forwardUpgrade);
    } finally {
      child.kill();
    }
  });

  test("port-forward to a port where nothing listens says why", async () => {
    const child = spawn(await kubectl(version), [...options(), "port-forward", "pod/p", ":81"], { env: environment });
    try {
      let stderr = "";
      child.stderr.on("data", (chunk) => {
        stderr += chunk;
      });
      const port = await new Promise<number>((resolve) => {
        child.stdout.on("data", (chunk) => resolve(Number(/127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1])));
      });
      await expect(get(port)).rejects.toThrow();
      await expect.poll(() => stderr, { timeout: 5_000 }).toContain("error forwarding port 81");
    } finally {
      child.kill();
    }
  });
});
