import type { Logger } from "pino";
import type { Clock } from "../../base/clock.ts";
import { DroverError, isCode, isTold } from "../../base/errors.ts";
import { fingerprintsIn } from "./fingerprint.ts";

/** A memory of host keys, by machine id, as `SHA256:…`. */
export type HostKeys = {
  get(machineId: string): string | undefined;
  set(machineId: string, fingerprint: string): void;
};

const pollMs = { first: 300, factor: 1.3, max: 10_000 };

type Options = {
  console: (machineId: string) => Promise<string>;
  clock: Clock;
  log: Pick<Logger, "debug" | "warn">;
  hostKeys?: HostKeys;
  /** A machine whose console tells no key within a minute is trusted at first sight. */
  acceptNewHostKeys?: boolean;
};

/** How long a console is waited for where the user has allowed to go on without it. */
const acceptNewAfterMs = 60_000;

/** Of a machine whose console was not read yet, or could be and told no key: nothing is in the way but time. */
export const noKeyYet = "its console has not shown its SSH host key yet";

type Machines = {
  isFollowed(machineId: string): boolean;
  /** Why there is no key yet, told at every try, and why there was none `before`. Both without a full stop. */
  keyless(machineId: string, why: string, before: string): void;
};

/**
 * Finds out which host key a machine has before anything is sent to it: from memory, or from its console, which is read
 * again and again until cloud-init has printed it.
 */
export function consoleReader(options: Options, { isFollowed, keyless }: Machines) {
  const { clock, log, hostKeys } = options;
  const reading = new Set<string>();
  const warned = new Set<string>();

  /** Why the console tells no key. What passes by itself, or has been told, is nothing for the log. */
  const failure = (machineId: string, error: unknown): string => {
    log.debug({ machineId, error }, "the console could not be read");
    if (!(error instanceof DroverError)) return noKeyYet;
    if (isCode(error, "CLOUD_AUTH") && !isTold(error) && !warned.has(error.message)) {
      warned.add(error.message);
      log.warn({ error }, `Machines' consoles can't be read: ${error.message}`);
    }
    return `its console can't be read: ${error.message.replace(/\.$/, "")}`;
  };

  const read = async (machineId: string, give: (fingerprints: string[]) => void) => {
    const startMs = clock.monotonicMs();
    let before = noKeyYet;
    for (let waitMs = pollMs.first; isFollowed(machineId); waitMs = Math.min(waitMs * pollMs.factor, pollMs.max)) {
      let why = noKeyYet;
      try {
        const found = fingerprintsIn(await options.console(machineId));
        if (found.length > 0) return give(found);
      } catch (error) {
        why = failure(machineId, error);
      }
      keyless(machineId, why, before);
      before = why;
      if (options.acceptNewHostKeys && clock.monotonicMs() - startMs > acceptNewAfterMs) return give([]);
      await clock.sleep(waitMs);
    }
  };
  return {
    /** `refused`: the key that the machine showed and that was not among the given ones, which are read anew then. */
    want(machineId: string, refused: string | undefined, give: (fingerprints: string[]) => void): void {
      if (refused !== undefined && !warned.has(machineId + refused)) {
        warned.add(machineId + refused);
        log.warn({ machineId, refused }, "a machine showed a host key that its console did not print; not connecting");
      }
      const remembered = refused === undefined ? hostKeys?.get(machineId) : undefined;
      if (remembered !== undefined) give([remembered]);
      if (remembered !== undefined || reading.has(machineId)) return;
      reading.add(machineId);
      void read(machineId, give).finally(() => reading.delete(machineId));
    },
    trust(machineId: string, fingerprint: string): void {
      if (hostKeys && hostKeys.get(machineId) !== fingerprint) hostKeys.set(machineId, fingerprint);
    },
  };
}
