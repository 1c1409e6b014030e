import { isIP, isIPv4, isIPv6 } from "node:net";
import { dnsLabel, dnsSubdomain, qualifiedName } from "../names.ts";
import { duplicateValue, immutable, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { EndpointSlice, Lease } from "../types.gen.ts";
import { reachableProblems } from "./addresses.ts";
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

function addressProblems(address: string, type: string, at: string): FieldProblem[] {
  if (type === "FQDN") return dnsSubdomain(address).map((why) => invalidValue(at, address, why));
  const problems = reachableProblems(address, at);
  if (!addressTypes.includes(type)) return problems;
  if (isIP(address) === 0 || (type === "IPv4" ? isIPv4(address) : isIPv6(address))) return problems;
  const list = at.replace(/\[\d+\]$/, "");
  return [...problems, invalidValue(list, address, `must be an ${type} address`)];
}

function portsProblems({ ports }: EndpointSlice): FieldProblem[] {
  const names = new Set<string>();
  return (ports ?? []).flatMap(({ name = "", protocol, appProtocol }, index) => {
    const at = `ports[${index}]`;
    const problems = name === "" ? [] : dnsLabel(name).map((why) => invalidValue(`${at}.name`, name, why));
    if (names.has(name)) problems.push(duplicateValue(`${at}.name`, name));
    names.add(name);
    for (const why of appProtocol === undefined ? [] : qualifiedName(appProtocol)) {
      problems.push(invalidValue(`${at}.appProtocol`, appProtocol, why));
    }
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
  for (const [index, { addresses, nodeName }] of given.entries()) {
    const at = `endpoints[${index}].addresses`;
    const list = addresses ?? [];
    if (list.length === 0) problems.push(required(at, "must contain at least 1 address"));
    else if (list.length > addressesMax) problems.push(tooMany(at, list.length, addressesMax));
    for (const [order, address] of list.entries()) {
      problems.push(...addressProblems(address, addressType, `${at}[${order}]`));
    }
    for (const why of nodeName === undefined ? [] : dnsSubdomain(nodeName)) {
      problems.push(invalidValue(`endpoints[${index}].nodeName`, nodeName, why));
    }
  }
  return problems;
}

export const endpointSliceRules = rulesFor<EndpointSlice>({
  create: sliceProblems,
  update: (next, old) =>
    next.addressType === old.addressType
      ? sliceProblems(next)
      : [invalidValue("addressType", next.addressType, immutable)],
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
