import { isIP } from "node:net";
import { isMapped, isPartOf, rangeOf } from "../../base/cidr.ts";
import { invalidValue } from "../problems.ts";
import type { FieldProblem } from "../status.ts";

/** Go once read `010.1.2.3` as 10.1.2.3 and others read it as 8.1.2.3: Kubernetes refuses it by that reason. */
const withoutZeros = (text: string): string => text.replaceAll(/(^|[./])0+(?=\d+(?:[./]|$))/g, "$1");

/** An address of either family. */
export function ipProblems(address: string, at: string): FieldProblem[] {
  const problem = (why: string) => [invalidValue(at, address, why)];
  if (isMapped(address)) return problem("must not be an IPv4-mapped IPv6 address");
  if (isIP(address) !== 0 && !address.includes("%")) return [];
  if (isIP(withoutZeros(address)) === 4) return problem("must not have leading 0s");
  return problem("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

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
  const problem = (why: string) => [invalidValue(at, cidr, why)];
  const range = rangeOf(withoutZeros(cidr));
  if (!range) return problem("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  if (withoutZeros(cidr) !== cidr) return problem("must not have leading 0s in IP or prefix length");
  if (isMapped(cidr.replace(/\/.*/, ""))) return problem("must not have an IPv4-mapped IPv6 address");
  return range.hasHostBits ? problem("must not have bits set beyond the prefix length") : [];
}

/** A range that is taken out of another one, `cidr`. */
export function exceptionProblems(except: string, cidr: string, at: string): FieldProblem[] {
  const [inner, outer] = [rangeOf(withoutZeros(except)), rangeOf(withoutZeros(cidr))];
  const isPart = !inner || !outer || isPartOf(inner, outer);
  const notPart = isPart ? [] : [invalidValue(at, except, "must be a strict subset of `cidr`")];
  return [...cidrProblems(except, at), ...notPart];
}
