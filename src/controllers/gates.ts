import { labelSelectorMatcher } from "../api/labels.ts";
import type { Ingress, PodReadinessGate, Service } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { frontendName } from "./frontend.ts";
import { backendServices, foreignClass } from "./ingress-class.ts";
import type { NamesOnly } from "./names-only.ts";

const prefix = "drover.dev/balancer-";

/** Whether the cloud has a balancer for this Service. */
export const hasBalancer = (service: Service, namesOnly: NamesOnly): boolean => {
  const { type, clusterIP, selector = {} } = service.spec;
  return type !== "ExternalName" && clusterIP !== "None" && Object.keys(selector).length > 0 && !namesOnly(service);
};

/** What may send requests to Pods: the Services of a namespace, and its Ingresses that are drover's. */
export type Doors = { services: readonly Service[]; ingresses: readonly Ingress[]; namesOnly: NamesOnly };

export const doorsOf = (view: View, namesOnly: NamesOnly, namespace: string | undefined): Doors => ({
  namesOnly,
  services: view.list("services", namespace),
  ingresses: view
    .list("ingresses.networking.k8s.io", namespace)
    .filter((ingress) => foreignClass(view, ingress) === undefined),
});

type Labels = Record<string, string> | undefined;

/** `of`: `Service web`; `uid`: its; `id`: the balancer's. */
type Door = { of: string; uid: string; id: string };

/** The balancers that are to reach a Pod with these labels. */
export function balancersFor({ services, ingresses, namesOnly }: Doors, labels: Labels): Door[] {
  const selecting = services
    .filter(({ metadata, spec }) => {
      const isThere = metadata.deletionTimestamp === undefined && Object.keys(spec.selector ?? {}).length > 0;
      return isThere && labelSelectorMatcher({ matchLabels: spec.selector ?? {} })(labels);
    })
    .filter(({ spec }) => spec.type !== "ExternalName");
  const routing = ingresses.filter((ingress) => {
    const names = backendServices(ingress);
    return (
      ingress.metadata.deletionTimestamp === undefined && selecting.some(({ metadata }) => names.has(metadata.name))
    );
  });
  const balancer =
    (kind: "service" | "ingress") =>
    ({ metadata: { name, uid = "" } }: Service | Ingress): Door => ({
      of: `${kind === "service" ? "Service" : "Ingress"} ${name}`,
      uid,
      id: frontendName(kind, uid),
    });
  return [
    ...selecting.filter((service) => hasBalancer(service, namesOnly)).map(balancer("service")),
    ...routing.map(balancer("ingress")),
  ];
}

/** The uid of the Service or Ingress that a readiness gate waits for; undefined for gates of others. */
export const gatedBy = (conditionType: string): string | undefined =>
  conditionType.startsWith(prefix) ? conditionType.slice(prefix.length) : undefined;

/** The gates of a Pod with these labels, fixed when it is made: one for each balancer that is to reach it. */
export const gatesFor = (doors: Doors, labels: Labels): PodReadinessGate[] =>
  balancersFor(doors, labels).map(({ uid }) => ({ conditionType: prefix + uid }));
