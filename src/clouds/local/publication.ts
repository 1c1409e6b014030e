import { createHash } from "node:crypto";
import { BlockList, isIPv6 } from "node:net";

/** A Service that is to be reached from the computer itself. */
export type Publication = {
  id: string;
  listeners: readonly { port: number; socketPath: string }[];
  /** Only clients from these networks, in CIDR form; absent or empty: everybody. */
  sourceRanges?: readonly string[];
  /** The address it had before, if any. */
  preferred?: string;
};

/** A Service that is reached there. */
export type Published = Omit<Publication, "preferred"> & { address: string };

const candidatesMax = 32;

/**
 * Loopback addresses for a Service, best first: the one it had, then those that follow from its id, so that it keeps
 * its address over restarts. All in 127.64.0.0/10, away from what other programs use.
 */
export function publicationAddresses(id: string, preferred: string | undefined): string[] {
  const drawn = Array.from({ length: candidatesMax }, (_, attempt) => {
    const [first = 0, second = 0, third = 0] = createHash("sha256").update(`${id} ${attempt}`).digest();
    return `127.${64 + (first % 64)}.${second}.${1 + (third % 254)}`;
  });
  return [...new Set([...(preferred === undefined ? [] : [preferred]), ...drawn])];
}

/** Whether a client at this address may connect; an IPv4 address may come in its IPv6 form. */
export function admits(sourceRanges: readonly string[], address: string): boolean {
  if (sourceRanges.length === 0) return true;
  const list = new BlockList();
  for (const range of sourceRanges) {
    const [network = "", bits = ""] = range.split("/");
    list.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
  }
  const plain = address.replace(/^::ffff:(?=\d+\.)/, "");
  return list.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}
