import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { DroverError } from "../../../src/base/errors.ts";
import type { Boxes, Contact, LogRequest } from "../../../src/clouds/box.ts";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";
import { apiRoadPort } from "../../../src/machines/ssh/api-road.ts";
import { type SshBoxesOptions, sshBoxes } from "../../../src/machines/ssh/boxes.ts";
import { binding, container, startAgent } from "../agent-kit.ts";
import { machine, optionsFor, startDialer, startSshServer } from "./ssh-server.ts";

const operator = makeHostKey("operator");
const { signal } = new AbortController();
const logs = (more: Partial<LogRequest> = {}): LogRequest => ({
  container: "web",
  follow: false,
  previous: false,
  timestamps: false,
  ...more,
});

async function startBox(more: Partial<SshBoxesOptions> = {}) {
  const agent = await startAgent();
  const server = await startSshServer(agent, operator.publicKey);
  const warnings: string[] = [];
  const log = { debug: () => undefined, warn: (_: unknown, message?: string) => warnings.push(message ?? "") };
  const boxes = sshBoxes({ ...optionsFor(server, operator.privateKey), log, ...more });
  onTestFinished(() => boxes.close());
  return { agent, server, boxes, warnings };
}

async function until(boxes: Boxes, check: (contact: Contact) => boolean, withinMs = 8000): Promise<Contact> {
  for (const start = performance.now(); performance.now() - start < withinMs; await systemClock.sleep(20)) {
    const contact = boxes.contact("m1");
    if (contact && check(contact)) return contact;
  }
  throw new Error(`not seen within ${withinMs} ms: ${JSON.stringify(boxes.contact("m1"))}`);
}
const running = ({ report }: Contact) => report?.containerStatuses[0]?.ready === true;

test("a machine is reached, bound once for ever, and reports", async () => {
  const { boxes } = await startBox();
  const changed: string[] = [];
  boxes.onChange((id) => changed.push(id));
  boxes.follow([machine]);
  expect(await until(boxes, ({ reachable }) => reachable)).toMatchObject({ report: { containerStatuses: [] } });
  const web = binding([container("web")]);
  await boxes.bind("m1", web);
  await boxes.bind("m1", web);
  await expect(boxes.bind("m1", { ...web, uid: "uid-2" })).rejects.toMatchObject({ code: "BOX_TAKEN" });
  expect(await until(boxes, running)).toMatchObject({ report: { uid: "uid-1" } });
  expect(new Set(changed)).toEqual(new Set(["m1"]));
  await boxes.stop("m1", 1);
  await until(boxes, ({ report }) => report?.finished === true);
});

test("a lost connection is made again, what was known stays, and requests wait for it", async () => {
  const { boxes, server } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await boxes.bind("m1", binding([container("web")]));
  await until(boxes, running);
  server.cut();
  expect((await until(boxes, ({ reachable }) => !reachable)).report?.uid).toBe("uid-1");
  await boxes.stop("m1", 1);
  await until(boxes, ({ report }) => report?.finished === true);
});

test("the agent's restart does not need a new connection", async () => {
  const { boxes, agent, server } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await agent.restart("agent");
  await until(boxes, ({ reachable }) => reachable);
  expect(server.connections()).toBe(1);
});

test("a key that the console did not print is refused before anything is sent", async () => {
  const wrong = "256 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA root@box (ED25519)";
  const printed = (line: string) =>
    `-----BEGIN SSH HOST KEY FINGERPRINTS-----\n${line}\n-----END SSH HOST KEY FINGERPRINTS-----\n`;
  let console = printed(wrong);
  const { boxes, warnings, server } = await startBox({ console: async () => console });
  boxes.follow([machine]);
  await expect.poll(() => warnings, { timeout: 5000 }).toEqual([expect.stringContaining("did not print")]);
  expect(boxes.contact("m1")?.reachable ?? false).toBe(false);
  const bound = boxes.bind("m1", binding([container("web")]));
  expect(server.connections()).toBe(0);
  console += server.console;
  await bound;
});

test("a remembered host key needs no console", async () => {
  const keys = new Map<string, string>();
  const { boxes, server } = await startBox({
    hostKeys: { get: (id) => keys.get(id), set: (id, fingerprint) => keys.set(id, fingerprint) },
  });
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  expect(keys.get("m1")).toBe(server.fingerprint);
});

test("the way may lead through a dialer", async () => {
  const folder = await startAgent();
  const path = join(folder.root, "dial.sock");
  await startDialer(path);
  const { boxes } = await startBox({ reach: { kind: "unix", path } });
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
});

