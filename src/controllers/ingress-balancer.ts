import type { Ingress, IngressBackend, Pod, Secret, Service, ServicePort } from "../api/types.gen.ts";
import type { Answer, BalancerSpec, Forward, Listener, Rule, TargetGroupSpec } from "../clouds/balancer.ts";
import { balancerAnnotations, groupAnnotation, words } from "./balancer-annotations.ts";
import { actionNamed, conditionsNamed, isAction, type ParsedConditions } from "./ingress-actions.ts";
import { loginOf } from "./ingress-login.ts";
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
  const { defaultBackend } = ingress.spec;
  const usual: End = defaultBackend ? behind.endOf(defaultBackend, "the default") : { forward: [] };
  const { forward, answer, login } = usual;
  const certificates = certificatesOf(ingress, sources.secretOf, warn);
  const listeners = portsOf(ingress, certificates.length > 0, warn).map(
    ({ port, protocol }): Listener => ({
      port,
      protocol,
      ...(protocol === "HTTPS" && { certificates }),
      rules: rules.filter((rule) => !leadsBack(rule, port, protocol)),
      forward,
      ...(!leadsBack(usual, port, protocol) && { ...(answer && { answer }), ...(login && { login }) }),
    }),
  );
  const hosts = hostsOf(ingress);
  const group = annotations[`${prefix}group.name`] ?? annotations[groupAnnotation];
  const wanted: BalancerSpec = {
    id,
    cluster,
    kind: "application",
    name: `${namespace}/${name}`,
    scheme: annotations[`${prefix}scheme`] === "internal" ? "internal" : "internet-facing",
    ...(group && { group }),
    listeners,
    ...(hosts.length > 0 && { hosts }),
    groups: behind.groups,
    sourceRanges: words(annotations[`${prefix}inbound-cidrs`]),
    annotations: balancerAnnotations(annotations),
  };
  return { wanted, warnings };
}

/** Whom clients ask for: in the rules, and in what is said of TLS. */
function hostsOf({ spec }: Ingress): string[] {
  const inRules = (spec.rules ?? []).flatMap(({ host }) => host ?? []);
  const inTls = (spec.tls ?? []).flatMap(({ hosts = [] }) => hosts);
  return [...new Set([...inRules, ...inTls].map((host) => host.toLowerCase()).filter((host) => host !== ""))].sort();
}

type End = Pick<Rule, "forward" | "answer" | "login" | "stickySeconds">;

/** What nobody may see who has not logged in, and nobody can. */
const unavailable: Answer = { kind: "fixed", statusCode: 503, body: "Nobody can log in here\n" };

const weightMax = 999;

/** Weights of Services, each divided among the groups of its own Deployments as those have weights. */
function shared(parts: readonly { weight: number; forward: Forward }[]): Forward {
  const [only, ...others] = parts;
  if (only && others.length === 0) return only.forward;
  const all = parts.flatMap(({ weight, forward }) => {
    const whole = forward.reduce((sum, each) => sum + each.weight, 0);
    return forward.map((each) => ({ groupId: each.groupId, share: whole === 0 ? 0 : (weight * each.weight) / whole }));
  });
  const least = Math.min(...all.filter(({ share }) => share > 0).map(({ share }) => share));
  const scale = least < 1 ? Math.min(1 / least, weightMax / Math.max(...all.map(({ share }) => share))) : 1;
  return all.map(({ groupId, share }) => ({
    groupId,
    weight: share === 0 ? 0 : Math.max(1, Math.round(share * scale)),
  }));
}

