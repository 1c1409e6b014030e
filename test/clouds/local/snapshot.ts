import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { run } from "../../../src/clouds/local/command.ts";
import { commandLine, networkNamespace, processIds } from "../../../src/clouds/local/identity.ts";
import type { Tools } from "../../../src/clouds/local/tools.ts";

/** What there is on the computer, in words that can be compared; each list is sorted. */
export type Snapshot = {
  /** `PID command line` of processes that work for the home: they name it, work in it, or hold files of it. */
  processes: string[];
  /** Network namespaces in which such a process lives, other than the computer's own. */
  namespaces: string[];
  /** Interfaces of the computer's own namespace. */
  interfaces: string[];
  /** Mount points of the computer. */
  mounts: string[];
  /** `address:port` of every TCP listener and UDP socket of the computer's own namespace. */
  listeners: string[];
  /** nftables tables, where `tools` can read them. */
  tables: string[];
  forwarding: string;
};

/**
 * All that the local cloud could leave behind, so that a test can compare before and after. `exceptPid`: a process that
 * names the home without belonging to it, such as the one that asks.
 */
export async function takeSnapshot(home: string, tools?: Tools, exceptPid = process.pid): Promise<Snapshot> {
  const own = networkNamespace("self");
  const pids = processIds().filter((pid) => pid !== exceptPid && concerns(pid, home));
  const tables = tools === undefined ? "" : (await run(tools.command("nft", "list", "tables"))).stdout;
  const namespaces = pids.flatMap((pid) => networkNamespace(pid) ?? []).filter((name) => name !== own);
  return {
    processes: pids.map((pid) => `${pid} ${commandLine(pid)}`).sort(),
    namespaces: [...new Set(namespaces)].sort(),
    interfaces: readdirSync("/sys/class/net").sort(),
    mounts: readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .flatMap((line) => line.split(" ")[1] ?? [])
      .sort(),
    listeners: ["tcp", "tcp6", "udp", "udp6"].flatMap(listening).sort(),
    tables: tables
      .split("\n")
      .filter((line) => line !== "")
      .sort(),
    forwarding: readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim(),
  };
}

function concerns(pid: number, home: string): boolean {
  if (commandLine(pid).includes(home)) return true;
  return links(pid).some((target) => target === home || target.startsWith(`${home}/`));
}

/** Where a process works and what it has open. */
function links(pid: number): string[] {
  const read = (path: string): string[] => {
    try {
      return [readlinkSync(path)];
    } catch {
      return [];
    }
  };
  try {
    const open = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => read(`/proc/${pid}/fd/${fd}`));
    return [...read(`/proc/${pid}/cwd`), ...open];
  } catch {
    return [];
  }
}

/** A bound UDP socket counts as a listener: it has no other state. */
function listening(protocol: string): string[] {
  const open = protocol.startsWith("tcp") ? "0A" : "07";
  return readFileSync(`/proc/self/net/${protocol}`, "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === open)
    .map(([, local = ""]) => `${protocol} ${local}`);
}
