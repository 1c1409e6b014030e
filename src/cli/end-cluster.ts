import { rmSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { localCleanup } from "../clouds/local/cleanup.ts";
import type { ClusterPaths } from "./home.ts";
import { endServing } from "./serving.ts";

/** Ends the cluster's server, machines, balancers and network and removes its files. Returns what was ended, in words. */
export async function endCluster(paths: ClusterPaths, clock: Clock): Promise<string[]> {
  const pid = await endServing(paths, clock);
  const ended = await localCleanup(paths.home, paths.cluster);
  for (const folder of [paths.data, paths.identity, paths.folder]) rmSync(folder, { recursive: true, force: true });
  return [
    ...(pid === undefined ? [] : [`ended drover serve (process ${pid})`]),
    ...ended,
    `removed cluster ${paths.cluster}`,
  ];
}
