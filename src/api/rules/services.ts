import { equal } from "../equal.ts";
import { dnsLabel, dnsSubdomain, port as portNumber, qualifiedName } from "../names.ts";
import { duplicateValue, forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import { sourceRangesAnnotation, sourceRangesOf } from "../source-ranges.ts";
import type { FieldProblem } from "../status.ts";
import type { Service, ServicePort, ServiceSpec } from "../types.gen.ts";
import { cidrProblems, ipProblems, reachableProblems } from "./addresses.ts";
import { rulesFor } from "./kind-rules.ts";
import { labelProblems } from "./metadata.ts";
import { portOrNameProblems } from "./probes.ts";

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const affinities = ["ClientIP", "None"];
const protocols = ["SCTP", "TCP", "UDP"];
const policies = ["Cluster", "Local"];

const isHeadless = ({ clusterIP }: ServiceSpec): boolean => clusterIP === "None";

function typeProblems(spec: ServiceSpec): FieldProblem[] {
  if (spec.type === "ExternalName") {
    const problems: FieldProblem[] = [];
    for (const name of ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] as const) {
      if (spec[name] === undefined) continue;
      problems.push(forbiddenField(`spec.${name}`, "may not be set for ExternalName services"));
    }
    const name = (spec.externalName ?? "").replace(/\.$/, "");
    if (name === "") return [...problems, required("spec.externalName")];
    return [...problems, ...dnsSubdomain(name).map((why) => invalidValue("spec.externalName", name, why))];
  }
  if ((spec.type === "LoadBalancer" || spec.type === "NodePort") && isHeadless(spec)) {
    const why = `may not be set to 'None' for ${spec.type} services`;
    return [invalidValue("spec.clusterIPs[0]", spec.clusterIPs?.[0], why)];
  }
  return [];
}

function portProblems(port: ServicePort, needsName: boolean, names: Set<string>, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { name = "", protocol = "", targetPort } = port;
  if (name === "") {
    if (needsName) problems.push(required(`${at}.name`));
  } else {
    for (const why of dnsLabel(name)) problems.push(invalidValue(`${at}.name`, name, why));
    if (names.has(name)) problems.push(duplicateValue(`${at}.name`, name));
    names.add(name);
  }
  for (const why of portNumber(port.port)) problems.push(invalidValue(`${at}.port`, port.port, why));
  if (protocol === "") problems.push(required(`${at}.protocol`));
  else if (!protocols.includes(protocol)) problems.push(notSupported(`${at}.protocol`, protocol, protocols));
  problems.push(...portOrNameProblems(targetPort ?? 0, `${at}.targetPort`));
  for (const why of port.appProtocol === undefined ? [] : qualifiedName(port.appProtocol)) {
    problems.push(invalidValue(`${at}.appProtocol`, port.appProtocol, why));
  }
  return problems;
}

function affinityProblems({ sessionAffinity = "", sessionAffinityConfig }: ServiceSpec): FieldProblem[] {
  if (sessionAffinity === "") return [required("spec.sessionAffinity")];
  if (!affinities.includes(sessionAffinity)) {
    return [notSupported("spec.sessionAffinity", sessionAffinity, affinities)];
  }
  const at = "spec.sessionAffinityConfig";
  if (sessionAffinity === "None") {
    return sessionAffinityConfig ? [forbiddenField(at, "must not be set when session affinity is None")] : [];
  }
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) return [required(`${at}.clientIP.timeoutSeconds`)];
  return seconds > 0 && seconds <= 86_400
    ? []
    : [invalidValue(`${at}.clientIP.timeoutSeconds`, seconds, "must be greater than 0 and less than 86400")];
}

/** The same port or node port of one protocol may be given once. */
function duplicateProblems(ports: readonly ServicePort[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, { nodePort, protocol = "" }] of ports.entries()) {
    const id = `${protocol}/${nodePort}`;
    if (nodePort && nodePorts.has(id)) problems.push(duplicateValue(`spec.ports[${index}].nodePort`, nodePort));
    nodePorts.add(id);
  }
  for (const [index, { port, protocol = "" }] of ports.entries()) {
    const id = `${protocol}/${port}`;
    if (numbers.has(id)) {
      const shown = { Name: "", Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
      problems.push(duplicateValue(`spec.ports[${index}]`, shown));
    }
    numbers.add(id);
  }
  return problems;
}

const families = ["IPv4", "IPv6"];
const familyPolicies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const isBare = (spec: ServiceSpec): boolean => isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;

/** Addresses and the families that they are of, in a cluster of IPv4 alone. */
function addressProblems(spec: ServiceSpec): FieldProblem[] {
  if (spec.type === "ExternalName") return [];
  const { clusterIP, clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const problems: FieldProblem[] = [];
  for (const [index, family] of ipFamilies.entries()) {
    const at = `spec.ipFamilies[${index}]`;
    if (!families.includes(family)) problems.push(notSupported(at, family, families));
    else if (ipFamilies.indexOf(family) < index) problems.push(duplicateValue(at, family));
    else if (family === "IPv6" && !isBare(spec))
      problems.push(invalidValue(at, family, "not configured on this cluster"));
  }
  if (ipFamilyPolicy !== undefined && !familyPolicies.includes(ipFamilyPolicy)) {
    problems.push(notSupported("spec.ipFamilyPolicy", ipFamilyPolicy, familyPolicies));
  } else if (ipFamilyPolicy === "RequireDualStack" && !isBare(spec)) {
    const why = "this cluster is not configured for dual-stack services";
    problems.push(invalidValue("spec.ipFamilyPolicy", ipFamilyPolicy, why));
  }
  if (clusterIP === undefined && clusterIPs.length > 0) {
    problems.push(invalidValue("spec.clusterIPs", clusterIPs, "must be empty when `clusterIP` is not specified"));
  } else if (clusterIPs.length > 0 && clusterIP !== clusterIPs[0]) {
    problems.push(invalidValue("spec.clusterIPs", clusterIPs, "first value must match `clusterIP`"));
  }
  for (const [index, address] of clusterIPs.entries()) {
    if (address !== "None") problems.push(...ipProblems(address, `spec.clusterIPs[${index}]`));
  }
  return problems;
}

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'";
const distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];

