import type { Pod, Service, ServicePort } from "../api/types.gen.ts";
import type { Redirect } from "../clouds/box.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { type NamesOnly, selects } from "./names-only.ts";
import { targetPort } from "./targets.ts";

/** A port that the machines of a Service's Pods take, and the one of the Service that is meant by it. */
type Door = { port: number; leadsTo: ServicePort };

/** The ports of a Service that has no balancer, and node ports, which are open on the Service's own machines. */
function doorsOf({ spec }: Service, isNamesOnly: boolean): Door[] {
  const ports = spec.ports ?? [];
  const own = isNamesOnly ? ports.map((each) => ({ port: each.port, leadsTo: each })) : [];
  const hasPods = Object.keys(spec.selector ?? {}).length > 0;
  const onNodes = spec.type === "NodePort" && hasPods ? ports : [];
  return [...own, ...onNodes.flatMap((each) => (each.nodePort ? { port: each.nodePort, leadsTo: each } : []))];
}

/** Whether the machines of the Service's Pods take what comes to it, instead of a balancer or beside one. */
export const isTakenByMachines = (service: Service, namesOnly: NamesOnly): boolean =>
  namesOnly(service) || service.spec.type === "NodePort";

const protocolOf = ({ protocol }: ServicePort): Redirect["protocol"] => (protocol === "UDP" ? "UDP" : "TCP");

/** Whether machines may have to redirect it. A name may be any port's. */
const isElsewhere = ({ port, leadsTo }: Door): boolean => (leadsTo.targetPort ?? leadsTo.port) !== port;

/** Whether machines may have to redirect the port of a Service without a balancer. */
export const isRedirected = (port: ServicePort): boolean => isElsewhere({ port: port.port, leadsTo: port });

/** All ports that machines redirect, each once, in order of number and protocol. */
export function redirectedPorts(view: View, namesOnly: NamesOnly): NonNullable<MachineTemplate["ports"]> {
  const ports = view
    .list("services")
    .flatMap((service) => doorsOf(service, namesOnly(service)).filter(isElsewhere))
    .map(({ port, leadsTo }) => ({ port, protocol: protocolOf(leadsTo) }));
  const byText = new Map(ports.map((each) => [`${each.port}/${each.protocol}`, each]));
  return [...byText.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** What the machine of a Pod does for Services whose ports no balancer maps. The first of a port counts. */
export function redirectsOf(view: View, namesOnly: NamesOnly, pod: Pod): Redirect[] {
  const redirects = new Map<string, Redirect>();
  const own = view.list("services", pod.metadata.namespace).filter((each) => selects(each, pod.metadata.labels));
  for (const { port, leadsTo } of own.flatMap((each) => doorsOf(each, namesOnly(each)))) {
    const protocol = protocolOf(leadsTo);
    const to = targetPort(leadsTo, pod);
    const id = `${port} ${protocol}`;
    if (to === 0 || to === port || redirects.has(id)) continue;
    redirects.set(id, { port, targetPort: to, protocol });
  }
  return [...redirects.values()];
}
