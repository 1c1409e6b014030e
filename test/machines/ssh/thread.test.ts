import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";
import { binding, container, startAgent } from "../agent-kit.ts";
import { machine, optionsFor, startSshServer } from "./ssh-server.ts";

const project = fileURLToPath(new URL("../../..", import.meta.url));

/** The connections as they are shipped, compiled below the project so that they find its packages. */
function compile(): string {
  mkdirSync(join(project, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(project, ".cache/thread-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const files = ["boxes", "thread"].map((name) => join(project, `src/machines/ssh/${name}.ts`));
  const options = {
    extends: join(project, "tsconfig.build.json"),
    compilerOptions: { outDir: "out", rootDir: join(project, "src") },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...options, include: [], files }));
  const compiler = join(project, "node_modules/.bin/tsc");
  const done = spawnSync(compiler, ["-p", folder], { encoding: "utf8" });
  expect(done.stdout).toBe("");
  return join(folder, "out/machines/ssh/boxes.js");
}

test("the shipped form keeps its connections in a thread of its own", { timeout: 60_000 }, async () => {
  const { sshBoxes } = (await import(
    pathToFileURL(compile()).href
  )) as typeof import("../../../src/machines/ssh/boxes.ts");
  const operator = makeHostKey("operator");
  const agent = await startAgent();
  const server = await startSshServer(agent, operator.publicKey);
  const boxes = sshBoxes(optionsFor(server, operator.privateKey));
  boxes.follow([machine]);
  await expect.poll(() => boxes.contact("m1")?.reachable, { timeout: 10_000 }).toBe(true);
  await boxes.bind("m1", binding([container("web", "echo hello; sleep 1000")]));
  const web = binding([]);
  await expect(boxes.bind("m1", { ...web, uid: "uid-2" })).rejects.toMatchObject({ code: "BOX_TAKEN" });
  await expect
    .poll(() => boxes.contact("m1")?.report?.containerStatuses[0]?.state?.running, { timeout: 10_000 })
    .toBeDefined();
  const { signal } = new AbortController();
  const command = ["sh", "-c", "head -c 3000000 /dev/zero; exit 5"];
  const session = await boxes.exec("m1", { container: "web", command, stdin: false, tty: false }, signal);
  let size = 0;
  for await (const chunk of session.stdout) size += chunk.length;
  expect([size, await session.exit]).toEqual([3_000_000, { exitCode: 5 }]);
  await boxes.close();
  await expect.poll(() => server.connections()).toBe(0);
});
