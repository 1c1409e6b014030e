import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { identify, lives, type ProcessIdentity } from "../clouds/local/identity.ts";
import type { ClusterPaths } from "./home.ts";

/** A running `drover serve`, as it wrote itself down once it was ready. */
export type Serving = { pid: number; process?: ProcessIdentity; port: number; cloud: string; kubeconfig: string };

export function writeServing(paths: ClusterPaths, facts: Omit<Serving, "pid" | "process">): void {
  const identity = identify(process.pid);
  const serving: Serving = { pid: process.pid, ...(identity && { process: identity }), ...facts };
  writeFileSync(paths.serving, `${JSON.stringify(serving)}\n`, { mode: 0o600 });
}

export const forgetServing = (paths: ClusterPaths): void => rmSync(paths.serving, { force: true });

/** Where there is no /proc a process id is all there is to go by. */
function runs(serving: Serving): boolean {
  if (serving.process) return lives(serving.process);
  try {
    return process.kill(serving.pid, 0);
  } catch {
    return false;
  }
}

/** The server of this cluster, if one lives. */
export function findServing(paths: ClusterPaths): Serving | undefined {
  try {
    const serving: Serving = JSON.parse(readFileSync(paths.serving, "utf8"));
    return runs(serving) ? serving : undefined;
  } catch {
    return undefined; // Nobody wrote one, or it is just being written.
  }
}

/** Ends the server of this cluster and waits for it; after `timeoutMs` it is killed. Returns its process id. */
export async function endServing(paths: ClusterPaths, clock: Clock, timeoutMs = 15_000): Promise<number | undefined> {
  const serving = findServing(paths);
  if (serving === undefined) return undefined;
  process.kill(serving.pid, "SIGTERM");
  const untilMs = clock.monotonicMs() + timeoutMs;
  while (runs(serving) && clock.monotonicMs() < untilMs) await clock.sleep(50);
  if (runs(serving)) process.kill(serving.pid, "SIGKILL");
  forgetServing(paths);
  return serving.pid;
}
