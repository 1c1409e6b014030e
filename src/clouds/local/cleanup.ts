import { existsSync } from "node:fs";
import { clusterFolder } from "./detached.ts";
import { endEgress } from "./egress.ts";
import { endHolder } from "./holder-client.ts";
import { endPublisher } from "./publisher-client.ts";
import { openTools } from "./tools.ts";

/**
 * Ends everything of a cluster that lives on this computer beyond drover: machines, balancers, registry, names, their
 * network and its road to the internet. Says what it ended, a line each. Files stay. May be repeated.
 */
export async function localCleanup(home: string, cluster: string): Promise<string[]> {
  const folder = clusterFolder(home, cluster);
  const ended = await endHolder(home, cluster);
  const published = await endPublisher(home, cluster);
  // The rules were made with drover's own nft, which is in the cache as long as they are there.
  const roads = existsSync(`${folder}/egress.json`) ? await endEgress(home, cluster, await openTools()) : [];
  return [...ended, ...(published ? ["publisher"] : []), ...roads].map((what) => `ended ${what}`);
}
