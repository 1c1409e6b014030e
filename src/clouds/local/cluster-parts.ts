import type { Clock } from "../../base/clock.ts";
import type { Holder, Log } from "./holder-client.ts";
import type { Publisher } from "./publisher-client.ts";
import type { Tools } from "./tools.ts";

/** What the parts of one cluster on this computer are made with. */
export type ClusterParts = {
  /** The cluster's folder. */
  folder: string;
  holder: Holder;
  publisher: Publisher;
  tools: Tools;
  clock: Clock;
  log: Log;
};
