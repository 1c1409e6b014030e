import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openLmdb } from "../../src/store/lmdb.ts";

// A process of its own is needed to die; it runs the store as JavaScript, compiled beside the packages it imports.
const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules/.cache");
let compiled: string;
const home = mkdtempSync(join(tmpdir(), "drover-crash-"));
const children: ChildProcess[] = [];

beforeAll(() => {
  mkdirSync(cache, { recursive: true });
  compiled = mkdtempSync(join(cache, "drover-store-"));
  const project = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      allowImportingTsExtensions: false,
      rootDir: join(root, "src"),
      outDir: compiled,
      typeRoots: [join(root, "node_modules/@types")],
    },
    include: [],
    files: [join(root, "src/store/lmdb.ts")],
  };
  writeFileSync(join(compiled, "tsconfig.json"), JSON.stringify(project));
  writeFileSync(join(compiled, "package.json"), JSON.stringify({ type: "module" }));
  cpSync(join(root, "test/store/writer.mjs"), join(compiled, "writer.mjs"));
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", join(compiled, "tsconfig.json")], { timeout: 50_000 });
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => {
  rmSync(compiled, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
});

/** `limits`: shell commands that go before. */
function startWriter(dir: string, limits = "", valueBytes = 1000) {
  const script = `${limits} exec "${process.execPath}" "$@"`;
  const args = [join(compiled, "writer.mjs"), join(compiled, "store/lmdb.js"), dir, String(valueBytes)];
  const child = spawn("bash", ["-c", script, "bash", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return { child, lines: createInterface({ input: child.stdout }) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

const keysOf = async (dir: string): Promise<Set<string>> => {
  const store = await openLmdb(dir);
  const { entries, more } = await store.range({ start: "/", end: "0", limit: 1_000_000 });
  await store.close();
  expect(more).toBe(false);
  return new Set(entries.map(({ key }) => key));
};

test("after kill -9 every acknowledged write is there, and the store opens at once", { timeout: 40_000 }, async () => {
  const dir = join(home, "killed");
  const acknowledged: string[] = [];
  for (let round = 1; round <= 3; round++) {
    const { child, lines } = startWriter(dir);
    for await (const line of lines) {
      acknowledged.push(line);
      if (acknowledged.length >= round * 400) child.kill("SIGKILL");
    }
    await ended(child);
  }
  expect(acknowledged.length).toBeGreaterThanOrEqual(1200);
  const keys = await keysOf(dir);
  expect(acknowledged.filter((key) => !keys.has(key))).toEqual([]);
});

test("a full disk is STORE_UNAVAILABLE and loses nothing that was acknowledged", { timeout: 40_000 }, async () => {
  const dir = join(home, "full");
  // Files may grow to 2 MiB, and the attempt to go on is an error instead of a signal.
  const { child, lines } = startWriter(dir, "trap '' XFSZ; ulimit -f 2048;", 10_000);
  const said: string[] = [];
  for await (const line of lines) said.push(line);
  await ended(child);
  expect(child.exitCode).toBe(0);
  const acknowledged = said.filter((line) => line.startsWith("/"));
  expect(said.length - acknowledged.length).toBeGreaterThan(0);
  expect(new Set(said.slice(acknowledged.length))).toEqual(new Set(["failed STORE_UNAVAILABLE"]));
  expect(acknowledged.length).toBeGreaterThan(10);
  const keys = await keysOf(dir);
  expect(acknowledged.filter((key) => !keys.has(key))).toEqual([]);
});
