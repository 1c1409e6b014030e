// `npm run check`: everything that needs no running of drover: types, lint and format, dead code, layers, generated files.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

bootstrap();
const tool = (path) => [process.execPath, join(root, "node_modules", path)];
const steps = [
  ["types", ...tool("typescript/bin/tsc"), "-p", "tsconfig.json"],
  ["lint and format", ...tool("@biomejs/biome/bin/biome"), "ci", "--error-on-warnings", "."],
  ["dead code", ...tool("knip/bin/knip.js")],
  ["layers", ...tool("vitest/vitest.mjs"), "run", "test/tidy.test.ts"],
  ["generated files", process.execPath, join(root, "bin/generate.mjs"), "--check"],
];
let failed = 0;
for (const [name, command, ...args] of steps) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) failed++;
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name}`);
}
console.log(`${steps.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
