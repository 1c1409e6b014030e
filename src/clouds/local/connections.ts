import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The state of a connection that has ended on both sides, as `/proc/net/tcp` writes it. */
const timeWait = "06";
const listening = "0A";

/**
 * The far ends (`IP:PORT`) of every TCP connection that the given processes hold in this network namespace, from the
 * kernel's own table: it also knows those of a balancer process that answers no questions any more.
 */
export function connections(pids: readonly number[]): string[] {
  const owned = new Set(pids.flatMap(socketInodes));
  return readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state !== timeWait && state !== listening && owned.has(inode ?? ""))
    .map(([, , far = ""]) => address(far));
}

function socketInodes(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // Closed since it was listed.
      }
    });
  } catch {
    return []; // The process has ended, and its connections with it.
  }
}

/** `0100007F:0050` is 127.0.0.1:80: the address in the byte order of the computer, little-endian on amd64 and arm64. */
function address(hex: string): string {
  const [host = "", port = ""] = hex.split(":");
  const bytes = host.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? [];
  return `${bytes.reverse().join(".")}:${Number.parseInt(port, 16)}`;
}
