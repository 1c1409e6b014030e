import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { clusterFolder } from "./detached.ts";
import { endEgress } from "./egress.ts";
import { endHolder } from "./holder-client.ts";
import { endPublisher } from "./publisher-client.ts";
import { openTools } from "./tools.ts";

/**
 * Ends every machine, balancer and name of a cluster together with its network and its road to the internet, whether
 * drover runs or not, and says what was ended, a line each. What can be built again or is shared by clusters (images,
 * saved machines) stays. May be repeated.
 */
export async function localCleanup(home: string, cluster: string): Promise<string[]> {
  const folder = clusterFolder(home, cluster);
  const ended = await endHolder(home, cluster);
  const published = await endPublisher(home, cluster);
  // The rules were made with drover's own nft, which is in the cache as long as they are there.
  const roads = existsSync(join(folder, "egress.json")) ? await endEgress(home, cluster, await openTools()) : [];
  for (const name of ["machines", "volumes", "lb", "names.json"])
    rmSync(join(folder, name), { recursive: true, force: true });
  return [...ended, ...published, ...roads].map((what) => `ended ${what.replace(":", " ")}`);
}
