import { equal } from "../equal.ts";
import { dnsLabel, dnsSubdomain, port as portNumber } from "../names.ts";
import { duplicateValue, forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Service, ServicePort, ServiceSpec } from "../types.gen.ts";
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
    return [invalidValue("spec.clusterIPs[0]", spec.clusterIPs, why)];
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
  return [...problems, ...portOrNameProblems(targetPort ?? 0, `${at}.targetPort`)];
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

function serviceProblems({ spec }: Service): FieldProblem[] {
  const ports = spec.ports ?? [];
  const { type = "" } = spec;
  const problems = ports.length === 0 && !isHeadless(spec) && type !== "ExternalName" ? [required("spec.ports")] : [];
  problems.push(...typeProblems(spec));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    problems.push(...portProblems(port, ports.length > 1, names, `spec.ports[${index}]`));
  }
  problems.push(...labelProblems(spec.selector, "spec.selector"), ...affinityProblems(spec));
  if (spec.clusterIP !== undefined && spec.clusterIPs?.[0] !== undefined && spec.clusterIP !== spec.clusterIPs[0]) {
    problems.push(invalidValue("spec.clusterIPs", spec.clusterIPs, "first value must match `clusterIP`"));
  }
  if (type === "") problems.push(required("spec.type"));
  else if (!types.includes(type)) problems.push(notSupported("spec.type", type, types));
  if (type === "ClusterIP") {
    for (const [index, { nodePort }] of ports.entries()) {
      if (!nodePort) continue;
      problems.push(forbiddenField(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
  }
  return [...problems, ...duplicateProblems(ports), ...trafficProblems(spec)];
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
