import { labelSelectorMatcher } from "../api/labels.ts";
import type { Pod, Service } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { frontendName, frontendResource, isFrontend } from "./frontend.ts";
import type { NamesBook } from "./names-book.ts";

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

/** Without a selector it selects nothing. */
export const selects = ({ spec: { selector = {} } }: Service, labels: Record<string, string> | undefined): boolean =>
  Object.keys(selector).length > 0 && labelSelectorMatcher({ matchLabels: selector })(labels);

/** Services whose name stands for the address of this Pod. */
export const servicesNaming = (view: View, namesOnly: NamesOnly, { metadata }: Pod): Service[] =>
  view
    .list("services", metadata.namespace)
    .filter((service) => isHeadless(service) || namesOnly(service))
    .filter((service) => selects(service, metadata.labels));

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
