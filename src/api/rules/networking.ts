import { dnsLabel, dnsSubdomain, portName, wildcardSubdomain } from "../names.ts";
import { forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "../types.gen.ts";
import { cidrProblems, exceptionProblems } from "./addresses.ts";
import { rulesFor } from "./kind-rules.ts";
import { portOrNameProblems } from "./probes.ts";
import { selectorProblems } from "./selectors.ts";

const ipForm = /^\d+\.\d+\.\d+\.\d+$|:/;
const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];
const pathTraps = ["//", "/./", "/../", "%2f", "%2F"];

function backendProblems({ service, resource }: IngressBackend, at: string): FieldProblem[] {
  if (resource) {
    if (service) return [invalidValue(at, "", "cannot set both resource and service backends")];
    return (["kind", "name"] as const).flatMap((name) =>
      resource[name] === "" ? [required(`${at}.resource.${name}`)] : [],
    );
  }
  if (!service) return [invalidValue(at, "", "resource or service backend is required")];
  const problems = service.name === "" ? [required(`${at}.service.name`)] : [];
  for (const why of service.name === "" ? [] : dnsLabel(service.name)) {
    problems.push(invalidValue(`${at}.service.name`, service.name, why));
  }
  const { name, number } = service.port ?? {};
  if (name !== undefined && number) problems.push(invalidValue(at, "", "cannot set both port name & port number"));
  else if (name !== undefined) {
    for (const why of portName(name)) problems.push(invalidValue(`${at}.service.port.name`, name, why));
  } else if (number) problems.push(...portOrNameProblems(number, `${at}.service.port.number`));
  else problems.push(required(at, "port name or number is required"));
  return problems;
}

function pathProblems({ path = "", pathType, backend }: HTTPIngressPath, at: string): FieldProblem[] {
  if ((pathType ?? "") === "") return [required(`${at}.pathType`, "pathType must be specified")];
  const problems: FieldProblem[] = [];
  if (!pathTypes.includes(pathType)) problems.push(notSupported(`${at}.pathType`, pathType, pathTypes));
  else if (pathType !== "ImplementationSpecific" || path !== "") {
    if (!path.startsWith("/")) problems.push(invalidValue(`${at}.path`, path, "must be an absolute path"));
    else if (pathType !== "ImplementationSpecific") {
      for (const trap of pathTraps) {
        if (path.includes(trap)) problems.push(invalidValue(`${at}.path`, path, `must not contain '${trap}'`));
      }
    }
  }
  return [...problems, ...backendProblems(backend, `${at}.backend`)];
}

function hostProblems(host: string, at: string): FieldProblem[] {
  if (ipForm.test(host)) return [invalidValue(at, host, "must be a DNS name, not an IP address")];
  const complaints = host.includes("*") ? wildcardSubdomain(host) : dnsSubdomain(host);
  return complaints.map((why) => invalidValue(at, host, why));
}

function ingressProblems({ spec = {} }: Ingress): FieldProblem[] {
  const { defaultBackend, rules, ingressClassName } = spec;
  const problems: FieldProblem[] = [];
  if (!rules && !defaultBackend) {
    problems.push(invalidValue("spec", null, "either `defaultBackend` or `rules` must be specified"));
  }
  if (defaultBackend) problems.push(...backendProblems(defaultBackend, "spec.defaultBackend"));
  for (const [index, { hosts = [], secretName }] of (spec.tls ?? []).entries()) {
    const at = `spec.tls[${index}]`;
    for (const [order, host] of hosts.entries()) {
      const complaints = host.includes("*") ? wildcardSubdomain(host) : dnsSubdomain(host);
      problems.push(...complaints.map((why) => invalidValue(`${at}.hosts[${order}]`, host, why)));
    }
    for (const why of secretName ? dnsSubdomain(secretName) : []) {
      problems.push(invalidValue(`${at}.secretName`, secretName, why));
    }
  }
  for (const [index, { host, http }] of (rules ?? []).entries()) {
    const at = `spec.rules[${index}]`;
    if (host) problems.push(...hostProblems(host, `${at}.host`));
    if (http && !http.paths) problems.push(required(`${at}.http.paths`));
    for (const [order, path] of (http?.paths ?? []).entries()) {
      problems.push(...pathProblems(path, `${at}.http.paths[${order}]`));
    }
  }
  for (const why of ingressClassName ? dnsSubdomain(ingressClassName) : []) {
    problems.push(invalidValue("spec.ingressClassName", ingressClassName, why));
  }
  return problems;
}

