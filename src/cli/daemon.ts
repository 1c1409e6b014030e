import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { CloudName, ClusterPaths } from "./home.ts";
import { findServing, type Serving } from "./serving.ts";

const startTimeoutMs = 60_000;

/** The cluster's server; started in the background, with its log in the cluster's folder, where none lives. */
export async function startDetached(
  paths: ClusterPaths,
  cloud: CloudName,
  more: readonly string[],
  clock: Clock,
): Promise<Serving> {
  const living = findServing(paths);
  if (living) return living;
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  const log = openSync(paths.log, "w", 0o600);
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  const words = [
    "serve",
    "--cloud",
    cloud,
    "--cluster",
    paths.cluster,
    "--data",
    paths.data,
    "--port",
    "0",
    "--kubeconfig",
    paths.kubeconfig,
  ];
  const child = spawn(process.execPath, [main, ...words, ...more], { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  let ended = false;
  child.once("exit", () => {
    ended = true;
  });
  child.unref();
  const untilMs = clock.monotonicMs() + startTimeoutMs;
  while (clock.monotonicMs() < untilMs && !ended) {
    const serving = findServing(paths);
    if (serving) return serving;
    await clock.sleep(50);
  }
  const said = readFileSync(paths.log, "utf8").trim().split("\n").slice(-12).join("\n");
  throw new DroverError(
    "CLOUD_UNAVAILABLE",
    `drover serve did not come up; its log (${paths.log}) ends with:\n${said}`,
  );
}
