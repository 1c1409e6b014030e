import type { Ingress, IngressBackend, Pod, Secret, Service, ServicePort } from "../api/types.gen.ts";
import type { BalancerSpec, Forward, Listener, Rule, TargetGroupSpec } from "../clouds/balancer.ts";
import { balancerAnnotations, groupAnnotation, words } from "./balancer-annotations.ts";
import { certificatesOf, type Warn } from "./ingress-tls.ts";
import { backendOfGroup, groupsBehind, type Seen } from "./shares.ts";
import { type Candidate, targetPort } from "./targets.ts";

const prefix = "alb.ingress.kubernetes.io/";

/** What an Ingress refers to, as it is now. */
export type IngressSources = {
  serviceOf: (name: string) => Service | undefined;
  secretOf: (name: string) => Secret | undefined;
  candidatesOf: (service: Service) => readonly Candidate[];
};

export type IngressWarning = { reason: string; message: string };
type Given = Pick<BalancerSpec, "id" | "cluster"> & Seen;

/** What the balancer of an Ingress should be, and what of it can't be had. */
export function ingressBalancer(
  ingress: Ingress,
  sources: IngressSources,
  { id, cluster, ...seen }: Given,
): { wanted: BalancerSpec; warnings: IngressWarning[] } {
  const { namespace, name, annotations = {} } = ingress.metadata;
  const warnings: IngressWarning[] = [];
  const warn: Warn = (reason, message) => warnings.push({ reason, message });
  const behind = new Backends(ingress, sources, seen, warn);
  const rules = rulesOf(ingress, behind);
  const forward = ingress.spec.defaultBackend ? behind.forwardTo(ingress.spec.defaultBackend, "the default") : [];
  const certificates = certificatesOf(ingress, sources.secretOf, warn);
  const listeners = portsOf(ingress, certificates.length > 0, warn).map(
    ({ port, protocol }): Listener => ({
      port,
      protocol,
      ...(protocol === "HTTPS" && { certificates }),
      rules,
      forward,
    }),
  );
  const group = annotations[`${prefix}group.name`] ?? annotations[groupAnnotation];
  const wanted: BalancerSpec = {
    id,
    cluster,
    kind: "application",
    name: `${namespace}/${name}`,
    scheme: annotations[`${prefix}scheme`] === "internal" ? "internal" : "internet-facing",
    ...(group && { group }),
    listeners,
    groups: behind.groups,
    sourceRanges: words(annotations[`${prefix}inbound-cidrs`]),
    annotations: balancerAnnotations(annotations),
  };
  return { wanted, warnings };
}

/** Target groups of the Services that an Ingress names, each made once. */
class Backends {
  readonly groups: TargetGroupSpec[] = [];
  readonly #forwards = new Map<string, Forward>();
  readonly #ingress: Ingress;
  readonly #sources: IngressSources;
  readonly #seen: Seen;
  readonly #warn: Warn;

  constructor(ingress: Ingress, sources: IngressSources, seen: Seen, warn: Warn) {
    this.#ingress = ingress;
    this.#sources = sources;
    this.#seen = seen;
    this.#warn = warn;
  }

  /** Empty where there is nothing to send to. `where`: which backend it is, for people. */
  forwardTo({ service: reference, resource }: IngressBackend, where: string): Forward {
    if (!reference) {
      this.#warn(
        "BackendUnsupported",
        `${where} goes to ${resource?.kind} ${resource?.name}: only Services are served.`,
      );
      return [];
    }
    const service = this.#sources.serviceOf(reference.name);
    if (!service || service.metadata.deletionTimestamp !== undefined) {
      this.#warn("ServiceNotFound", `${where} goes to Service ${reference.name}, which isn't there.`);
      return [];
    }
    const { name, number } = reference.port ?? {};
    const port = (service.spec.ports ?? []).find((each) => (name ? each.name === name : each.port === number));
    if (!port) {
      this.#warn(
        "ServicePortNotFound",
        `${where} goes to port ${name ?? number}, which Service ${reference.name} hasn't.`,
      );
      return [];
    }
    return this.#forward(service, port);
  }

  #forward(service: Service, port: ServicePort): Forward {
    const id = `${service.metadata.name}:${port.port}`;
    const known = this.#forwards.get(id);
    if (known) return known;
    const { groups, forward } = groupsBehind({
      id,
      protocol: this.#protocolOf(service, port),
      candidates: this.#sources.candidatesOf(service),
      portOf: (pod) => targetPort(port, pod),
      takesUnready: service.spec.publishNotReadyAddresses === true,
      seen: this.#seen,
    });
    this.groups.push(...groups);
    this.#forwards.set(id, forward);
    return forward;
  }

  #protocolOf({ metadata }: Service, port: ServicePort): "HTTP" | "HTTPS" {
    const said = [metadata, this.#ingress.metadata].map((each) => each.annotations?.[`${prefix}backend-protocol`]);
    return (said.find((word) => word !== undefined) ?? port.appProtocol)?.toUpperCase() === "HTTPS" ? "HTTPS" : "HTTP";
  }
}

