import type {
  CreateListenerInput,
  CreateListenerOutput,
  DeleteListenerInput,
  DeleteListenerOutput,
  DescribeListenersInput,
  DescribeListenersOutput,
  ModifyListenerInput,
  ModifyListenerOutput,
  Listener as Shown,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { checkCertificates } from "./certificates.ts";
import { elbError, validation } from "./elb-errors.ts";
import { checkActions } from "./forwards.ts";
import { arnOf, type LoadBalancer, loadBalancerOf } from "./load-balancers.ts";
import { pageOf } from "./paging.ts";
import type { ListenerRule } from "./rules.ts";
import { type Tags, tagsFrom } from "./tags.ts";
import { refreshUses } from "./uses.ts";
import type { AwsWorld, Resource } from "./world.ts";

/** What AWS shows of a listener is what was given, completed. */
export type Listener = Resource & {
  arn: string;
  loadBalancerArn: string;
  port: number;
  protocol: string;
  certificateArns: string[];
  sslPolicy?: string;
  alpn?: string[];
  defaultActions: NonNullable<Shown["DefaultActions"]>;
  /** By ARN, without the default one. */
  rules: Map<string, ListenerRule>;
  tags: Tags;
};

const listenersMax = 50;
const protocols = { network: ["UDP", "TCP", "TLS", "TCP_UDP"], application: ["HTTP", "HTTPS"] } as const;
const defaultPolicy = "ELBSecurityPolicy-2016-08";
/** Security policies that AWS knows begin like this. */
const policyPattern = /^ELBSecurityPolicy-(2016-08|TLS|TLS13|FS|2015-05)/;

export function listenerOf(world: AwsWorld, arn: string | undefined): Listener {
  const found = arn === undefined ? undefined : world.listeners.get(arn);
  if (found === undefined) throw elbError("ListenerNotFound", "One or more listeners not found");
  return found;
}

type Settings = Pick<Listener, "port" | "protocol" | "certificateArns" | "sslPolicy" | "alpn" | "defaultActions">;

/** The given parameters over those that stood before, checked. */
function settingsOf(
  world: AwsWorld,
  balancer: LoadBalancer,
  input: Omit<ModifyListenerInput, "ListenerArn">,
  before: Partial<Settings>,
): Settings {
  const port = input.Port ?? before.port;
  const protocol: string | undefined = input.Protocol ?? before.protocol;
  if (port === undefined || port < 1 || port > 65_535) throw validation(`Port '${port}' must be between 1 and 65535`);
  const allowed: readonly string[] = protocols[balancer.type];
  if (protocol === undefined || !allowed.includes(protocol))
    throw validation(`Protocol '${protocol}' must be one of '${allowed.join(", ")}'`);
  const isSecure = protocol === "TLS" || protocol === "HTTPS";
  const given = input.Certificates?.map(({ CertificateArn = "" }) => CertificateArn);
  const certificateArns = isSecure ? (given ?? before.certificateArns ?? []) : [];
  if (isSecure && certificateArns.length === 0)
    throw validation(`A certificate must be specified for ${protocol} listeners`);
  if (!isSecure && (given?.length ?? 0) > 0)
    throw validation(`Certificates cannot be specified for ${protocol} listeners`);
  checkCertificates(world, certificateArns);
  const sslPolicy = isSecure ? (input.SslPolicy ?? before.sslPolicy ?? defaultPolicy) : undefined;
  if (sslPolicy !== undefined && !policyPattern.test(sslPolicy))
    throw elbError("SSLPolicyNotFound", `SSL policy '${sslPolicy}' not found`);
  const alpn = input.AlpnPolicy ?? before.alpn;
  const actions = input.DefaultActions ?? before.defaultActions;
  return {
    port,
    protocol,
    certificateArns,
    ...(sslPolicy !== undefined && { sslPolicy }),
    ...(alpn !== undefined && { alpn: [...alpn] }),
    defaultActions: checkActions(world, balancer, protocol, actions),
  };
}

const onPort = (world: AwsWorld, balancer: LoadBalancer, port: number): Listener | undefined =>
  [...world.listeners.values()].find((one) => one.loadBalancerArn === balancer.arn && one.port === port);

const duplicate = ({ arn }: LoadBalancer) =>
  elbError("DuplicateListener", `A listener already exists on this port for this load balancer '${arn}'`);

/** Repeated with the same settings it answers with the one that is there. */
export function createListener(world: AwsWorld, input: CreateListenerInput): CreateListenerOutput {
  const balancer = loadBalancerOf(world, input.LoadBalancerArn);
  const settings = settingsOf(world, balancer, input, {});
  const same = onPort(world, balancer, settings.port);
  if (same !== undefined) {
    const { port, protocol, certificateArns, sslPolicy, alpn, defaultActions } = same;
    const standing: Settings = {
      port,
      protocol,
      certificateArns: certificateArns.slice(0, 1),
      ...(sslPolicy !== undefined && { sslPolicy }),
      ...(alpn !== undefined && { alpn }),
      defaultActions,
    };
    if (JSON.stringify(standing) !== JSON.stringify(settings)) throw duplicate(balancer);
    return { Listeners: [shown(same)] };
  }
  const count = [...world.listeners.values()].filter((one) => one.loadBalancerArn === balancer.arn).length;
  if (count >= listenersMax)
    throw elbError("TooManyListeners", "The maximum number of listeners has been reached on this load balancer");
  const [, path = ""] = balancer.arn.split(`:loadbalancer/${balancer.type === "network" ? "net" : "app"}/`);
  const listener: Listener = {
    ...world.made(),
    ...settings,
    arn: arnOf(world, "listener", balancer.type, path, world.id("x", 16).slice(2)),
    loadBalancerArn: balancer.arn,
    rules: new Map(),
    tags: tagsFrom(input.Tags),
  };
  world.listeners.set(listener.arn, listener);
  refreshUses(world);
  return { Listeners: [shown(listener)] };
}

export function modifyListener(world: AwsWorld, input: ModifyListenerInput): ModifyListenerOutput {
  const listener = listenerOf(world, input.ListenerArn);
  const balancer = loadBalancerOf(world, listener.loadBalancerArn);
  const settings = settingsOf(world, balancer, input, listener);
  const other = onPort(world, balancer, settings.port);
  if (other !== undefined && other !== listener) throw duplicate(balancer);
  const extra = settings.certificateArns.length > 0 ? listener.certificateArns.slice(1) : [];
  const [first] = settings.certificateArns;
  Object.assign(listener, settings, {
    certificateArns: first === undefined ? [] : [first, ...extra.filter((arn) => arn !== first)],
  });
  refreshUses(world);
  return { Listeners: [shown(listener)] };
}

export function deleteListener(world: AwsWorld, input: DeleteListenerInput): DeleteListenerOutput {
  world.listeners.delete(listenerOf(world, input.ListenerArn).arn);
  refreshUses(world);
  return {};
}

export function describeListeners(world: AwsWorld, input: DescribeListenersInput): DescribeListenersOutput {
  const ofBalancer = () => {
    const { arn } = loadBalancerOf(world, input.LoadBalancerArn);
    return [...world.listeners.values()].filter(({ loadBalancerArn }) => loadBalancerArn === arn);
  };
  const wanted = input.ListenerArns?.map((arn) => listenerOf(world, arn)) ?? ofBalancer();
  const { page, next } = pageOf(wanted, Math.min(400, input.PageSize ?? 400), input.Marker);
  return { Listeners: page.map(shown), NextMarker: next };
}

const shown = (listener: Listener): Shown => ({
  ListenerArn: listener.arn,
  LoadBalancerArn: listener.loadBalancerArn,
  Port: listener.port,
  Protocol: listener.protocol as NonNullable<Shown["Protocol"]>,
  ...(listener.certificateArns[0] !== undefined && { Certificates: [{ CertificateArn: listener.certificateArns[0] }] }),
  ...(listener.sslPolicy !== undefined && { SslPolicy: listener.sslPolicy }),
  ...(listener.alpn !== undefined && { AlpnPolicy: [...listener.alpn] }),
  DefaultActions: structuredClone(listener.defaultActions),
});
