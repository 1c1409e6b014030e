import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubectl } from "../clients/kubectl.ts";
import { type Result, run } from "../e2e/drover.ts";

type Block = { how: string; name: string; script: string };

const text = readFileSync("README.md", "utf8");
const blocks: Block[] = [...text.matchAll(/(?:<!-- (\w+): (.+) -->\n)?```sh\n([\s\S]*?)```/g)].map(
  ([, how = "", name = "", script = ""]) => ({ how, name, script }),
);
const named = (wanted: string) => blocks.filter(({ how }) => how === wanted);

// A home of its own, as that of somebody who has just cloned drover.
const home = mkdtempSync(join(tmpdir(), "dr-readme-"));
let env: NodeJS.ProcessEnv;
const servers: ChildProcess[] = [];
beforeAll(async () => {
  const path = [dirname(await kubectl("1.36")), process.env["PATH"]].join(delimiter);
  env = { HOME: home, DROVER_HOME: join(home, ".drover"), PATH: path, npm_config_update_notifier: "false" };
});

async function end(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const closed = once(server, "close");
  process.kill(-server.pid, "SIGINT"); // Ctrl-C goes to all that the terminal runs.
  await closed;
}
afterAll(async () => {
  for (const server of servers) await end(server);
  rmSync(home, { recursive: true, force: true });
});

const shell = (script: string): Promise<Result> => run(["bash", "-euc", script], { env, timeoutMs: 170_000 });

/** Starts what runs until Ctrl-C, and waits for its first line. */
async function start(script: string): Promise<void> {
  const server = spawn("bash", ["-euc", script], {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(server);
  await Promise.race([
    once(server.stdout, "data"),
    once(server, "close").then(([code]) => Promise.reject(new Error(`it ended with ${code}`))),
  ]);
}

test("every block of commands says how it is tested", () => {
  expect(blocks.filter(({ how, name }) => !["run", "background", "elsewhere"].includes(how) || name === "")).toEqual(
    [],
  );
  expect(named("run").length).toBeGreaterThan(2);
});

/** `npm start`, `npm test` and local machines need QEMU and minutes; `npm test` would also run this test again. */
const testedElsewhere: Readonly<Record<string, readonly string[]>> = {
  "real machines": ["npm start", "npm test"],
  "serve real machines": [
    "npx drover setup",
    "npx drover image load web.tar --name web:3",
    "npx drover serve --cloud local",
  ],
  // docs/aws.md and test/aws/rig/ have the same commands, against AWS' stand-in.
  AWS: [
    "export AWS_PROFILE=me AWS_REGION=eu-central-1 HERE=$(curl -s https://checkip.amazonaws.com)/32",
    "npx drover doctor --cloud aws --create-zone --operator-cidr $HERE",
    "npx drover serve --cloud aws --create-zone --operator-cidr $HERE &",
    "kubectl --context drover-aws apply -f app.yaml && kubectl --context drover-aws rollout status deployment/web",
    "npx drover down --cloud aws",
  ],
};

test("only what is named here is left to the tests of real machines", () => {
  const commands = (script: string) =>
    script
      .trim()
      .split("\n")
      .map((line) => line.replace(/ +#.*/, ""));
  expect(Object.fromEntries(named("elsewhere").map(({ name, script }) => [name, commands(script)]))).toEqual(
    testedElsewhere,
  );
});

const begun = new Map<Block, Promise<void>>();

// All at once, in one home, as a reader with several terminals; each after what the page starts before it.
describe("the commands", { concurrent: true, timeout: 180_000 }, () => {
  test.for(named("run").map((block) => [block.name, block] as const))("%s", async ([_name, block], { expect }) => {
    for (const before of blocks.slice(0, blocks.indexOf(block))) {
      if (before.how !== "background") continue;
      if (!begun.has(before)) begun.set(before, start(before.script));
      await begun.get(before);
    }
    const { code, out, err } = await shell(block.script);
    expect(code, `${out}\n${err}`).toBe(0);
  });
});

test("the options of drover serve are those that it has", async () => {
  const { out } = await run([process.execPath, "dist/cli/main.js", "serve", "--help"]);
  // Those of AWS are in docs/aws.md, which has a test of its own.
  const has = [...out.matchAll(/^ {2}(--[\w-]+)[^\n]*(?:\n {4,}[^\n]*)*/gm)]
    .filter(([option]) => !option.replace(/\s+/g, " ").includes("(--cloud aws)"))
    .map(([, name]) => name);
  const section = text.split("### Options of `drover serve`")[1]?.split("\n## ")[0] ?? "";
  const told = [...section.matchAll(/^\| `(--[\w-]+)/gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(has.sort());
});

test("Ctrl-C ends the server within seconds, whoever has watched", async () => {
  for (const server of servers.splice(0)) await end(server);
});
