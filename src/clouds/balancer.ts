import type { Sealed } from "../base/sealed.ts";

/**
 * The port for load balancers: of Services (network balancers, layer 4) and of Ingresses (application balancers, HTTP).
 * Desired targets in, the balancer's own view of each target out.
 */

/** One machine behind a balancer. */
export type Target = {
  machineId: string;
  address: string;
  /** 1 to 65,535; 0 only of a draining target that another process registered: wherever the group has it. */
  port: number;
  /** No new connections; the ones that are open may end by themselves. */
  draining: boolean;
};

/** How the balancer finds out whether a target serves. What is absent is the provider's default. */
type HealthCheck = {
  protocol: "TCP" | "HTTP" | "HTTPS";
  /** Absent: the target's own port. */
  port?: number;
  path?: string;
  intervalSeconds?: number;
  timeoutSeconds?: number;
  healthyThreshold?: number;
  unhealthyThreshold?: number;
  /** `200-399`. */
  successCodes?: string;
};

/** Targets that are served alike. */
export type TargetGroupSpec = {
  /** Unique in the balancer, stable: `80-TCP`, or with the Service and its port for an Ingress. At most 200 characters. */
  id: string;
  protocol: "TCP" | "UDP" | "HTTP" | "HTTPS";
  targets: readonly Target[];
  healthCheck?: HealthCheck;
  /** A client stays with the target that it was sent to first, where the cloud can. */
  sticky?: boolean;
  /** Annotations of the Service behind an Ingress that are about its targets; they win over the balancer's own. */
  annotations?: Readonly<Record<string, string>>;
  /** Open connections of a draining target are cut after so long: the longest grace of the Pods behind it. 0 to 3,600. */
  drainSeconds: number;
};

/** Connections or requests are split over the groups by weight, 0 to 999; a group of weight 0 gets none. */
export type Forward = readonly { groupId: string; weight: number }[];

/**
 * What an application balancer answers itself instead of sending the request on. In a redirect `#{protocol}`, `#{host}`,
 * `#{port}`, `#{path}` (without its first slash) and `#{query}` stand for the request's own, as does what is absent.
 */
export type Answer =
  | {
      kind: "redirect";
      statusCode: 301 | 302;
      protocol?: "HTTP" | "HTTPS";
      host?: string;
      port?: number;
      path?: string;
      query?: string;
    }
  | { kind: "fixed"; statusCode: number; contentType?: string; body?: string };

/** What a request must have, in any of the values; `*` and `?` in headers and queries stand for other characters. */
export type Condition =
  | { field: "header"; name: string; values: readonly string[] }
  | { field: "method"; values: readonly string[] }
  | { field: "query"; values: readonly { key?: string; value: string }[] }
  | { field: "source"; values: readonly string[] };

/** Where clients prove who they are. All URLs begin with https:// */
type IdentityProvider =
  | { kind: "cognito"; userPoolArn: string; clientId: string; domain: string }
  | {
      kind: "oidc";
      issuer: string;
      authorizationEndpoint: string;
      tokenEndpoint: string;
      userInfoEndpoint: string;
      clientId: string;
      clientSecret: Sealed;
      /** Another one: the secret may be another. */
      secretVersion: string;
    };

/** Clients of an application balancer log in before they get what a rule is for. Over HTTPS only. */
export type Login = {
  provider: IdentityProvider;
  /** What becomes of who has not logged in: sent to the provider, let in all the same, or answered with 401. */
  otherwise: "authenticate" | "allow" | "deny";
  /** What the provider is asked to tell, divided by blanks. */
  scope: string;
  /** The cookies that remember it have names that begin like this. */
  cookie: string;
  /** 1 to 604,800. */
  sessionSeconds: number;
  /** For the provider, at most 10. */
  parameters?: Readonly<Record<string, string>>;
};

/** Of an application balancer: the first rule that matches decides. Without host every host, without path every path. */
export type Rule = {
  /** `www.example.org`, `*.example.org`. */
  host?: string;
  path?: string;
  pathType?: "Exact" | "Prefix";
  /** Further hosts and path patterns that will do as well as `host` and `path`. */
  hosts?: readonly string[];
  patterns?: readonly string[];
  /** All of them have to be met beside host and path. */
  conditions?: readonly Condition[];
  forward: Forward;
  /** Then `forward` is empty. */
  answer?: Answer;
  /** Nobody gets there without; a cloud that knows no login serves without, and says so. */
  login?: Login;
  /** A client stays with the group that it was sent to first for so long. */
  stickySeconds?: number;
};