test("logs are read, followed, and refused in Kubernetes' words", async () => {
  const { boxes } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await boxes.bind(
    "m1",
    binding([container("web", "for i in 1 2 3; do echo line $i; done; sleep 0.5; echo late; sleep 0.3")], {
      restartPolicy: "Never",
    }),
  );
  await until(boxes, ({ report }) => report?.containerStatuses[0]?.state?.running !== undefined);
  const followed = await boxes.logs("m1", logs({ follow: true }), signal);
  expect(await text(followed)).toBe("line 1\nline 2\nline 3\nlate\n");
  expect(await text(await boxes.logs("m1", logs({ tailLines: 2 }), signal))).toBe("line 3\nlate\n");
  await expect(boxes.logs("m1", logs({ previous: true }), signal)).rejects.toThrow(
    /previous terminated container "web"/,
  );
  await expect(boxes.logs("m1", logs({ container: "no" }), signal)).rejects.toMatchObject({ code: "BOX_REFUSED" });
});

test.for([
  ["crun", "tool:1"],
  ["podman", "other"],
] as const)("commands run inside the container by %s, with their own streams and exit code", async ([way, image]) => {
  const { boxes, agent } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  const more = { image, env: [["GREETING", "it's"]] as [string, string][] };
  await boxes.bind("m1", binding([container("web", "sleep 1000", more)]));
  await until(boxes, running);
  const command = ["sh", "-c", 'cat; echo "$GREETING" "$1"; echo oops >&2; exit 3', "sh", "a 'b'\n$c"];
  const session = await boxes.exec("m1", { container: "web", command, stdin: true, tty: false }, signal);
  session.stdin.end("typed\n");
  const [out, err, exit] = await Promise.all([text(session.stdout), text(session.stderr), session.exit]);
  expect([out, err, exit]).toEqual(["typed\nit's a 'b'\n$c\n", "oops\n", { exitCode: 3 }]);
  expect(readdirSync(join(agent.root, "run/drover/containers")).filter((name) => name.includes("exec"))).toEqual([]);
  expect(existsSync(join(agent.root, "run/crun"))).toBe(way === "crun");
  const none = { container: "no", command: ["true"], stdin: false, tty: false };
  await expect(boxes.exec("m1", none, signal)).rejects.toThrow('container not found ("no")');
});

test.for([
  ["comes long after its output has ended", false],
  ["comes together with all else", true],
])("the exit code of a command that %s is known", async ([_, isWhole]) => {
  const { boxes, server } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await boxes.bind("m1", binding([container("web")]));
  await until(boxes, running);
  if (isWhole) server.answerWhole();
  const command = ["sh", "-c", "echo done; exit 3"];
  const session = await boxes.exec("m1", { container: "web", command, stdin: false, tty: false }, signal);
  session.stdin.end();
  expect(await Promise.all([text(session.stdout), session.exit])).toEqual(["done\n", { exitCode: 3 }]);
});

test("a lot of output passes whole, at the reader's pace", async () => {
  const { boxes } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await boxes.bind("m1", binding([container("web")]));
  await until(boxes, running);
  const command = ["sh", "-c", "head -c 5000000 /dev/zero"];
  const session = await boxes.exec("m1", { container: "web", command, stdin: false, tty: false }, signal);
  let size = 0;
  for await (const chunk of session.stdout) {
    size += chunk.length;
    if (size < 500_000) await systemClock.sleep(1);
  }
  expect(size).toBe(5_000_000);
  expect(await session.exit).toEqual({ exitCode: 0 });
});

test("a port of the machine's loopback is reached; a closed one is said to be", async () => {
  const { boxes } = await startBox();
  const web = createServer((_, response) => response.end("page"));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void web.close());
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  const { port } = web.address() as AddressInfo;
  const stream = await boxes.connect("m1", port);
  stream.end("GET / HTTP/1.0\r\n\r\n");
  expect(await text(stream)).toMatch(/page$/);
  await expect(boxes.connect("m1", 1)).rejects.toMatchObject({ code: "BOX_UNREACHABLE" });
});

test("machines that are no longer followed are let go", async () => {
  const { boxes, server } = await startBox();
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  boxes.follow([]);
  expect(boxes.contact("m1")).toBeUndefined();
  await expect.poll(() => server.connections(), { timeout: 3000 }).toBe(0);
});

const page = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  return await answer.text();
};

test("a machine reaches the API through its own loopback, after a lost connection too", async () => {
  const { boxes, server } = await startBox();
  const api = createServer((_, response) => response.end("the API"));
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void api.close());
  boxes.offerApi((api.address() as AddressInfo).port);
  boxes.follow([machine]);
  const road = () => expect.poll(() => server.forwarded(apiRoadPort), { timeout: 5000 }).toBeDefined();
  await road();
  expect(await page(server.forwarded(apiRoadPort) ?? 0)).toBe("the API");
  server.cut();
  await expect.poll(() => server.forwarded(apiRoadPort)).toBeUndefined();
  await road();
  expect(await page(server.forwarded(apiRoadPort) ?? 0)).toBe("the API");
});

/** A program that makes a TCP connection and hands it on, as `nc` does. */
const netcat = `"${process.execPath}" -e 's=require("net").connect(+process.argv[2],process.argv[1]);process.stdin.pipe(s).pipe(process.stdout)'`;