/** A redirect to the very listener that the request came to would go round for ever: there the next rule is meant. */
function leadsBack({ answer }: Pick<Rule, "answer">, port: number, protocol: "HTTP" | "HTTPS"): boolean {
  if (answer?.kind !== "redirect") return false;
  const { host = "#{host}", path = "/#{path}", query = "#{query}" } = answer;
  const isSame = host === "#{host}" && path === "/#{path}" && query === "#{query}";
  return isSame && (answer.port ?? port) === port && (answer.protocol ?? protocol) === protocol;
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

  /** What becomes of a request. `where`: which backend it is, for people. */
  endOf(backend: IngressBackend, where: string): End {
    const { name } = backend.service ?? {};
    if (name === undefined) return { forward: this.#forwardTo(backend, where) };
    if (!isAction(backend)) return this.#guarded({ forward: this.#forwardTo(backend, where) }, [name], where);
    const action = actionNamed(this.#ingress, name);
    if ("problem" in action) {
      this.#warn("InvalidAnnotation", `${action.problem}; ${where} is answered with 404.`);
      return { forward: [] };
    }
    if ("answer" in action) return this.#guarded({ forward: [], answer: action.answer }, [], where);
    const { services, stickySeconds } = action;
    const parts = services.map((service) => {
      const port = /^\d+$/.test(service.port) ? { number: Number(service.port) } : { name: service.port };
      return { weight: service.weight, forward: this.#forwardTo({ service: { name: service.name, port } }, where) };
    });
    const end: End = { forward: shared(parts), ...(stickySeconds !== undefined && { stickySeconds }) };
    return this.#guarded(
      end,
      services.map((service) => service.name),
      where,
    );
  }

  /** With the login that the Ingress or its Services ask for. Where that can't be said nobody is served. */
  #guarded(end: End, services: readonly string[], where: string): End {
    if (end.forward.length === 0 && end.answer === undefined) return end;
    const { serviceOf, secretOf } = this.#sources;
    const login = loginOf(this.#ingress, services.map(serviceOf), secretOf);
    if (login === undefined) return end;
    if (!("problem" in login)) return { ...end, login };
    this.#warn(login.reason, `${login.problem}; ${where} is answered with 503.`);
    return { forward: [], answer: unavailable };
  }

  /** What a request must have beside host and path; undefined where that can't be read, so that nothing is served wrongly. */
  conditionsOf({ service }: IngressBackend, where: string): ParsedConditions | undefined {
    const conditions = conditionsNamed(this.#ingress, service?.name ?? "");
    if (!("problem" in conditions)) return conditions;
    this.#warn("InvalidAnnotation", `${conditions.problem}; the rule of ${where} is left out.`);
    return undefined;
  }

  /** Empty where there is nothing to send to. */
  #forwardTo({ service: reference, resource }: IngressBackend, where: string): Forward {
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
    const annotations = targetAnnotations(service);
    this.groups.push(...groups.map((group) => ({ ...group, ...(annotations && { annotations }) })));
    this.#forwards.set(id, forward);
    return forward;
  }

  #protocolOf({ metadata }: Service, port: ServicePort): "HTTP" | "HTTPS" {
    const said = [metadata, this.#ingress.metadata].map((each) => each.annotations?.[`${prefix}backend-protocol`]);
    return (said.find((word) => word !== undefined) ?? port.appProtocol)?.toUpperCase() === "HTTPS" ? "HTTPS" : "HTTP";
  }
}

/** What a Service says of its own targets to every Ingress that sends to it. */
function targetAnnotations({ metadata }: Service): Record<string, string> | undefined {
  const own = Object.entries(balancerAnnotations(metadata.annotations)).filter(([key]) => key.startsWith(prefix));
  return own.length > 0 ? Object.fromEntries(own) : undefined;
}

/** The port on a Pod of a group of an Ingress' balancer; 0 where nobody knows. */
export function portOfIngressGroup(serviceOf: IngressSources["serviceOf"], groupId: string, pod: Pod | undefined) {
  const [name = "", number = ""] = backendOfGroup(groupId).split(":");
  const port = serviceOf(name)?.spec.ports?.find((each) => each.port === Number(number));
  return port && pod ? targetPort(port, pod) : 0;
}

/**
 * As the first that matches decides: named hosts before those with a wildcard before every host, longer paths before
 * shorter ones, of equal ones the exact one and the one with more conditions first. An action of no particular path
 * type stays where it was written, before everything that follows: so are redirects of everything written.
 */
function rulesOf({ spec }: Ingress, behind: Backends): Rule[] {
  const rules = (spec.rules ?? []).flatMap(({ host, http }) =>
    (http?.paths ?? []).flatMap(({ path = "", pathType, backend }): Written[] => {
      const where = `${host ?? "*"}${path || "/"}`;
      const end = behind.endOf(backend, where);
      const conditions = behind.conditionsOf(backend, where);
      if (!conditions) return [];
      const isExact = pathType === "Exact";
      // Other controllers read a path of no particular type with an asterisk at its end as what begins like it.
      const plain = pathType === "ImplementationSpecific" ? path.replace(/\*$/, "") : path;
      const { patterns = [], ...others } = conditions;
      const isEverything = plain === "/" && !isExact;
      const rule: Rule = {
        ...(host && { host: host.toLowerCase() }),
        ...(plain !== "" && !isEverything && { path: plain, pathType: isExact ? "Exact" : "Prefix" }),
        // Patterns are as good as the path: where that is every path they say nothing.
        ...(patterns.length > 0 && !isEverything && { patterns }),
        ...others,
        ...end,
      };
      return [{ rule, staysInPlace: pathType === "ImplementationSpecific" && isAction(backend) }];
    }),
  );
  const hostRank = ({ host }: Rule) => (host === undefined ? 2 : host.startsWith("*.") ? 1 : 0);
  const pathRank = ({ path, pathType }: Rule) =>
    -(path?.replace(/\/$/, "").length ?? 0) * 2 - (pathType === "Exact" ? 1 : 0);
  const conditionRank = ({ conditions = [] }: Rule) => -conditions.length;
  let section = 0;
  const placed = rules.map(({ rule, staysInPlace }, index) => {
    if (staysInPlace) section++;
    const place = { rule, index, section };
    if (staysInPlace) section++;
    return place;
  });
  return placed
    .sort(
      (a, b) =>
        a.section - b.section ||
        hostRank(a.rule) - hostRank(b.rule) ||
        pathRank(a.rule) - pathRank(b.rule) ||
        conditionRank(a.rule) - conditionRank(b.rule) ||
        a.index - b.index,
    )
    .map(({ rule }) => rule);
}

type Written = { rule: Rule; staysInPlace: boolean };

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
