import { labelSelectorMatcher } from "../api/labels.ts";
import type { Pod, Service, ServicePort } from "../api/types.gen.ts";
import type { Redirect } from "../clouds/box.ts";
import type { MachineTemplate } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { frontendName, frontendResource, isFrontend } from "./frontend.ts";
import type { NamesBook } from "./names-book.ts";
import { targetPort } from "./targets.ts";

/** Of a Service or a Namespace: `names`, or another word for a balancer. */
const annotation = "drover.dev/balancer";

/** Whether a Service has no balancer: its name stands for its ready Pods, and their machines redirect its ports. */
export type NamesOnly = (service: Service) => boolean;

/** `byDefault`: so it is where neither the Service nor its Namespace says anything. Others than ClusterIP never are. */
export const openNamesOnly =
  (view: View, byDefault: boolean): NamesOnly =>
  ({ metadata, spec }) => {
    const isPlain = (spec.type ?? "ClusterIP") === "ClusterIP" && spec.clusterIP !== "None";
    if (!isPlain || Object.keys(spec.selector ?? {}).length === 0) return false;
    const home = view.get("namespaces", "", metadata.namespace ?? "");
    const said = metadata.annotations?.[annotation] ?? home?.metadata.annotations?.[annotation];
    return said === undefined ? byDefault : said === "names";
  };

const isHeadless = ({ spec }: Service): boolean =>
  spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length > 0;

/** Services whose name stands for the address of this Pod. */
export const servicesNaming = (view: View, namesOnly: NamesOnly, { metadata }: Pod): Service[] =>
  view
    .list("services", metadata.namespace)
    .filter((service) => isHeadless(service) || namesOnly(service))
    .filter(({ spec }) => labelSelectorMatcher({ matchLabels: spec.selector ?? {} })(metadata.labels));

/** The name of a Service in the machines' network. */
export const nameOf = ({ metadata }: Service, clusterDomain: string): string =>
  `${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`;

/** No name stands for the address of this Pod any more, nor does anybody remember one that did. */
export function isForgotten(
  pod: Pod,
  {
    view,
    names,
    namesOnly,
    clusterDomain,
  }: { view: View; names: NamesBook; namesOnly: NamesOnly; clusterDomain: string },
): boolean {
  const address = pod.status?.podIP;
  if (address === undefined) return true;
  return servicesNaming(view, namesOnly, pod).every((service) => {
    const record = view.get(frontendResource, "", frontendName("service", service.metadata.uid ?? ""));
    const name = nameOf(service, clusterDomain);
    const isRecorded = record !== undefined && isFrontend(record) && record.spec.names.includes(name);
    return names.forgotten(name, address, isRecorded);
  });
}

const protocolOf = ({ protocol }: ServicePort): Redirect["protocol"] => (protocol === "UDP" ? "UDP" : "TCP");

/** Whether machines may have to redirect the port of a Service without a balancer. A name may be any port's. */
export const isRedirected = ({ port, targetPort: to = port }: ServicePort): boolean => to !== port;

/** All ports that machines redirect, each once, in order of number and protocol. */
export function redirectedPorts(view: View, namesOnly: NamesOnly): NonNullable<MachineTemplate["ports"]> {
  const ports = view
    .list("services")
    .filter(namesOnly)
    .flatMap(({ spec }) => (spec.ports ?? []).filter(isRedirected))
    .map((each) => ({ port: each.port, protocol: protocolOf(each) }));
  const byText = new Map(ports.map((each) => [`${each.port}/${each.protocol}`, each]));
  return [...byText.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** What the machine of a Pod does for Services that have no balancer to map their ports. The first of a port counts. */
export function redirectsOf(view: View, namesOnly: NamesOnly, pod: Pod): Redirect[] {
  const redirects = new Map<string, Redirect>();
  for (const service of servicesNaming(view, namesOnly, pod).filter((each) => !isHeadless(each))) {
    for (const port of service.spec.ports ?? []) {
      const protocol = protocolOf(port);
      const to = targetPort(port, pod);
      const id = `${port.port} ${protocol}`;
      if (to === 0 || to === port.port || redirects.has(id)) continue;
      redirects.set(id, { port: port.port, targetPort: to, protocol });
    }
  }
  return [...redirects.values()];
}
