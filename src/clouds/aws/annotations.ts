import { isIPv4 } from "node:net";
import { DroverError } from "../../base/errors.ts";
import type { BalancerSpec } from "../balancer.ts";

/** What annotations of the AWS Load Balancer Controller say of one balancer; absent fields were not given. */
export type BalancerSettings = {
  scheme?: "internal" | "internet-facing";
  name?: string;
  ipAddressType?: "ipv4" | "dualstack";
  /** Ids (`subnet-…`) or values of the tag Name. */
  subnets?: readonly string[];
  elasticIps?: readonly string[];
  privateAddresses?: readonly string[];
  /** Security groups of the user's own, ids (`sg-…`) or values of the tag Name: drover then makes none. */
  securityGroups?: readonly string[];
  sourceRanges?: readonly string[];
  tags?: Readonly<Record<string, string>>;
  loadBalancerAttributes?: Readonly<Record<string, string>>;
  /** Keys may end with `.PORT`, the listener's port that alone is meant. */
  targetGroupAttributes?: Readonly<Record<string, string>>;
  proxyProtocol?: "*";
  /** ARNs; the first is the listener's default, the others are chosen by name (SNI). */
  certificates?: readonly string[];
  tlsPorts?: readonly number[] | "*";
  tlsPolicy?: string;
  alpnPolicy?: string;
  backendProtocol?: string;
  backendProtocolVersion?: "HTTP1" | "HTTP2" | "GRPC";
  healthProtocol?: "TCP" | "HTTP" | "HTTPS";
  healthPort?: number | "traffic-port";
  healthPath?: string;
  healthIntervalSeconds?: number;
  healthTimeoutSeconds?: number;
  healthyThreshold?: number;
  unhealthyThreshold?: number;
  healthCodes?: string;
  listenPorts?: readonly { protocol: "HTTP" | "HTTPS"; port: number }[];
  /** Plain HTTP is sent on to this port. */
  tlsRedirectPort?: number;
  group?: string;
  /** Where this one's rules stand among those of its group: -1000 to 1000, small first. */
  order?: number;
  /** The ARN of the firewall's rules, or `none`. */
  webAcl?: string;
  /** With security groups of the user's own: whether machines let the load balancer in without any rule of theirs. */
  managesMachineRules?: boolean;
  /** Accepted without effect: every Pod is an instance with an address of its own. */
  targetType?: string;
  type?: string;
  /** Accepted without effect: the rules of the spec say who has to log in. */
  login?: string;
  /** Accepted where it asks for nothing. */
  ignored?: string;
};

type Kind = BalancerSpec["kind"];
/** Gives the value or undefined where the text is none; `expected` completes the sentence "… is not …". */
type Reader<Value> = { expected: string; read: (text: string) => Value | undefined };
type Row = { field: keyof BalancerSettings; reader: Reader<unknown> } & Partial<Record<Kind, string>>;

const prefixes: Readonly<Record<Kind, string>> = {
  network: "service.beta.kubernetes.io/",
  application: "alb.ingress.kubernetes.io/",
};
/** Other annotations of the Service's prefix belong to other clouds and are none of this one's business. */
const ownPrefixes: Readonly<Record<Kind, string>> = {
  network: "service.beta.kubernetes.io/aws-load-balancer-",
  application: "alb.ingress.kubernetes.io/",
};

const oneOf = <Value extends string>(...values: readonly Value[]): Reader<Value> => ({
  expected: `one of ${values.join(", ")}`,
  read: (text) => values.find((value) => value.toLowerCase() === text.toLowerCase()),
});

const boolean: Reader<boolean> = {
  expected: "true or false",
  read: (text) => (text === "true" || text === "false" ? text === "true" : undefined),
};

/** Of what would leave something open that its writer means to protect: nothing is made rather than without it. */
const refused = (why: string, harmless?: string): Reader<string> => ({
  expected: `possible: ${why}`,
  read: (text) => (text === harmless ? text : undefined),
});

const number = (from: number, to: number): Reader<number> => ({
  expected: `a whole number from ${from} to ${to}`,
  read: (text) => (/^-?\d{1,6}$/.test(text) && Number(text) >= from && Number(text) <= to ? Number(text) : undefined),
});

const matching = (pattern: RegExp, expected: string): Reader<string> => ({
  expected,
  read: (text) => (pattern.test(text) ? text : undefined),
});

const either = <A, B>(one: Reader<A>, other: Reader<B>): Reader<A | B> => ({
  expected: `${one.expected} or ${other.expected}`,
  read: (text) => one.read(text) ?? other.read(text),
});

const listOf = <Value>(item: Reader<Value>): Reader<readonly Value[]> => ({
  expected: `a list, divided by commas, of which each is ${item.expected}`,
  read(text) {
    const values = text.split(",").map((part) => item.read(part.trim()));
    return values.some((value) => value === undefined) ? undefined : (values as Value[]);
  },
});