export type Listener = {
  port: number;
  protocol: "TCP" | "UDP" | "TLS" | "HTTP" | "HTTPS";
  /** TLS and HTTPS: PEM from a Secret, for clouds that take one; others take certificates of their own by annotation. */
  certificates?: readonly { hosts: readonly string[]; certificatePem: string; keyPem: string }[];
  rules?: readonly Rule[];
  /** Where everything goes that no rule matched; empty: refused (HTTP: 404). */
  forward: Forward;
  /** What everything is answered that no rule matched; then `forward` is empty. */
  answer?: Answer;
  /** Before what is for everything that no rule matched. */
  login?: Login;
};

/** All that a balancer should be; `ensure` makes the present one equal to it. */
export type BalancerSpec = {
  /** Stable over repeats and restarts: at most 63 characters, unique in the cluster. */
  id: string;
  cluster: string;
  kind: "network" | "application";
  /** `namespace/name` of the Service or Ingress, for people. */
  name: string;
  scheme: "internal" | "internet-facing";
  /** Balancers of one group share what costs money, where the cloud can; each keeps its own listeners and rules. */
  group?: string;
  /** The Service's own address where the cloud can listen on it (local). */
  clusterAddress?: string;
  listeners: readonly Listener[];
  /** Of an application balancer: the hosts that it serves by name, for clouds that find certificates by them. */
  hosts?: readonly string[];
  groups: readonly TargetGroupSpec[];
  /** Only clients from these networks, in CIDR form; empty: everybody. */
  sourceRanges: readonly string[];
  /** The object's annotations for load balancers, as they are; each cloud reads those that it knows. */
  annotations: Readonly<Record<string, string>>;
};

/** Where clients reach the balancer: an IPv4 address or a host name. */
export type BalancerAddress = { ip?: string; hostname?: string };

/** initial: registered, not yet checked; drained: no connection is open any more, it may be left out and ended. */
export type TargetState = "initial" | "healthy" | "unhealthy" | "draining" | "drained";

/** The balancer's own view. A target that is absent is deregistered and drained. */
export type BalancerState = {
  id: string;
  /** As it was ensured: what a Service that is applied again after the store was lost finds its balancer by. */
  name: string;
  /** It accepts connections. */
  ready: boolean;
  addresses: readonly BalancerAddress[];
  /** One a machine: the least far of its groups (unhealthy before initial before draining before healthy). */
  targets: readonly { machineId: string; state: TargetState; reason?: string }[];
  /** A target that is told to drain may get new connections until it is drained, however long that takes. */
  sendsUntilDrained?: boolean;
  /** It isn't as it was last ensured: changed or deleted by hand. One sentence. */
  drift?: string;
  /** A part of it was deleted by hand: `ensure` makes it again. */
  lost?: boolean;
  /** What the provider charges for it; those that share one name the same. */
  bill?: {
    loadBalancer: string;
    kind: "network" | "application";
    publicAddresses: number;
    /** All of it in one sentence. */
    sentence: string;
  };
  /** What of its spec is not carried out. One sentence each. */
  warnings?: readonly string[];
};

export interface Balancers {
  /** Returns when the provider has taken the order; how far it is comes from `observe`.
   * @throws CLOUD_INVALID (names the annotation or field), CLOUD_QUOTA, CLOUD_THROTTLED, CLOUD_AUTH, CLOUD_UNAVAILABLE */
  ensure(spec: BalancerSpec, signal?: AbortSignal): Promise<void>;
  /**
   * Where `ensure` is refused for good: registers and deregisters targets alone, in those groups of `spec` that there
   * are. Throws as `ensure`.
   */
  retarget?(spec: BalancerSpec, signal?: AbortSignal): Promise<void>;
  /** Every balancer of the cluster; `complete` is false after a failed or partial look: absence then means nothing. */
  observe(signal?: AbortSignal): Promise<{ balancers: readonly BalancerState[]; complete: boolean }>;
  /** Everything that was made for it, security groups and target groups included; nothing of other balancers. */
  remove(id: string, signal?: AbortSignal): Promise<void>;
}
