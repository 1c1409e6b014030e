import { sourceRangesOf } from "../api/source-ranges.ts";
import type { Pod, Service, ServicePort } from "../api/types.gen.ts";
import type { BalancerSpec, Listener, TargetGroupSpec } from "../clouds/balancer.ts";
import { balancerAnnotations, groupAnnotation, words } from "./balancer-annotations.ts";
import { backendOfGroup, groupsBehind, type Seen } from "./shares.ts";
import { type Candidate, targetPort } from "./targets.ts";

const tlsPortsAnnotation = "service.beta.kubernetes.io/aws-load-balancer-ssl-ports";

type Balanced = ServicePort & { protocol: "TCP" | "UDP" };

const balanced = ({ spec }: Service): Balanced[] =>
  (spec.ports ?? []).flatMap(({ protocol = "TCP", ...port }): Balanced[] =>
    protocol === "TCP" || protocol === "UDP" ? [{ ...port, protocol }] : [],
  );

const backendId = ({ port, protocol }: Balanced): string => `${port}-${protocol}`;

/** The port on a Pod of a group of a Service's balancer; 0 where nobody knows. */
export function portOfGroup(service: Service, groupId: string, pod: Pod | undefined): number {
  const port = balanced(service).find((each) => backendId(each) === backendOfGroup(groupId));
  return port && pod ? targetPort(port, pod) : 0;
}

function isInternal({ metadata, spec }: Service): boolean {
  const said = (name: string) => metadata.annotations?.[`service.beta.kubernetes.io/aws-load-balancer-${name}`];
  return spec.type !== "LoadBalancer" || said("scheme") === "internal" || said("internal") === "true";
}

/** What the balancer of a Service should be; its targets are those that are to get connections. */
export function serviceBalancer(
  service: Service,
  candidates: readonly Candidate[],
  { id, cluster, ...seen }: Pick<BalancerSpec, "id" | "cluster"> & Seen,
): BalancerSpec {
  const { namespace, name, annotations } = service.metadata;
  const { type, clusterIP, publishNotReadyAddresses: takesUnready = false } = service.spec;
  const group = annotations?.[groupAnnotation];
  const isSticky = service.spec.sessionAffinity === "ClientIP";
  const listeners: Listener[] = [];
  const groups: TargetGroupSpec[] = [];
  for (const port of balanced(service)) {
    const { protocol } = port;
    const portOf = (pod: Pod) => targetPort(port, pod);
    const behind = groupsBehind({ id: backendId(port), protocol, candidates, portOf, takesUnready, seen });
    listeners.push({ port: port.port, protocol, forward: behind.forward });
    groups.push(...behind.groups.map((group) => (isSticky ? { ...group, sticky: true } : group)));
  }
  return {
    id,
    cluster,
    kind: "network",
    name: `${namespace}/${name}`,
    scheme: isInternal(service) ? "internal" : "internet-facing",
    ...(group && { group }),
    ...(clusterIP && clusterIP !== "None" && { clusterAddress: clusterIP }),
    listeners,
    groups,
    sourceRanges: type === "LoadBalancer" ? sourceRangesOf(service).ranges : [],
    annotations: withPortNumbers(balancerAnnotations(annotations), service),
  };
}

/** Ports may be called by name in the Service's annotations; the cloud knows their numbers. */
function withPortNumbers(annotations: Record<string, string>, { spec }: Service): Record<string, string> {
  const text = annotations[tlsPortsAnnotation];
  if (text === undefined) return annotations;
  const numberOf = (word: string) => spec.ports?.find(({ name }) => name === word)?.port ?? word;
  return { ...annotations, [tlsPortsAnnotation]: words(text).map(numberOf).join(",") };
}