/** The port on a Pod of a group of an Ingress' balancer; 0 where nobody knows. */
export function portOfIngressGroup(serviceOf: IngressSources["serviceOf"], groupId: string, pod: Pod | undefined) {
  const [name = "", number = ""] = backendOfGroup(groupId).split(":");
  const port = serviceOf(name)?.spec.ports?.find((each) => each.port === Number(number));
  return port && pod ? targetPort(port, pod) : 0;
}

/**
 * As the first that matches decides: named hosts before those with a wildcard before every host, longer paths before
 * shorter ones, and of equal ones the exact one first.
 */
function rulesOf({ spec }: Ingress, behind: Backends): Rule[] {
  const rules = (spec.rules ?? []).flatMap(({ host, http }) =>
    (http?.paths ?? []).map(({ path = "", pathType, backend }): Rule => {
      const forward = behind.forwardTo(backend, `${host ?? "*"}${path || "/"}`);
      const isExact = pathType === "Exact";
      // Other controllers read a path of no particular type with an asterisk at its end as what begins like it.
      const plain = pathType === "ImplementationSpecific" ? path.replace(/\*$/, "") : path;
      return {
        ...(host && { host: host.toLowerCase() }),
        ...(plain !== "" && (isExact || plain !== "/") && { path: plain, pathType: isExact ? "Exact" : "Prefix" }),
        forward,
      };
    }),
  );
  const hostRank = ({ host }: Rule) => (host === undefined ? 2 : host.startsWith("*.") ? 1 : 0);
  const pathRank = ({ path, pathType }: Rule) =>
    -(path?.replace(/\/$/, "").length ?? 0) * 2 - (pathType === "Exact" ? 1 : 0);
  return rules
    .map((rule, index) => ({ rule, index }))
    .sort((a, b) => hostRank(a.rule) - hostRank(b.rule) || pathRank(a.rule) - pathRank(b.rule) || a.index - b.index)
    .map(({ rule }) => rule);
}

type Port = { port: number; protocol: "HTTP" | "HTTPS" };

function portsOf({ metadata }: Ingress, hasCertificates: boolean, warn: Warn): Port[] {
  const { [`${prefix}listen-ports`]: listed, [`${prefix}certificate-arn`]: arn } = metadata.annotations ?? {};
  const plain: Port = { port: 80, protocol: "HTTP" };
  const secure: Port = { port: 443, protocol: "HTTPS" };
  const usual = hasCertificates ? [plain, secure] : arn === undefined ? [plain] : [secure];
  if (listed === undefined) return usual;
  const ports = parsePorts(listed);
  if (ports) return ports;
  warn("InvalidAnnotation", `${prefix}listen-ports must be a list as [{"HTTP": 80}, {"HTTPS": 443}], not ${listed}.`);
  return usual;
}

function parsePorts(text: string): Port[] | undefined {
  try {
    const entries = (JSON.parse(text) as object[]).flatMap((each) => Object.entries(each));
    const ports = entries.map(([protocol, port]): Port => ({ port, protocol: protocol as Port["protocol"] })); // Checked below.
    const isGood = ({ port, protocol }: Port) =>
      ["HTTP", "HTTPS"].includes(protocol) && Number.isInteger(port) && port > 0 && port <= 65_535;
    return ports.length > 0 && ports.every(isGood) ? ports : undefined;
  } catch {
    return undefined;
  }
}
