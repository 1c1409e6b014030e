// `npm test`: all set-up, then every test that needs no cloud account. `npm test -- test/store` runs a part.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { bootstrap, root, run } from "./bootstrap.mjs";

/** Of 20: it leaves about nine tenths of a processor to whoever else wants it. */
const niceness = 10;
const vitest = join(root, "node_modules/vitest/vitest.mjs");

/** A run of vitest; its report is `.cache/NAME.json`. */
function start(name, words, options) {
  const report = join(root, `.cache/${name}.json`);
  rmSync(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [vitest, "run", ...reporters, ...words], { cwd: root, ...options });
  return { report, child, ended: new Promise((resolve) => child.once("exit", (status) => resolve(status ?? 1))) };
}

/** The tests that only compute, in what the others leave of the processors. Their output goes to `log`. */
function startBeside() {
  const log = join(root, ".cache/worlds.log");
  const output = openSync(log, "w");
  // A session of its own: Linux may share processors among sessions first, whatever the priorities inside of them.
  const beside = start("worlds", ["--project=worlds"], { stdio: ["ignore", output, output], detached: true });
  const { pid } = beside.child;
  setPriority(pid, niceness);
  try {
    writeFileSync(`/proc/${pid}/autogroup`, `${niceness}`);
  } catch {
    // Where there is none, or it may not be written, the priority alone counts.
  }
  return { ...beside, log };
}

const isAlive = ({ child }) => child.exitCode === null && child.signalCode === null;

/** An interrupt from the terminal reaches only what is in the terminal's session. */
function endWith(inside, beside) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => {
      if (isAlive(beside)) process.kill(-beside.child.pid, signal);
      if (isAlive(inside) && signal !== "SIGINT") inside.child.kill(signal);
    });
}

/** What a run's report counts; a run without one has failed. */
async function count({ report, ended }) {
  const status = await ended;
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const failed = Math.max(numFailedTests, status === 0 ? 0 : 1, numFailedTests === 0 ? numFailedTestSuites : 0);
  return { passed: numPassedTests, failed, skipped: numPendingTests };
}

/** The counts of a part, or of all. */
async function test(chosen) {
  if (chosen.length > 0) return [await count(start("tests", chosen, { stdio: "inherit" }))];
  run(process.execPath, [join(root, "bin/drover.mjs"), "setup", "--yes"], "set-up");
  const beside = startBeside();
  const others = start("tests", ["--project=!worlds"], { stdio: "inherit" });
  endWith(others, beside);
  const counts = [await count(others)];
  if (isAlive(beside)) console.log("The tests that only compute go on, see .cache/worlds.log.");
  counts.push(await count(beside));
  process.stdout.write(readFileSync(beside.log));
  return counts;
}

bootstrap();
mkdirSync(join(root, ".cache"), { recursive: true });
const counts = await test(process.argv.slice(2));
const sum = (name) => counts.reduce((total, each) => total + each[name], 0);
const skipped = sum("skipped");
console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(sum("failed") === 0 ? 0 : 1);
