import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Claim, Launch, Machine, MachineTemplate } from "../cloud.ts";

/**
 * What is written down of a machine before anything of it exists, and until an hour after its end.
 * wanted: to be started; started: it has become itself; ending: to be ended; gone: nothing of it is left.
 */
export type MachineRecord = {
  version: 1;
  id: string;
  launchId: string;
  slot: number;
  /** How many machines the launch was given: a repeat makes up for those that a crash kept from being written down. */
  launchCount: number;
  template: MachineTemplate;
  type: string;
  zone: string;
  address: string;
  /** Absent in records of older versions. */
  claim?: Claim;
  phase: "wanted" | "started" | "ending" | "gone";
  cause?: string;
  goneAtMs?: number;
};

const recordFile = "machine.json";

export const machineDirectory = (folder: string, id: string): string => join(folder, "machines", id);

/** Derived from the launch, so that whoever repeats it names the same machines. */
export function machineId({ cluster, id }: Launch, slot: number): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([cluster, id, slot]))
    .digest();
  return `m-${Array.from(digest.subarray(0, 10), (byte) => letters[byte % letters.length]).join("")}`;
}

const letters = "abcdefghijklmnopqrstuvwxyz234567";

/** Replaces the record in one step and waits until it is on the disk. */
export async function writeRecord(folder: string, record: MachineRecord): Promise<void> {
  const directory = machineDirectory(folder, record.id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, recordFile);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(record));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** Every record of the cluster. A directory without one is what a crash left of a machine that never was: it goes. */
export async function readRecords(folder: string): Promise<MachineRecord[]> {
  const root = join(folder, "machines");
  await mkdir(root, { recursive: true, mode: 0o700 });
  const names = (await readdir(root)).sort();
  const records = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(root, name, recordFile), "utf8").catch(() => undefined);
      if (text !== undefined) return [JSON.parse(text) as MachineRecord];
      await rm(join(root, name), { recursive: true, force: true });
      return [];
    }),
  );
  return records.flat();
}

/** Removes what a machine used; its record and its console stay for who asks what became of it. */
export async function removeLeftovers(folder: string, id: string, keep: readonly string[]): Promise<void> {
  const directory = machineDirectory(folder, id);
  for (const name of await readdir(directory)) {
    if (name !== recordFile && !keep.includes(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

const states = { wanted: "pending", started: "running", ending: "stopping", gone: "gone" } as const;

export const asMachine = (record: MachineRecord): Machine => ({
  id: record.id,
  launchId: record.launchId,
  slot: record.slot,
  state: states[record.phase],
  type: record.type,
  zone: record.zone,
  address: record.address,
  ...(record.claim && { claim: record.claim }),
  ...(record.cause === undefined ? {} : { cause: record.cause }),
});

/** The first address from 10.90.1.1 on that `taken` lacks; the last block is drover's own. */
export function freeAddress(taken: ReadonlySet<string>): string | undefined {
  for (let high = 1; high < 255; high++) {
    for (let low = 1; low < 255; low++) {
      const address = `10.90.${high}.${low}`;
      if (!taken.has(address)) return address;
    }
  }
  return undefined;
}

/** A locally administered address that no two machines of a network share. */
export const macOf = (address: string): string =>
  ["52", "54", ...address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"))].join(":");
