import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Offer } from "../cloud.ts";
import { memoryInfo } from "./qemu.ts";

/** What a machine was promised, and the process that has touched a part of it already. */
export type Promised = { cpuMillis: number; memoryBytes: number; pid?: number };

const MiB = 2 ** 20;
/** What QEMU itself takes beside the guest's memory, code translated by emulation included. */
export const qemuBytes = 128 * MiB;
/** The least that a machine can have; bounds how many fit. */
const smallestBytes = 256 * MiB;
/** Machines of a person's computer idle most of the time: each processor is promised this often. */
const cpuShares = 4;

/**
 * The one offer of this computer. Of its memory: what is available now, less a twentieth (512 MiB to 2 GiB) that stays
 * the user's, less what its machines were promised and have not touched yet.
 */
export async function localOffer(machines: readonly Promised[]): Promise<Offer> {
  const { totalBytes, availableBytes } = await memoryInfo();
  const reserveBytes = Math.min(2048 * MiB, Math.max(512 * MiB, totalBytes / 20));
  const untouched = await Promise.all(
    machines.map(async ({ memoryBytes, pid }) =>
      Math.max(0, memoryBytes + qemuBytes - (pid === undefined ? 0 : await touchedBytes(pid))),
    ),
  );
  const promisedBytes = untouched.reduce((sum, bytes) => sum + bytes, 0);
  const memoryBytes = Math.max(0, Math.floor((availableBytes - reserveBytes - promisedBytes) / MiB) * MiB);
  const processors = availableParallelism();
  const promisedMillis = machines.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0);
  return {
    ...{ type: "local", zone: "local", capacityType: "on-demand", architecture: "amd64", elastic: true },
    ...{ cpuMillis: processors * 1000, memoryBytes, priceUsdPerHour: 0 },
    left: {
      machines: Math.floor(memoryBytes / (smallestBytes + qemuBytes)),
      cpuMillis: Math.max(0, processors * 1000 * cpuShares - promisedMillis),
      memoryBytes,
    },
  };
}

/** The memory that a process has for itself; what it shares with others counts as available or is theirs. */
async function touchedBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