const pairs: Reader<Readonly<Record<string, string>>> = {
  expected: "a list of KEY=VALUE, divided by commas",
  read(text) {
    const entries = text.split(",").map((part) => /^\s*([^=\s]+)\s*=(.*)$/.exec(part));
    if (entries.some((entry) => entry === null)) return undefined;
    return Object.fromEntries(entries.map((entry) => [entry?.[1] ?? "", entry?.[2]?.trim() ?? ""]));
  },
};

const listenPorts: Reader<NonNullable<BalancerSettings["listenPorts"]>> = {
  expected: 'a JSON list such as [{"HTTP": 80}, {"HTTPS": 443}]',
  read(text) {
    try {
      const list = (JSON.parse(text) as Record<string, number>[]).flatMap((one) => Object.entries(one));
      const good = list.every(([protocol, at]) => /^HTTPS?$/.test(protocol) && port.read(String(at)) !== undefined);
      return good && list.length > 0
        ? list.map(([protocol, at]) => ({ protocol: protocol as "HTTP" | "HTTPS", port: at }))
        : undefined;
    } catch {
      return undefined;
    }
  },
};

const port = number(1, 65_535);
const anything = matching(/\S/, "a text");
const cidr: Reader<string> = {
  expected: "an IPv4 network such as 10.0.0.0/8",
  read(text) {
    const [address = "", bits = "", ...more] = text.split("/");
    return isIPv4(address) && more.length === 0 && number(0, 32).read(bits) !== undefined ? text : undefined;
  },
};
const internal: Reader<"internal" | "internet-facing"> = {
  expected: "true or false",
  read: (text) =>
    ({ true: "internal" as const, "0.0.0.0/0": "internal" as const, false: "internet-facing" as const })[text],
};

/** What is wrong with it was told by who made the spec's rules of it. */
const inRules: Reader<string> = { expected: "a text", read: (text) => text };

const webAcl: Reader<string> = {
  expected: "the ARN of a regional web ACL of this account's WAF (arn:aws:wafv2:…:regional/webacl/NAME/ID), or none",
  read(text) {
    if (text === "" || text === "none") return "none";
    return /^arn:[\w-]+:wafv2:[\w-]+:\d+:regional\/webacl\/[\w-]+\/[\w-]+$/.test(text) ? text : undefined;
  },
};

const of = (
  field: keyof BalancerSettings,
  network: string | undefined,
  application: string | undefined,
  reader: Reader<unknown>,
): Row => ({
  field,
  reader,
  ...(network === undefined ? {} : { network: prefixes.network + network }),
  ...(application === undefined ? {} : { application: prefixes.application + application }),
});

const groupsNeeded = "machines let load balancers in by their security group, so each has one";

