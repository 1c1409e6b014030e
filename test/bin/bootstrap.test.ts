import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const nobody = 65_534;

/** A checkout with one module and with its packages installed. */
function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), "drover-checkout-"));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  for (const name of ["bin", "src/cli", "node_modules/.drover"]) mkdirSync(join(folder, name), { recursive: true });
  cpSync("bin/bootstrap.mjs", join(folder, "bin/bootstrap.mjs"));
  symlinkSync(join(process.cwd(), "node_modules/typescript"), join(folder, "node_modules/typescript"));
  write("package.json", '{ "type": "module" }');
  write("package-lock.json", "{}");
  write("node_modules/.drover/packages", `${createHash("sha256").update("{}").digest("hex")} dev`);
  write("tsconfig.json", "{}");
  write("tsconfig.build.json", '{ "compilerOptions": { "rootDir": "src", "types": [] }, "include": ["src"] }');
  write("src/cli/main.ts", "export const one = 1;\n");
  return folder;
}

const bootstrapIn = (folder: string): string[] => {
  const script = `import { bootstrap } from ${JSON.stringify(join(folder, "bin/bootstrap.mjs"))}; bootstrap();`;
  return ["--input-type=module", "-e", script];
};

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write("what root builds for a user is not tried: only root may give files away\n");

test.skipIf(!isRoot)(
  "what root builds in a user's checkout is that user's",
  () => {
    const folder = checkout();
    try {
      chownSync(folder, nobody, nobody);
      execFileSync(process.execPath, bootstrapIn(folder), { stdio: "pipe", timeout: 60_000 });
      const owners = ["dist", "dist/cli/main.js", "node_modules/.drover/build"].map(
        (name) => statSync(join(folder, name)).uid,
      );
      expect(owners).toEqual([nobody, nobody, nobody]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  90_000,
);

test("several builds at once all succeed, and leave a whole one", async () => {
  const folder = checkout();
  try {
    // An earlier one, so large that taking it away takes a while.
    mkdirSync(join(folder, "dist/old"), { recursive: true });
    for (let number = 0; number < 3_000; number++) writeFileSync(join(folder, `dist/old/${number}`), "");
    const run = () => promisify(execFile)(process.execPath, bootstrapIn(folder), { timeout: 60_000 });
    await Promise.all([run(), run(), run()]);
    expect(readdirSync(join(folder, "dist"), { recursive: true }).sort()).toEqual(["cli", "cli/main.js"]);
    expect(readdirSync(folder).filter((name) => name.startsWith("dist"))).toEqual(["dist"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 90_000);

test.each([
  ["asks a person before it uses sudo", "", "setup"],
  ["asks nobody in CI", "true", "setup --yes"],
])("npm test %s", (_, CI, words) => {
  const folder = checkout();
  try {
    cpSync("bin/test.mjs", join(folder, "bin/test.mjs"));
    writeFileSync(join(folder, "bin/drover.mjs"), 'console.log(process.argv.slice(2).join(" ")); process.exit(1);');
    const environment = { ...process.env, CI };
    const run = spawnSync(process.execPath, [join(folder, "bin/test.mjs")], { env: environment, encoding: "utf8" });
    expect(run.stderr.split("\n")[0]).toBe(words);
    expect([run.status, run.stdout]).toEqual([1, ""]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