function sourceRangeProblems(service: Service): FieldProblem[] {
  const { ranges, isAnnotation } = sourceRangesOf(service);
  // Kubernetes spells the field's path as its own field is called.
  const at = isAnnotation ? `metadata.annotations[${sourceRangesAnnotation}]` : "spec.LoadBalancerSourceRanges";
  const isMisplaced = (ranges.length > 0 || isAnnotation) && service.spec.type !== "LoadBalancer";
  return [
    ...(isMisplaced ? [forbiddenField(at, onlyBalanced)] : []),
    ...ranges.flatMap((range, index) => cidrProblems(range, isAnnotation ? at : `${at}[${index}]`)),
  ];
}

/** What only a load balancer has. */
function balancerProblems(service: Service): FieldProblem[] {
  const { spec } = service;
  const { type, loadBalancerClass, healthCheckNodePort } = spec;
  const problems = sourceRangeProblems(service);
  if (spec.allocateLoadBalancerNodePorts !== undefined && type !== "LoadBalancer") {
    problems.push(forbiddenField("spec.allocateLoadBalancerNodePorts", onlyBalanced));
  }
  if (loadBalancerClass !== undefined) {
    if (type !== "LoadBalancer") problems.push(forbiddenField("spec.loadBalancerClass", onlyBalanced));
    for (const why of qualifiedName(loadBalancerClass)) {
      problems.push(invalidValue("spec.loadBalancerClass", loadBalancerClass, why));
    }
  }
  if (healthCheckNodePort && !(type === "LoadBalancer" && spec.externalTrafficPolicy === "Local")) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    problems.push(invalidValue("spec.healthCheckNodePort", healthCheckNodePort, why));
  }
  const { trafficDistribution } = spec;
  if (trafficDistribution !== undefined && !distributions.includes(trafficDistribution)) {
    problems.push(notSupported("spec.trafficDistribution", trafficDistribution, distributions));
  }
  return problems;
}

function trafficProblems(spec: ServiceSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { type, externalTrafficPolicy: external, internalTrafficPolicy: internal } = spec;
  const isReachable =
    type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);
  if (external !== undefined) {
    const at = "spec.externalTrafficPolicy";
    if (!isReachable) problems.push(invalidValue(at, external, "may only be set for externally-accessible services"));
    else if (!policies.includes(external)) problems.push(notSupported(at, external, policies));
  }
  if (internal !== undefined && !policies.includes(internal)) {
    problems.push(notSupported("spec.internalTrafficPolicy", internal, policies));
  }
  return problems;
}

function serviceProblems(service: Service): FieldProblem[] {
  const { spec } = service;
  const ports = spec.ports ?? [];
  const { type = "" } = spec;
  const problems = ports.length === 0 && !isHeadless(spec) && type !== "ExternalName" ? [required("spec.ports")] : [];
  problems.push(...typeProblems(spec));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    problems.push(...portProblems(port, ports.length > 1, names, `spec.ports[${index}]`));
  }
  problems.push(...labelProblems(spec.selector, "spec.selector"), ...affinityProblems(spec));
  problems.push(...addressProblems(spec));
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    problems.push(...reachableProblems(address, `spec.externalIPs[${index}]`));
  }
  if (type === "") problems.push(required("spec.type"));
  else if (!types.includes(type)) problems.push(notSupported("spec.type", type, types));
  if (type === "ClusterIP") {
    for (const [index, { nodePort }] of ports.entries()) {
      if (!nodePort) continue;
      problems.push(forbiddenField(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
  }
  return [...problems, ...duplicateProblems(ports), ...balancerProblems(service), ...trafficProblems(spec)];
}

/** An address once given stays, unless the Service becomes or was a mere name. */
function addressChangeProblems({ spec: next }: Service, { spec: old }: Service): FieldProblem[] {
  if (next.type === "ExternalName" || old.type === "ExternalName") return [];
  const problems: FieldProblem[] = [];
  if (old.clusterIPs?.[0] !== undefined && next.clusterIPs?.[0] !== old.clusterIPs[0]) {
    problems.push(invalidValue("spec.clusterIPs[0]", next.clusterIPs ?? null, "may not change once set"));
  }
  if (old.ipFamilies?.[0] !== undefined && !equal(next.ipFamilies?.[0], old.ipFamilies[0])) {
    problems.push(invalidValue("spec.ipFamilies[0]", next.ipFamilies ?? null, "may not change once set"));
  }
  return problems;
}

export const serviceRules = rulesFor<Service>({
  create: serviceProblems,
  update: (next, old) => [...addressChangeProblems(next, old), ...serviceProblems(next)],
});
