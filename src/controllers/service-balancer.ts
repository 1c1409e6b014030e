import type { Pod, Service, ServicePort } from "../api/types.gen.ts";
import type { BalancerSpec, Listener, TargetGroupSpec } from "../clouds/balancer.ts";
import { activeTargets, type Candidate, drainSeconds, targetPort } from "./targets.ts";

/** Annotations that a balancer is told of; what they mean is the cloud's business. */
const prefixes = ["service.beta.kubernetes.io/aws-load-balancer-", "alb.ingress.kubernetes.io/", "drover.dev/"];
const sourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
const groupAnnotation = "drover.dev/balancer-group";

type Annotations = Readonly<Record<string, string>> | undefined;

const balancerAnnotations = (annotations: Annotations): Record<string, string> =>
  Object.fromEntries(
    Object.entries(annotations ?? {})
      .filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix)))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** The words of a list with commas. */
const words = (list: string | undefined): string[] => (list ?? "").split(/[\s,]+/).filter((word) => word !== "");

type Balanced = ServicePort & { protocol: "TCP" | "UDP" };

const balanced = ({ spec }: Service): Balanced[] =>
  (spec.ports ?? []).flatMap(({ protocol = "TCP", ...port }): Balanced[] =>
    protocol === "TCP" || protocol === "UDP" ? [{ ...port, protocol }] : [],
  );

const groupId = ({ port, protocol }: Balanced): string => `${port}-${protocol}`;

/** The port on a Pod of the group `id` of a Service's balancer; 0 where it has none. */
export function portOfGroup(service: Service, id: string, pod: Pod | undefined): number {
  const port = balanced(service).find((each) => groupId(each) === id);
  if (!port) return 0;
  return pod ? targetPort(port, pod) : typeof port.targetPort === "string" ? 0 : (port.targetPort ?? port.port);
}

function isInternal({ metadata, spec }: Service): boolean {
  const said = (name: string) => metadata.annotations?.[`service.beta.kubernetes.io/aws-load-balancer-${name}`];
  return spec.type !== "LoadBalancer" || said("scheme") === "internal" || said("internal") === "true";
}

/** What the balancer of a Service should be; its targets are those that are to get connections. */
export function serviceBalancer(
  service: Service,
  candidates: readonly Candidate[],
  { id, cluster }: Pick<BalancerSpec, "id" | "cluster">,
): BalancerSpec {
  const { namespace, name, annotations } = service.metadata;
  const { type, clusterIP, publishNotReadyAddresses = false, loadBalancerSourceRanges } = service.spec;
  const group = annotations?.[groupAnnotation];
  const ports = balanced(service);
  return {
    id,
    cluster,
    kind: "network",
    name: `${namespace}/${name}`,
    scheme: isInternal(service) ? "internal" : "internet-facing",
    ...(group && { group }),
    ...(clusterIP && clusterIP !== "None" && { clusterAddress: clusterIP }),
    listeners: ports.map(
      (port): Listener => ({
        port: port.port,
        protocol: port.protocol,
        forward: [{ groupId: groupId(port), weight: 1 }],
      }),
    ),
    groups: ports.map(
      (port): TargetGroupSpec => ({
        id: groupId(port),
        protocol: port.protocol,
        targets: activeTargets(candidates, (pod) => targetPort(port, pod), publishNotReadyAddresses),
        drainSeconds: drainSeconds(candidates),
      }),
    ),
    sourceRanges:
      type === "LoadBalancer" ? (loadBalancerSourceRanges ?? words(annotations?.[sourceRangesAnnotation])) : [],
    annotations: balancerAnnotations(annotations),
  };
}