const oldClass = "kubernetes.io/ingress.class";

export const ingressRules = rulesFor<Ingress>({
  create: ingressProblems,
  warnings: ({ metadata }, old) =>
    !old && metadata.annotations?.[oldClass] !== undefined
      ? [`annotation "${oldClass}" is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
});

export const ingressClassRules = rulesFor<IngressClass>({
  create: ({ spec }) => {
    const { controller = "", parameters } = spec ?? {};
    const problems = controller === "" ? [required("spec.controller")] : [];
    if (controller !== "" && !/^[^/]+\/.+$/.test(controller)) {
      const why = 'must be a domain-prefixed path (such as "acme.io/foo")';
      problems.push(invalidValue("spec.controller", controller, why));
    }
    for (const name of ["kind", "name"] as const) {
      if (parameters?.[name] === "") problems.push(required(`spec.parameters.${name}`));
    }
    return problems;
  },
  update: (next, old) =>
    next.spec?.controller === old.spec?.controller
      ? []
      : [invalidValue("spec.controller", next.spec?.controller, "field is immutable")],
});

function peerProblems(peer: NetworkPolicyPeer, at: string): FieldProblem[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (!podSelector && !namespaceSelector && !ipBlock) return [required(at, "must specify a peer")];
  const problems = [
    ...selectorProblems(podSelector, `${at}.podSelector`),
    ...selectorProblems(namespaceSelector, `${at}.namespaceSelector`),
  ];
  if (ipBlock) problems.push(...cidrProblems(ipBlock.cidr, `${at}.ipBlock.cidr`));
  for (const [index, except] of (ipBlock?.except ?? []).entries()) {
    problems.push(...exceptionProblems(except, ipBlock?.cidr ?? "", `${at}.ipBlock.except[${index}]`));
  }
  if (ipBlock && (podSelector || namespaceSelector)) {
    problems.push(forbiddenField(at, "may not specify both ipBlock and another peer"));
  }
  return problems;
}

const policyProtocols = ["TCP", "UDP", "SCTP"];

function policyPortProblems({ protocol, port, endPort }: NetworkPolicyPort, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (protocol !== undefined && !policyProtocols.includes(protocol)) {
    problems.push(notSupported(`${at}.protocol`, protocol, policyProtocols));
  }
  if (port !== undefined) problems.push(...portOrNameProblems(port, `${at}.port`));
  if (endPort !== undefined && port === undefined) {
    const why = "may not be specified when `port` is not specified";
    problems.push(invalidValue(`${at}.endPort`, endPort, why));
  }
  if (endPort !== undefined && typeof port === "number" && endPort < port) {
    problems.push(invalidValue(`${at}.endPort`, port, "must be greater than or equal to `port`"));
  }
  return problems;
}

type Direction = { ports?: NetworkPolicyPort[] | undefined; peers: NetworkPolicyPeer[]; side: string };

const directionProblems = ({ ports = [], peers, side }: Direction, at: string): FieldProblem[] => [
  ...ports.flatMap((port, index) => policyPortProblems(port, `${at}.ports[${index}]`)),
  ...peers.flatMap((peer, index) => peerProblems(peer, `${at}.${side}[${index}]`)),
];

const policyTypes = ["Ingress", "Egress"];

function policyProblems({ spec }: NetworkPolicy): FieldProblem[] {
  const { ingress = [], egress = [], policyTypes: types = [] } = spec ?? {};
  const problems = selectorProblems(spec?.podSelector, "spec.podSelector");
  for (const [index, { ports, from = [] }] of ingress.entries()) {
    problems.push(...directionProblems({ ports, peers: from, side: "from" }, `spec.ingress[${index}]`));
  }
  for (const [index, { ports, to = [] }] of egress.entries()) {
    problems.push(...directionProblems({ ports, peers: to, side: "to" }, `spec.egress[${index}]`));
  }
  if (types.length > 2) {
    return [...problems, invalidValue("spec.policyTypes", types, "may not specify more than two policyTypes")];
  }
  for (const [index, type] of types.entries()) {
    if (!policyTypes.includes(type)) problems.push(notSupported(`spec.policyTypes[${index}]`, type, policyTypes));
  }
  return problems;
}

export const networkPolicyRules = rulesFor<NetworkPolicy>({ create: policyProblems });
