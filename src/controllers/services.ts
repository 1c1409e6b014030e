import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Service } from "../api/types.gen.ts";
import type { BalancerState } from "../clouds/balancer.ts";
import {
  type BalancerTrouble,
  type BalancingOptions,
  type BalancingWorld,
  balancerNotices,
  candidatesOf,
  observeTargets,
  planBalancing,
  vanishedBalancer,
} from "./balancing.ts";
import {
  findFrontend,
  frontendName,
  frontendRecord,
  frontendResource,
  ownerKey,
  recordKey,
  recordOf,
} from "./frontend.ts";
import { hasBalancer } from "./gates.ts";
import type { NamesOnly } from "./names-only.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";
import { portOfGroup, serviceBalancer } from "./service-balancer.ts";
import { weightNotices } from "./shares.ts";
import type { Candidate } from "./targets.ts";
import { undeclaredNotices } from "./undeclared-ports.ts";

export type ServiceWorld = BalancingWorld & {
  /** Absent with `wanted`. */
  service?: Service | undefined;
};

export type ServiceOptions = BalancingOptions & {
  namesOnly: NamesOnly;
  /** Machines let in what comes to a port that a container declares, and nothing else. */
  declaredPortsOnly?: boolean;
};

/** Services with a balancer: the balancer, its targets, and its address in the Service's status. */
export const serviceReconciler = (options: ServiceOptions): Reconciler<ServiceWorld> => ({
  name: "services",
  watches: {
    services: (object) => [ownerKey("service", object)],
    pods: (object) => servicesOf(object, options),
    "deployments.apps": ({ metadata }) => options.view.list("services", metadata.namespace).map(keyOfService),
    namespaces: ({ metadata }) => options.view.list("services", metadata.name).map(keyOfService),
    [frontendResource]: (object) => recordKey("service", object),
  },
  observe(key, failure) {
    const { view, book, cluster } = options;
    const { object: found, record } = findFrontend(view, "service", key);
    const isGone = !found || found.metadata.deletionTimestamp !== undefined;
    const service = !isGone && hasBalancer(found, options.namesOnly) ? found : undefined;
    if (!service && !record) return undefined;
    const { name: id } = key;
    const state = book.state(id);
    const carriedOut = book.carriedOut(id);
    const vanished = service && vanishedBalancer(service, id, options);
    const candidates = service ? candidatesOf(service, options) : [];
    const wanted = service && serviceBalancer(service, candidates, { id, cluster, state, carriedOut });
    const portOf: Parameters<typeof observeTargets>[1]["portOf"] = (groupId, pod) =>
      service ? portOfGroup(service, groupId, pod) : 0;
    return {
      id,
      service,
      wanted,
      isGone,
      record,
      ...observeTargets(id, { wanted, record, portOf }, options),
      state,
      carriedOut,
      isCurrent: book.isCurrent(id),
      notices: service ? noticesOf(service, { candidates, state, failure, vanished }, options) : [],
    };
  },
  plan: planService,
});

function noticesOf(
  service: Service,
  { candidates, ...trouble }: { candidates: readonly Candidate[] } & BalancerTrouble,
  { view, declaredPortsOnly = false }: ServiceOptions,
): Notice[] {
  const pods = declaredPortsOnly ? candidates.map(({ pod }) => pod) : [];
  return [
    ...balancerNotices(service, { view, ...trouble }),
    ...weightNotices(view, candidates),
    ...undeclaredNotices(service, pods, { view, redirects: false }),
  ];
}

const keyOfService = (service: Service): ObjectKey => ownerKey("service", service);

/** Services that select the Pod, and those whose balancer still has its machine. */
function servicesOf(pod: KubeObject, { view, roster, book, namesOnly }: ServiceOptions): ObjectKey[] {
  const machineId = roster.seatOf(pod.metadata.uid ?? "")?.machine?.id ?? "";
  return view
    .list("services", pod.metadata.namespace)
    .filter((service) => {
      if (!hasBalancer(service, namesOnly)) return false;
      const matches = labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} });
      return (
        matches(pod.metadata.labels) || book.mentions(frontendName("service", service.metadata.uid ?? ""), machineId)
      );
    })
    .map(keyOfService);
}

export function planService(world: ServiceWorld): Plan {
  const { service, wanted, state } = world;
  const fresh = () => frontendRecord("service", service as Service, wanted && recordOf(wanted)); // Asked for when it is wanted.
  return planBalancing(world, fresh, service ? planAddress(service, state) : []);
}

/** Where clients reach a Service of type LoadBalancer, once the balancer accepts connections. */
function planAddress(service: Service, state: BalancerState | undefined): Action[] {
  const isPublished = service.spec.type === "LoadBalancer";
  if (isPublished && !state?.ready) return [];
  const ingress = isPublished ? (state?.addresses ?? []).map((address) => ({ ...address })) : [];
  const loadBalancer = ingress.length > 0 ? { ingress: ingress.map(withIpMode) } : {};
  if (isSame(service.status?.loadBalancer ?? {}, loadBalancer)) return [];
  const next = { ...service, status: { ...service.status, loadBalancer } };
  return [{ do: "write", key: keyOf("services", service), next, subresource: "status" }];
}

const withIpMode = (address: { ip?: string; hostname?: string }) =>
  address.ip === undefined ? address : { ...address, ipMode: "VIP" };
