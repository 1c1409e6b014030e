import { isIPv4, isIPv6 } from "node:net";
import { dnsLabel, dnsSubdomain } from "../names.ts";
import { immutable, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { EndpointSlice, Lease } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";

const addressTypes = ["FQDN", "IPv4", "IPv6"];
const protocols = ["SCTP", "TCP", "UDP"];
const endpointsMax = 1000;
const addressesMax = 100;

const tooMany = (field: string, count: number, max: number): FieldProblem => ({
  reason: "FieldValueTooMany",
  message: `Too many: ${count}: must have at most ${max} items`,
  field,
});

/** Addresses that cannot be an endpoint of another machine. */
const unusable: readonly [RegExp, string][] = [
  [/^(0\.0\.0\.0|::)$/, "may not be unspecified (0.0.0.0, ::)"],
  [/^(127\.|::1$)/, "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
  [/^(169\.254\.|fe80:)/i, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"],
  [/^224\.0\.0\.|^ff02:/i, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"],
];

function addressProblems(address: string, type: string, at: string): FieldProblem[] {
  if (type === "FQDN") return dnsSubdomain(address).map((why) => invalidValue(at, address, why));
  if (type === "IPv4" && !isIPv4(address)) return [invalidValue(at, address, "must be a valid IPv4 address")];
  if (type === "IPv6" && !isIPv6(address)) return [invalidValue(at, address, "must be a valid IPv6 address")];
  return unusable.filter(([form]) => form.test(address)).map(([, why]) => invalidValue(at, address, why));
}

function portsProblems({ ports }: EndpointSlice): FieldProblem[] {
  return (ports ?? []).flatMap(({ name = "", protocol }, index) => {
    const at = `ports[${index}]`;
    const problems = name === "" ? [] : dnsLabel(name).map((why) => invalidValue(`${at}.name`, name, why));
    if (protocol !== undefined && !protocols.includes(protocol)) {
      problems.push(notSupported(`${at}.protocol`, protocol, protocols));
    }
    return problems;
  });
}

function sliceProblems(slice: EndpointSlice): FieldProblem[] {
  const { addressType, endpoints } = slice;
  const problems: FieldProblem[] = [];
  if (addressType === "") problems.push(required("addressType"));
  else if (!addressTypes.includes(addressType)) problems.push(notSupported("addressType", addressType, addressTypes));
  problems.push(...portsProblems(slice));
  const given = endpoints ?? [];
  if (given.length > endpointsMax) return [...problems, tooMany("endpoints", given.length, endpointsMax)];
  for (const [index, { addresses }] of given.entries()) {
    const at = `endpoints[${index}].addresses`;
    const list = addresses ?? [];
    if (list.length === 0) problems.push(required(at, "must contain at least 1 address"));
    else if (list.length > addressesMax) problems.push(tooMany(at, list.length, addressesMax));
    for (const [order, address] of list.entries()) {
      problems.push(...addressProblems(address, addressType, `${at}[${order}]`));
    }
  }
  return problems;
}

export const endpointSliceRules = rulesFor<EndpointSlice>({
  create: sliceProblems,
  update: (next, old) => [
    ...sliceProblems(next),
    ...(next.addressType === old.addressType ? [] : [invalidValue("addressType", next.addressType, immutable)]),
  ],
});

export const leaseRules = rulesFor<Lease>({
  create: ({ spec = {} }) => {
    const problems: FieldProblem[] = [];
    const { leaseDurationSeconds: duration, leaseTransitions: transitions } = spec;
    if (duration !== undefined && duration <= 0) {
      problems.push(invalidValue("spec.leaseDurationSeconds", duration, "must be greater than 0"));
    }
    if (transitions !== undefined && transitions < 0) {
      problems.push(invalidValue("spec.leaseTransitions", transitions, "must be greater than or equal to 0"));
    }
    return problems;
  },
});
