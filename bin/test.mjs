// `npm test`: all set-up, then every test that needs no cloud account. `npm test -- test/store` runs a part.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join, relative } from "node:path";
import { bootstrap, root, run } from "./bootstrap.mjs";

/** Of 20: it leaves about nine tenths of a processor to whoever else wants it. */
const niceness = 10;
/** What is said of failures at the end. */
const shownFailures = 10;
const messageLines = 12;
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

/** What a run's report counts and what failed in it. */
async function outcome({ report, ended }) {
  const status = await ended;
  if (!existsSync(report)) return { passed: 0, skipped: 0, failures: ["FAILED vitest, which wrote no report"] };
  const { numPassedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const failures = testResults.flatMap(failuresOf);
  if (status !== 0 && failures.length === 0) failures.push("FAILED vitest, though no test did: see its output above");
  return { passed: numPassedTests, skipped: numPendingTests, failures };
}

/** The failures of a file, each with the first lines of its message; a file that did not load is one. */
function failuresOf({ name, status, message, assertionResults }) {
  const file = relative(root, name);
  const failed = assertionResults.filter((each) => each.status === "failed");
  if (failed.length === 0 && status === "failed") return [`FAILED ${file}\n${firstLines(message)}`];
  return failed.map(({ fullName, failureMessages }) => {
    return `FAILED ${file} > ${fullName}\n${firstLines(failureMessages.join("\n"))}`;
  });
}

const firstLines = (text) => {
  const lines = text.split("\n").filter((line) => !line.includes("/node_modules/"));
  return lines
    .map((line) => `  ${line.slice(0, 1000)}`)
    .slice(0, messageLines)
    .join("\n");
};

/** The outcome of a part, or of all. */
async function test(chosen) {
  if (chosen.length > 0) return [await outcome(start("tests", chosen, { stdio: "inherit" }))];
  // In CI nobody is there to be asked before sudo.
  const agreed = process.env.CI ? ["--yes"] : [];
  run(process.execPath, [join(root, "bin/drover.mjs"), "setup", ...agreed], "set-up");
  const beside = startBeside();
  const others = start("tests", ["--project=!worlds"], { stdio: "inherit" });
  endWith(others, beside);
  const outcomes = [await outcome(others)];
  if (isAlive(beside)) console.log("The tests that only compute go on, see .cache/worlds.log.");
  outcomes.push(await outcome(beside));
  process.stdout.write(readFileSync(beside.log));
  return outcomes;
}

bootstrap();
mkdirSync(join(root, ".cache"), { recursive: true });
const outcomes = await test(process.argv.slice(2));
const failures = outcomes.flatMap((each) => each.failures);
// Both runs show their failures, but thousands of lines may follow those of the first.
for (const failure of failures.slice(0, shownFailures)) console.log(failure);
const sum = (name) => outcomes.reduce((total, each) => total + each[name], 0);
const skipped = sum("skipped");
console.log(`${sum("passed")} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failures.length === 0 ? 0 : 1);
