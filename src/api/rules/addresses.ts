import { isIP } from "node:net";
import { invalidValue } from "../problems.ts";
import type { FieldProblem } from "../status.ts";

/** An address of either family. */
export const ipProblems = (address: string, at: string): FieldProblem[] =>
  isIP(address) === 0
    ? [invalidValue(at, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    : [];

/** Addresses that no other machine can be reached at. */
const unusable: readonly [RegExp, string][] = [
  [/^0\.0\.0\.0$/, "may not be unspecified (0.0.0.0)"],
  [/^::$/, "may not be unspecified (::)"],
  [/^(127\.|::1$)/, "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
  [/^(169\.254\.|fe80:)/i, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"],
  [/^224\.0\.0\.|^ff02:/i, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"],
];

/** An address that traffic can be sent to. */
export function reachableProblems(address: string, at: string): FieldProblem[] {
  const problems = ipProblems(address, at);
  if (problems.length > 0) return problems;
  return unusable.filter(([form]) => form.test(address)).map(([, why]) => invalidValue(at, address, why));
}

/** A range of addresses, `10.9.8.0/24`. */
export function cidrProblems(cidr: string, at: string): FieldProblem[] {
  const [address = "", bits = "", ...more] = cidr.split("/");
  const bitsMax = isIP(address) === 6 ? 128 : 32;
  if (isIP(address) !== 0 && /^\d+$/.test(bits) && Number(bits) <= bitsMax && more.length === 0) return [];
  return [invalidValue(at, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")];
}
