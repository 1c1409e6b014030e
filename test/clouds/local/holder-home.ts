import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { endHolder, type Holder, openHolder } from "../../../src/clouds/local/holder-client.ts";

/** Lines that the code under test logged. */
export type Lines = { info(message: string): void; warn(message: string): void; lines: string[] };

export function capture(): Lines {
  const lines: string[] = [];
  return { lines, info: (line) => void lines.push(line), warn: (line) => void lines.push(line) };
}

const sources = ["clouds/local", "base"];

/**
 * The processes that outlive drover run from `dist/`, also when everything else runs from the sources. Each file is
 * replaced in one step: another test may be starting such a process.
 */
export function build(): void {
  const written = sources.flatMap((folder) =>
    readdirSync(`src/${folder}`).map((name) => statSync(`src/${folder}/${name}`).mtimeMs),
  );
  const built = statSync("dist/clouds/local/holder-main.js", { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Math.max(...written) <= built) return;
  const fresh = `.cache/test.${process.pid}`;
  // The compiler's complaints are the business of the check; it writes its output all the same.
  spawnSync("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", fresh], { stdio: "ignore" });
  for (const folder of sources) {
    mkdirSync(`dist/${folder}`, { recursive: true });
    for (const name of readdirSync(`${fresh}/${folder}`, { withFileTypes: true })) {
      if (name.isFile()) renameSync(`${fresh}/${folder}/${name.name}`, `dist/${folder}/${name.name}`);
    }
  }
  rmSync(fresh, { recursive: true });
}

/** A home in a folder of its own; `forget` ends whatever lives for it. */
export function makeHome(): { home: string; forget: () => Promise<void> } {
  const home = mkdtempSync(join(tmpdir(), "dh-"));
  return {
    home,
    forget: async () => {
      await endHolder(home, "test");
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A holder of this test alone, ended with it. */
export async function startHolder(): Promise<{ holder: Holder; home: string; log: Lines }> {
  const { home, forget } = makeHome();
  onTestFinished(forget);
  const log = capture();
  const holder = await openHolder({ home, cluster: "test", clock: systemClock, log });
  return { holder, home, log };
}

/** Waits for `check` to give something else than undefined or false. */
export async function eventually<T>(check: () => Promise<T> | T, withinMs = 10_000): Promise<NonNullable<T>> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`nothing within ${withinMs} ms: ${check}`);
    await systemClock.sleep(20);
  }
}
