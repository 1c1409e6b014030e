import { createHash } from "node:crypto";
import type { BalancerSpec, Listener, Target, TargetGroupSpec } from "../balancer.ts";
import { type BalancerSettings, readAnnotations } from "./annotations.ts";
import { applicationListeners } from "./application-listeners.ts";
import { destinationOf, invalid, type Names, type PlannedListener, tlsOf } from "./destinations.ts";
import { type JoinedPorts, joinedPorts } from "./joined-ports.ts";

export type HealthCheckInput = {
  HealthCheckProtocol: "TCP" | "HTTP" | "HTTPS";
  HealthCheckPort: string;
  HealthCheckIntervalSeconds: number;
  HealthCheckTimeoutSeconds: number;
  HealthyThresholdCount: number;
  UnhealthyThresholdCount: number;
  HealthCheckPath?: string;
  Matcher?: { HttpCode?: string; GrpcCode?: string };
};

export type PlannedTargetGroup = {
  name: string;
  groupId: string;
  protocol: "TCP" | "UDP" | "TCP_UDP" | "TLS" | "HTTP" | "HTTPS";
  protocolVersion?: string;
  healthCheck: HealthCheckInput;
  attributes: Readonly<Record<string, string>>;
  /** What it has of these unless `attributes` says otherwise. */
  defaults: Readonly<Record<string, string>>;
  targets: readonly Target[];
};

/** One balancer's share of a load balancer at AWS, worked out from its spec alone. */
export type BalancerPlan = {
  id: string;
  kind: BalancerSpec["kind"];
  cluster: string;
  /** `namespace/name`. */
  people: string;
  group?: string;
  order: number;
  /** Of the load balancer and of its security group; at most 32 characters. */
  name: string;
  scheme: BalancerSpec["scheme"];
  settings: BalancerSettings;
  sourceRanges: readonly string[];
  listeners: readonly PlannedListener[];
  targetGroups: readonly PlannedTargetGroup[];
};

const hash = (value: unknown, length: number): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, length);

/** Load balancers and target groups have names of at most 32 letters, digits and dashes: the real ones are tags. */
const nameOf = (...parts: readonly unknown[]): string => `dr-${hash(parts, 24)}`;

/** What a resource was last made to be, kept as its tag `drover.dev/applied`. */
export const fingerprint = (value: unknown): string => hash(value, 16);

/** @throws CLOUD_INVALID with the annotation */
export function planBalancer(spec: BalancerSpec, settings: BalancerSettings, vpcId: string): BalancerPlan {
  const scheme = schemeOf(spec, settings);
  const group = spec.group ?? settings.group;
  const shared = group === undefined ? ["balancer", spec.id] : ["group", group];
  const name = settings.name ?? nameOf(spec.cluster, vpcId, spec.kind, scheme, ...shared);
  const joined = joinedPorts(spec, (listener) => isTls(listener, settings));
  const around = { spec, settings, scheme, name, joined };
  const targetGroups = spec.groups
    .filter(({ id }) => !joined.halves.has(id))
    .map((each) => planTargetGroup(each, around));
  const names = new Map(targetGroups.map((each) => [each.groupId, each.name]));
  return {
    id: spec.id,
    kind: spec.kind,
    cluster: spec.cluster,
    people: spec.name,
    ...(group === undefined ? {} : { group }),
    order: settings.order ?? 0,
    name,
    scheme,
    settings,
    sourceRanges: settings.sourceRanges ?? (spec.sourceRanges.length > 0 ? spec.sourceRanges : ["0.0.0.0/0"]),
    listeners: spec.kind === "network" ? networkListeners(around, names) : applicationListeners(spec, settings, names),
    targetGroups,
  };
}

/**
 * A Service of type ClusterIP is internal and no annotation may open it to the internet; everybody else may choose.
 */
function schemeOf(spec: BalancerSpec, { scheme }: BalancerSettings): BalancerSpec["scheme"] {
  if (spec.kind === "network" && spec.scheme === "internal") return "internal";
  return scheme ?? spec.scheme;
}

type Around = {
  spec: BalancerSpec;
  settings: BalancerSettings;
  scheme: BalancerSpec["scheme"];
  name: string;
  joined: JoinedPorts;
};

function planTargetGroup(
  group: TargetGroupSpec,
  { spec, scheme, name, joined, ...around }: Around,
): PlannedTargetGroup {
  const settings = { ...around.settings, ...readAnnotations(spec.kind, group.annotations ?? {}).settings };
  const ports = spec.listeners.filter(({ forward }) => forward.some(({ groupId }) => groupId === group.id));
  const protocol = joined.groups.has(group.id) ? "TCP_UDP" : backendProtocol(group, settings);
  const sticks = canStick(protocol, ports, settings);
  const version = protocol === "HTTP" || protocol === "HTTPS" ? settings.backendProtocolVersion : undefined;
  return {
    // What can't be changed later is part of the name: another protocol is another target group.
    name: nameOf(name, spec.id, group.id, protocol, version ?? ""),
    groupId: group.id,
    protocol,
    ...(version === undefined ? {} : { protocolVersion: version }),
    healthCheck: healthCheckOf(spec, group, settings),
    attributes: {
      "deregistration_delay.timeout_seconds": String(Math.min(3_600, Math.max(0, Math.ceil(group.drainSeconds)))),
      // With the client's address kept a machine could not reach itself through its own balancer. UDP always keeps it.
      ...(scheme === "internal" &&
        (protocol === "TCP" || protocol === "TLS") && { "preserve_client_ip.enabled": "false" }),
      ...(group.sticky && sticks && { "stickiness.enabled": "true", "stickiness.type": "source_ip" }),
      ...(settings.proxyProtocol !== undefined && { "proxy_protocol_v2.enabled": "true" }),
      ...attributesFor(
        settings.targetGroupAttributes ?? {},
        ports.map(({ port }) => port),
      ),
    },
    defaults: {
      ...(spec.kind === "network" && { "proxy_protocol_v2.enabled": "false" }),
      ...(spec.kind === "network" && sticks && { "stickiness.enabled": "false" }),
    },
    targets: group.targets,
  };
}