/** Every annotation that is understood: of Services, of Ingresses, and its form. Later rows win over earlier ones. */
const rows: readonly Row[] = [
  of("type", "aws-load-balancer-type", undefined, oneOf("external", "nlb-ip", "nlb")),
  of("targetType", "aws-load-balancer-nlb-target-type", "target-type", oneOf("instance", "ip")),
  of("scheme", "aws-load-balancer-internal", undefined, internal),
  of("scheme", "aws-load-balancer-scheme", "scheme", oneOf("internal", "internet-facing")),
  of("name", "aws-load-balancer-name", "load-balancer-name", {
    expected: "at most 32 letters, digits and dashes, with no dash at either end",
    read: (text) =>
      /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/i.test(text) && !text.startsWith("internal-") ? text : undefined,
  }),
  of("ipAddressType", "aws-load-balancer-ip-address-type", "ip-address-type", oneOf("ipv4", "dualstack")),
  of("subnets", "aws-load-balancer-subnets", "subnets", listOf(anything)),
  of("elasticIps", "aws-load-balancer-eip-allocations", undefined, listOf(matching(/^eipalloc-/, "an id eipalloc-…"))),
  of(
    "privateAddresses",
    "aws-load-balancer-private-ipv4-addresses",
    undefined,
    listOf(matching(/^[\d.]+$/, "an IPv4 address")),
  ),
  of("securityGroups", "aws-load-balancer-security-groups", "security-groups", listOf(anything)),
  of(
    "managesMachineRules",
    "aws-load-balancer-manage-backend-security-group-rules",
    "manage-backend-security-group-rules",
    boolean,
  ),
  of("ignored", "aws-load-balancer-disable-nlb-sg", undefined, refused(groupsNeeded, "false")),
  of("sourceRanges", "load-balancer-source-ranges", "inbound-cidrs", listOf(cidr)),
  of("tags", "aws-load-balancer-additional-resource-tags", "tags", pairs),
  of("loadBalancerAttributes", "aws-load-balancer-attributes", "load-balancer-attributes", pairs),
  of("targetGroupAttributes", "aws-load-balancer-target-group-attributes", "target-group-attributes", pairs),
  of("proxyProtocol", "aws-load-balancer-proxy-protocol", undefined, oneOf("*")),
  of("certificates", "aws-load-balancer-ssl-cert", "certificate-arn", listOf(matching(/^arn:/, "a certificate's ARN"))),
  of("tlsPorts", "aws-load-balancer-ssl-ports", undefined, either(oneOf("*"), listOf(port))),
  of("tlsPolicy", "aws-load-balancer-ssl-negotiation-policy", "ssl-policy", anything),
  of(
    "alpnPolicy",
    "aws-load-balancer-alpn-policy",
    undefined,
    oneOf("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"),
  ),
  of("backendProtocol", "aws-load-balancer-backend-protocol", undefined, oneOf("tcp", "ssl")),
  of("backendProtocol", undefined, "backend-protocol", oneOf("HTTP", "HTTPS")),
  of("backendProtocolVersion", undefined, "backend-protocol-version", oneOf("HTTP1", "HTTP2", "GRPC")),
  of("healthProtocol", "aws-load-balancer-healthcheck-protocol", undefined, oneOf("TCP", "HTTP", "HTTPS")),
  of("healthProtocol", undefined, "healthcheck-protocol", oneOf("HTTP", "HTTPS")),
  of("healthPort", "aws-load-balancer-healthcheck-port", "healthcheck-port", either(oneOf("traffic-port"), port)),
  of(
    "healthPath",
    "aws-load-balancer-healthcheck-path",
    "healthcheck-path",
    matching(/^\//, "a path that begins with /"),
  ),
  of("healthIntervalSeconds", "aws-load-balancer-healthcheck-interval", "healthcheck-interval-seconds", number(5, 300)),
  of("healthTimeoutSeconds", "aws-load-balancer-healthcheck-timeout", "healthcheck-timeout-seconds", number(2, 120)),
  of("healthyThreshold", "aws-load-balancer-healthcheck-healthy-threshold", "healthy-threshold-count", number(2, 10)),
  of(
    "unhealthyThreshold",
    "aws-load-balancer-healthcheck-unhealthy-threshold",
    "unhealthy-threshold-count",
    number(2, 10),
  ),
  of(
    "healthCodes",
    "aws-load-balancer-healthcheck-success-codes",
    "success-codes",
    matching(/^\d{1,3}(?:[-,]\d{1,3})*$/, "codes such as 200-399 or 200,204"),
  ),
  of("listenPorts", undefined, "listen-ports", listenPorts),
  of("tlsRedirectPort", undefined, "ssl-redirect", port),
  of(
    "group",
    undefined,
    "group.name",
    matching(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, "a name of lower-case letters, digits, dots and dashes"),
  ),
  of("order", undefined, "group.order", number(-1000, 1000)),
  of("login", undefined, "auth-type", inRules),
  of("login", undefined, "auth-idp-cognito", inRules),
  of("login", undefined, "auth-idp-oidc", inRules),
  of("login", undefined, "auth-on-unauthenticated-request", inRules),
  of("login", undefined, "auth-scope", inRules),
  of("login", undefined, "auth-session-cookie", inRules),
  of("login", undefined, "auth-session-timeout", inRules),
  of("webAcl", undefined, "wafv2-acl-arn", webAcl),
  of("ignored", undefined, "waf-acl-id", refused(`AWS has ended its first firewall; name a web ACL by wafv2-acl-arn`)),
  of("ignored", undefined, "shield-advanced-protection", refused("drover subscribes to no Shield", "false")),
];

/** Annotations with a name of the user's own at their end; the rules of the spec hold what they say. */
const named = ["actions.", "conditions."].map((word) => prefixes.application + word);

/** The annotation that sets a field, for errors that AWS finds later. */
export const annotationOf = (kind: Kind, field: keyof BalancerSettings): string | undefined =>
  rows.findLast((row) => row.field === field && row[kind] !== undefined)?.[kind];

/**
 * `unknown`: annotations of the same prefix that nothing here honours, for a warning.
 * @throws CLOUD_INVALID with the annotation in `details.annotation`
 */
export function readAnnotations(kind: Kind, annotations: Readonly<Record<string, string>>) {
  const found: [keyof BalancerSettings, unknown][] = [];
  for (const { field, reader, [kind]: annotation } of rows) {
    const text = annotation === undefined ? undefined : annotations[annotation];
    if (annotation === undefined || text === undefined) continue;
    const value = reader.read(text.trim());
    if (value === undefined) {
      throw new DroverError("CLOUD_INVALID", `${annotation}: "${text}" is not ${reader.expected}.`, { annotation });
    }
    found.push([field, value]);
  }
  const settings = Object.fromEntries(found) as BalancerSettings;
  const known = new Set(rows.map((row) => row[kind]));
  const unknown = Object.keys(annotations).filter(
    (key) => key.startsWith(ownPrefixes[kind]) && !known.has(key) && !named.some((start) => key.startsWith(start)),
  );
  return { settings, unknown };
}
