import { isIPv4 } from "node:net";

/** A block of IPv4 addresses by its first address, as EC2 writes it: `10.0.0.5/24` is `10.0.0.0/24`. Else unchanged. */
export function networkOf(source: string): string {
  const [address = "", bits] = source.split("/");
  if (!isIPv4(address) || bits === undefined || !/^\d{1,2}$/.test(bits)) return source;
  const hosts = 2 ** (32 - Number(bits));
  const number = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const first = number - (number % hosts);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".")}/${Number(bits)}`;
}
