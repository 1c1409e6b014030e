import { isIP, isIPv4 } from "node:net";

const groupsOf = (text: string): number[] =>
  text.split(":").flatMap((group) => {
    if (group === "") return [];
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });

/** An address of either family, as `isIP` takes it, as a number of 32 or 128 bits. */
function numberOf(address: string): bigint {
  if (isIPv4(address)) return address.split(".").reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const [head = "", tail = ""] = address.split("::");
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const between = Array<number>(8 - before.length - after.length).fill(0);
  return [...before, ...between, ...after].reduce((sum, group) => sum * 65_536n + BigInt(group), 0n);
}

/** IPv4's 10.9.8.7 written as IPv6's ::ffff:10.9.8.7. */
export const isMapped = (address: string): boolean => isIP(address) === 6 && numberOf(address) >> 32n === 0xffffn;

/** `first`: of its addresses. `hasHostBits`: it was written by another one of them. */
export type AddressRange = { family: 4 | 6; bits: number; first: bigint; hasHostBits: boolean };

/** `10.9.8.0/24`, `2001:db8::/64`; undefined: it is none. */
export function rangeOf(source: string): AddressRange | undefined {
  const [address = "", length = "", ...more] = source.split("/");
  const family = isIP(address);
  const size = family === 6 ? 128 : 32;
  const bits = Number(length);
  if ((family !== 4 && family !== 6) || address.includes("%") || more.length > 0) return undefined;
  if (!/^\d+$/.test(length) || bits > size) return undefined;
  const number = numberOf(address);
  const first = (number >> BigInt(size - bits)) << BigInt(size - bits);
  return { family, bits, first, hasHostBits: first !== number };
}

/** A block of IPv4 addresses by its first address, as EC2 writes it: `10.0.0.5/24` is `10.0.0.0/24`. Else unchanged. */
export function networkOf(source: string): string {
  const range = rangeOf(source);
  if (range?.family !== 4) return source;
  return `${[24n, 16n, 8n, 0n].map((shift) => (range.first >> shift) % 256n).join(".")}/${range.bits}`;
}

/** All addresses of `inner` are addresses of `outer`, and it has others. */
export const isPartOf = (inner: AddressRange, outer: AddressRange): boolean => {
  if (inner.family !== outer.family || inner.bits <= outer.bits) return false;
  const rest = BigInt((outer.family === 6 ? 128 : 32) - outer.bits);
  return inner.first >> rest === outer.first >> rest;
};
