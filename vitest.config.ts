import { defineConfig } from "vitest/config";
import { namespacePool } from "./test/aws/rig/namespace.ts";
import { Order } from "./test/order.ts";

/** Tests of functions: they leave nothing behind in their process. */
const functions = ["api", "base", "clouds/aws", "clouds/sim", "controllers", "registry", "store"].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);
/** Whole drovers in virtual time: they only compute. `npm test` has them run beside the others at a low priority. */
const worlds = ["test/aws/*.test.ts", "test/sim/*.test.ts"];
/** A stand-in for AWS with everything around it, in a network of its own. */
const rig = ["test/aws/rig/*.test.ts"];

export default defineConfig({
  // Tests import `src/` and get `dist/`, as Node itself loads it: what ships is what is tested, and the modules of a
  // test runner take a quarter longer for what only computes.
  resolve: { alias: [{ find: /^((?:\.\.\/)+)src\/(.*)\.ts$/, replacement: "$1dist/$2.js" }] },
  test: {
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
    // Failures name the lines of `src/`.
    execArgv: ["--enable-source-maps"],
    // The end of `npm test` shows messages without their differences: objects are in them nearly whole.
    chaiConfig: { truncateThreshold: 400 },
    forceRerunTriggers: ["**/src/**"],
    globalSetup: "test/setup.ts",
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Most polls start a kubectl, which takes the processor from what is waited for. A second, the usual bound, is not
    // much on a busy computer.
    expect: { poll: { interval: 200, timeout: 10_000 } },
    sequence: { sequencer: Order },
    projects: [
      // Most of the time of the first two would be the loading of modules, again for each file.
      { extends: true, test: { name: "functions", include: functions, isolate: false } },
      { extends: true, test: { name: "worlds", include: worlds, isolate: false, testTimeout: 1_200_000 } },
      {
        extends: true,
        test: { name: "rig", include: rig, pool: namespacePool, globalSetup: "test/aws/rig/setup.ts" },
      },
      {
        extends: true,
        test: { name: "processes", include: ["test/**/*.test.ts"], exclude: [...functions, ...worlds, ...rig] },
      },
    ],
  },
});
