import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { helm, kubectl, kubectlVersions } from "./kubectl.ts";

const run = promisify(execFile);

test.for(kubectlVersions)("kubectl %s is what its name says", { timeout: 180_000 }, async (version) => {
  const { stdout } = await run(await kubectl(version), ["version", "--client"]);
  expect(stdout).toContain(`v${version}.`);
});

test("helm is version 4", { timeout: 180_000 }, async () => {
  const { stdout } = await run(await helm(), ["version", "--short"]);
  expect(stdout).toMatch(/^v4\./);
});
