import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { HostKeys } from "./host-keys.ts";

/** Host keys that were seen to be right, in a file: a line `machine fingerprint` each, the last one of a machine counts. */
export function openKnownHosts(file: string): HostKeys {
  const known = new Map<string, string>();
  for (const line of existsSync(file) ? readFileSync(file, "utf8").split("\n") : []) {
    const [machineId, fingerprint] = line.split(" ");
    if (machineId && fingerprint) known.set(machineId, fingerprint);
  }
  return {
    get: (machineId) => known.get(machineId),
    set(machineId, fingerprint) {
      known.set(machineId, fingerprint);
      appendFileSync(file, `${machineId} ${fingerprint}\n`, { mode: 0o600 });
    },
  };
}
