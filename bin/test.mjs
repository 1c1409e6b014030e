// `npm test`: all set-up, then every test that needs no cloud account. `npm test -- test/store` runs a part.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, root, run } from "./bootstrap.mjs";

bootstrap();
const chosen = process.argv.slice(2);
if (chosen.length === 0) run(process.execPath, [join(root, "bin/drover.mjs"), "setup", "--yes"], "set-up");
mkdirSync(join(root, ".cache"), { recursive: true });
const report = join(root, ".cache/tests.json");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters, ...chosen], {
  cwd: root,
  stdio: "inherit",
});
const { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests } = JSON.parse(
  readFileSync(report, "utf8"),
);
const failed = Math.max(numFailedTests, status === 0 ? 0 : 1, numFailedTests === 0 ? numFailedTestSuites : 0);
console.log(`${numPassedTests} passed, ${failed} failed${numPendingTests > 0 ? `, ${numPendingTests} skipped` : ""}`);
process.exit(status ?? 1);
