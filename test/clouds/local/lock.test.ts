import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { withLock } from "../../../src/clouds/local/lock.ts";
import { buildOnce } from "../../../src/clouds/local/rootfs.ts";

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dl-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("work under one lock never overlaps, and a failure lets the next one in", async () => {
  const path = join(makeFolder(), "lock");
  let inside = 0;
  let most = 0;
  const work = async (fails: boolean) => {
    most = Math.max(most, ++inside);
    await systemClock.sleep(10);
    inside--;
    if (fails) throw new Error("broken");
  };
  const results = await Promise.allSettled([true, false, false].map((fails) => withLock(path, {}, () => work(fails))));
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test("the lock of a process that has ended is taken over, even when its id was given away again", async () => {
  const path = join(makeFolder(), "lock");
  writeFileSync(path, `${process.pid} 1\n`);
  expect(await withLock(path, { signal: AbortSignal.timeout(5_000) }, async () => "in")).toBe("in");
});

test("a directory is built once for several callers, and a broken build leaves nothing", async () => {
  const folder = makeFolder();
  const path = join(folder, "thing");
  const broken = buildOnce(path, {}, async (partial) => {
    writeFileSync(partial, "half");
    throw new Error("broken");
  });
  await expect(broken).rejects.toThrow("broken");
  expect([existsSync(path), existsSync(`${path}.partial`)]).toEqual([false, false]);
  let builds = 0;
  const build = async (partial: string) => writeFileSync(partial, `${++builds}`);
  await Promise.all([buildOnce(path, {}, build), buildOnce(path, {}, build)]);
  expect(builds).toBe(1);
});
