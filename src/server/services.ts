import type { Logger } from "pino";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Registry } from "../registry/registry.ts";
import type { Identity } from "./identity.ts";

/** What the server stands on. */
export type Services = {
  registry: Registry;
  /** The inside of the machines, for logs, exec and port-forward. */
  boxes: Boxes;
  identity: Identity;
  clock: Clock;
  log: Logger;
};

/** `closing` is aborted when the server ends: watches and streams end with it. */
export type Context = Services & { closing: AbortSignal; random: Random };