test("a program can be the way to a machine", async () => {
  const { boxes, server } = await startBox({ reach: { kind: "command", command: `${netcat} %h %p` } });
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  await boxes.bind("m1", binding([container("web")]));
  await until(boxes, running);
  server.cut();
  await until(boxes, ({ reachable }) => !reachable);
  await until(boxes, ({ reachable }) => reachable);
});

test("why a machine can't be reached is known, with what can be done, until it can", async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const shut = await startBox({ port, wayOut: "open it" });
  shut.boxes.follow([machine]);
  const refused = /^127\.0\.0\.1:\d+ can't be reached: connect ECONNREFUSED 127\.0\.0\.1:\d+ \(open it\)$/;
  await until(shut.boxes, ({ failure = "" }) => refused.test(failure));
  const failing = await startBox({ reach: { kind: "command", command: "sh -c 'echo no such bastion >&2; exit 7'" } });
  failing.boxes.follow([machine]);
  await until(failing.boxes, ({ failure = "" }) => failure.includes("ended with 7: no such bastion"));
  const { boxes } = await startBox();
  boxes.follow([machine]);
  expect(await until(boxes, ({ reachable }) => reachable)).not.toHaveProperty("failure");
});

test("a machine that tells no host key is waited for by that reason", async () => {
  const { boxes } = await startBox({ console: async () => "", wayOut: "open it" });
  boxes.follow([machine]);
  await until(boxes, ({ failure }) => failure === "its console has not shown its SSH host key yet");
});

test("a console that can't be read is told with the reason, once in the log, until it can", async () => {
  const why = "AWS does not permit ec2:GetConsoleOutput to these credentials";
  let refusal: Error | undefined = new DroverError("CLOUD_AUTH", `${why}.`);
  let printed = "";
  const console = async () => {
    if (refusal) throw refusal;
    return printed;
  };
  const { boxes, warnings, server } = await startBox({ console, wayOut: "open it" });
  printed = server.console;
  const told = new Set<string | undefined>();
  boxes.onChange((id) => told.add(boxes.contact(id)?.failure));
  boxes.follow([machine, { ...machine, id: "m2" }]);
  const failing = await until(boxes, ({ failure }) => failure === `its console can't be read: ${why}`);
  expect(failing).toMatchObject({ reachable: false, failingSinceMs: expect.any(Number) });
  expect(told).toContain(failing.failure);
  await expect.poll(() => boxes.contact("m2")?.failure).toBe(failing.failure);
  expect(warnings).toEqual([`Machines' consoles can't be read: ${why}.`]);
  refusal = undefined;
  expect(await until(boxes, ({ reachable }) => reachable)).not.toHaveProperty("failure");
});

test("what the provider has said for all calls, or gets over by itself, is not said of consoles too", async () => {
  const failures = [
    new DroverError("CLOUD_AUTH", "The login has expired.", { told: 1 }),
    new DroverError("CLOUD_UNAVAILABLE", "AWS is busy."),
    new Error("ENOENT"),
  ];
  const console = async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return "";
  };
  const { boxes, warnings } = await startBox({ console });
  const told: (string | undefined)[] = [];
  boxes.onChange((id) => told.push(boxes.contact(id)?.failure));
  boxes.follow([machine]);
  const none = "its console has not shown its SSH host key yet";
  const unread = (why: string) => `its console can't be read: ${why}`;
  await expect
    .poll(() => told, { timeout: 8000 })
    .toEqual([none, unread("The login has expired"), unread("AWS is busy"), none]);
  expect(warnings).toEqual([]);
});

test("a machine with two addresses is reached by the public one, or by its own where that is asked for", async () => {
  const { boxes } = await startBox();
  boxes.follow([{ ...machine, address: "192.0.2.1", publicAddress: machine.address ?? "" }]);
  await until(boxes, ({ reachable }) => reachable);
  const inside = await startBox({ ownAddress: true });
  inside.boxes.follow([{ ...machine, publicAddress: "192.0.2.1" }]);
  await until(inside.boxes, ({ reachable }) => reachable);
});

test("an address that is none is not put into a command", async () => {
  const { boxes } = await startBox({ reach: { kind: "command", command: "touch /tmp/never-%h" } });
  boxes.follow([{ ...machine, address: "1.2.3.4;touch /tmp/never" }]);
  await systemClock.sleep(300);
  expect(existsSync("/tmp/never")).toBe(false);
  expect(boxes.contact("m1")?.reachable ?? false).toBe(false);
});

test("without a console a machine is trusted at first sight only by the user's word, and then remembered", async () => {
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * 1_000 };
  const silent = { console: async () => "", clock };
  const wary = await startBox(silent);
  wary.boxes.follow([machine]);
  const seen = new Map<string, string>();
  const hostKeys = { get: (id: string) => seen.get(id), set: (id: string, key: string) => void seen.set(id, key) };
  const { boxes, server } = await startBox({ ...silent, acceptNewHostKeys: true, hostKeys });
  boxes.follow([machine]);
  await until(boxes, ({ reachable }) => reachable);
  expect(seen.get("m1")).toBe(server.fingerprint);
  expect(wary.boxes.contact("m1")?.reachable ?? false).toBe(false);
});
