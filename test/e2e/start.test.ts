import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { identify } from "../../src/clouds/local/identity.ts";
import { DroverHome, run } from "./drover.ts";

const home = new DroverHome();
afterAll(() => home.close());
const npm = (...words: string[]) =>
  run(["npm", "start", "--silent", "--", ...words], { env: home.env, timeoutMs: 90_000 });

test("npm start -- --cloud sim does the main job within 20 seconds and loses nothing", {
  timeout: 120_000,
}, async () => {
  const startedMs = performance.now();
  const { code, out, err } = await npm("--cloud", "sim");
  const seconds = (performance.now() - startedMs) / 1_000;
  expect(code, err).toBe(0);
  const report = JSON.parse(out.trim().split("\n").at(-1) ?? "");
  expect(report).toMatchObject({ lost: 0 });
  expect(report.sent).toBeGreaterThan(100);
  for (const figure of ["firstReadySeconds", "allReadySeconds", "rolloutSeconds"])
    expect(report[figure]).toBeGreaterThan(0);
  expect(err).toMatch(/web-\w+-\w+ +Ready/);
  expect(seconds).toBeLessThan(20);
});

test("npm start -- --cleanup leaves nothing of it", { timeout: 60_000 }, async () => {
  const [listed] = (await home.drover(["gc"])).out.match(/process (\d+)/g) ?? [];
  const pid = Number(listed?.split(" ")[1]);
  expect(identify(pid)).toBeDefined();
  expect((await npm("--cleanup")).code).toBe(0);
  expect(identify(pid)).toBeUndefined();
  expect(existsSync(join(home.folder, "clusters/demo-sim"))).toBe(false);
});
