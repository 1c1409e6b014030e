import { parentPort, workerData } from "node:worker_threads";
import type { ThreadSettings } from "./messages.ts";
import { serveLinks } from "./serve.ts";

/** Where the thread of the connections begins. */
if (parentPort) serveLinks(parentPort, workerData as ThreadSettings);
