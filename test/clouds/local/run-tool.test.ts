import { expect, test, vi } from "vitest";
import { run } from "../../../src/clouds/local/command.ts";
import { runTool } from "../../../src/clouds/local/run-tool.ts";

test("programs of sbin are found by a user whose path is without it", async () => {
  vi.stubEnv("PATH", "/usr/local/bin:/usr/bin:/bin");
  const looked = ["sh", "-c", "command -v mke2fs"];
  expect(await runTool(looked)).toMatch(/sbin\/mke2fs$/m);
  expect((await run(looked)).stdout).toMatch(/sbin\/mke2fs$/m);
  vi.unstubAllEnvs();
});