/** AWS keeps no client with a target where it ends TLS itself. */
const canStick = (protocol: string, listeners: readonly Listener[], settings: BalancerSettings): boolean =>
  protocol !== "TLS" && !listeners.some((listener) => isTls(listener, settings));

function backendProtocol(group: TargetGroupSpec, { backendProtocol: wanted }: BalancerSettings) {
  if (group.protocol === "UDP") return "UDP";
  if (group.protocol === "TCP") return wanted === "ssl" ? "TLS" : "TCP";
  return wanted === "HTTP" || wanted === "HTTPS" ? wanted : group.protocol;
}

/** `key.PORT` is meant for one listener's groups, and wins over `key`. */
function attributesFor(given: Readonly<Record<string, string>>, ports: readonly number[]): Record<string, string> {
  const parts = Object.entries(given).map(
    ([key, value]) =>
      ({ value, ...(/^(?<name>.*?)(?:\.(?<port>\d+))?$/.exec(key)?.groups ?? {}) }) as {
        value: string;
        name: string;
        port?: string;
      },
  );
  const meant = parts.filter(({ port }) => port === undefined || ports.includes(Number(port)));
  const inOrder = [...meant].sort((a, b) => Number(a.port !== undefined) - Number(b.port !== undefined));
  return Object.fromEntries(inOrder.map(({ name, value }) => [name, value]));
}

/** Where neither the annotations nor the spec say anything: the AWS Load Balancer Controller's values. */
const healthDefaults = {
  network: { protocol: "TCP", interval: 10, timeout: 10, healthy: 3, unhealthy: 3, codes: "200-399" },
  application: { protocol: "HTTP", interval: 15, timeout: 5, healthy: 2, unhealthy: 2, codes: "200" },
} as const;
const httpOnNetworkTimeoutSeconds = 6;

function healthCheckOf(spec: BalancerSpec, group: TargetGroupSpec, settings: BalancerSettings): HealthCheckInput {
  const usual = healthDefaults[spec.kind];
  const said = group.healthCheck;
  const protocol = settings.healthProtocol ?? said?.protocol ?? usual.protocol;
  const isHttp = protocol !== "TCP";
  const isGrpc = settings.backendProtocolVersion === "GRPC";
  const timeout = spec.kind === "network" && isHttp ? httpOnNetworkTimeoutSeconds : usual.timeout;
  const codes = settings.healthCodes ?? said?.successCodes;
  return {
    HealthCheckProtocol: protocol,
    HealthCheckPort: String(settings.healthPort ?? said?.port ?? "traffic-port"),
    HealthCheckIntervalSeconds:
      settings.healthIntervalSeconds ?? clamp(said?.intervalSeconds, 5, 300) ?? usual.interval,
    HealthCheckTimeoutSeconds: settings.healthTimeoutSeconds ?? clamp(said?.timeoutSeconds, 2, 120) ?? timeout,
    HealthyThresholdCount: settings.healthyThreshold ?? clamp(said?.healthyThreshold, 2, 10) ?? usual.healthy,
    UnhealthyThresholdCount: settings.unhealthyThreshold ?? clamp(said?.unhealthyThreshold, 2, 10) ?? usual.unhealthy,
    ...(isHttp && {
      HealthCheckPath: settings.healthPath ?? said?.path ?? (isGrpc ? "/AWS.ALB/healthcheck" : "/"),
      Matcher: isGrpc ? { GrpcCode: codes ?? "12" } : { HttpCode: codes ?? usual.codes },
    }),
  };
}

/** A probe's figures may lie outside of what AWS takes; the nearest that it takes is meant. */
const clamp = (value: number | undefined, least: number, most: number): number | undefined =>
  value === undefined ? undefined : Math.min(most, Math.max(least, value));

export const isTls = ({ port, protocol }: Listener, { certificates = [], tlsPorts = "*" }: BalancerSettings): boolean =>
  protocol === "TLS" ||
  (protocol === "TCP" && certificates.length > 0 && (tlsPorts === "*" || tlsPorts.includes(port)));

function networkListeners({ spec, settings, joined }: Around, names: Names): PlannedListener[] {
  const { certificates = [], tlsPolicy, alpnPolicy } = settings;
  return (
    spec.listeners
      .map((listener): PlannedListener => {
        const { port, protocol } = listener;
        const isSecure = isTls(listener, settings);
        if (isSecure && certificates.length === 0)
          throw invalid(spec, "certificates", `port ${port} with TLS needs the ARN of a certificate in ACM.`);
        const destination = destinationOf({ forward: listener.forward }, names);
        const carried = joined.ports.has(port) && protocol === "TCP" ? "TCP_UDP" : protocol;
        if (!isSecure) return { port, protocol: carried, certificates: [], destination };
        return { port, protocol: "TLS", certificates, destination, ...tlsOf(tlsPolicy, alpnPolicy) };
      })
      // A network balancer's listener can't exist without a group: nobody listens there, as was asked for.
      .filter(({ destination }) => destination.forward.length > 0)
  );
}
