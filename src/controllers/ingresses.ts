import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Ingress } from "../api/types.gen.ts";
import type { BalancerState } from "../clouds/balancer.ts";
import type { View } from "../registry/view.ts";
import {
  type BalancingOptions,
  type BalancingWorld,
  balancerNotices,
  candidatesOf,
  observeTargets,
  planBalancing,
  vanishedBalancer,
} from "./balancing.ts";
import { isTold } from "./events.ts";
import {
  findFrontend,
  frontendName,
  frontendRecord,
  frontendResource,
  ownerKey,
  recordKey,
  recordOf,
} from "./frontend.ts";
import { type IngressSources, type IngressWarning, ingressBalancer, portOfIngressGroup } from "./ingress-balancer.ts";
import { backendServices, foreignClass } from "./ingress-class.ts";
import { secretsOfLogin } from "./ingress-login.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";

export type IngressWorld = BalancingWorld & { ingress?: Ingress | undefined };

const resource = "ingresses.networking.k8s.io";

/** Ingresses: an application balancer each, its targets, and its address in the Ingress' status. */
export const ingressReconciler = (options: BalancingOptions): Reconciler<IngressWorld> => ({
  name: "ingresses",
  watches: {
    [resource]: (object) => [ownerKey("ingress", object)],
    services: ({ metadata }, view) =>
      ingressesOf(view, metadata.namespace, (ingress) => backendServices(ingress).has(metadata.name)),
    pods: (object, view) => reaching(object, view, options),
    "deployments.apps": ({ metadata }, view) => ingressesOf(view, metadata.namespace, () => true),
    secrets: ({ metadata }, view) =>
      ingressesOf(view, metadata.namespace, (ingress) => secretsOf(ingress, view).includes(metadata.name)),
    "ingressclasses.networking.k8s.io": (_object, view) => ingressesOf(view, undefined, () => true),
    [frontendResource]: (object) => recordKey("ingress", object),
  },
  observe(key, failure) {
    const { view, book, cluster } = options;
    const { object: found, record } = findFrontend(view, "ingress", key);
    if (!found && !record) return undefined;
    const { name: id } = key;
    const isGone = !found || found.metadata.deletionTimestamp !== undefined;
    const foreign = found && foreignClass(view, found);
    const ingress = !isGone && foreign === undefined ? found : undefined;
    const namespace = found?.metadata.namespace ?? "";
    const sources: IngressSources = {
      serviceOf: (name) => view.get("services", namespace, name),
      secretOf: (name) => view.get("secrets", namespace, name),
      candidatesOf: (service) => candidatesOf(service, options),
    };
    const state = book.state(id);
    const carriedOut = book.carriedOut(id);
    const vanished = ingress && vanishedBalancer(ingress, id, options);
    const { wanted, warnings = [] } = ingress
      ? ingressBalancer(ingress, sources, { id, cluster, state, carriedOut })
      : {};
    if (foreign !== undefined && !isGone) warnings.push({ reason: "ForeignClass", message: foreign });
    const portOf: Parameters<typeof observeTargets>[1]["portOf"] = (groupId, pod) =>
      portOfIngressGroup(sources.serviceOf, groupId, pod);
    return {
      id,
      ingress,
      wanted,
      isGone,
      record,
      ...observeTargets(id, { wanted, record, portOf }, options),
      state,
      carriedOut,
      isCurrent: book.isCurrent(id),
      notices: found
        ? [
            ...balancerNotices(found, { view, state, failure, vanished }),
            ...warnings.flatMap((each) => notice(view, found, each)),
          ]
        : [],
    };
  },
  plan: planIngress,
});

function notice(view: View, about: Ingress, { reason, message }: IngressWarning): Notice[] {
  const told: Notice = { about, type: "Warning", reason, message, source: "ingress-controller" };
  return isTold(view, told) ? [] : [told];
}

const ingressesOf = (view: View, namespace: string | undefined, isMeant: (ingress: Ingress) => boolean): ObjectKey[] =>
  view
    .list(resource, namespace)
    .filter(isMeant)
    .map((ingress) => ownerKey("ingress", ingress));

/** What an Ingress needs Secrets for: its certificates, and its clients' login, which Services may name too. */
function secretsOf(ingress: Ingress, view: View): string[] {
  const { metadata, spec } = ingress;
  const named = [...backendServices(ingress)].map((name) => view.get("services", metadata.namespace ?? "", name));
  return [...(spec.tls ?? []).flatMap(({ secretName }) => secretName ?? []), ...secretsOfLogin([ingress, ...named])];
}

/** Ingresses with a Service that selects the Pod, and those whose balancer still has its machine. */
function reaching(pod: KubeObject, view: View, { roster, book }: BalancingOptions): ObjectKey[] {
  const { namespace, uid = "", labels } = pod.metadata;
  const machineId = roster.seatOf(uid)?.machine?.id ?? "";
  const selecting = view
    .list("services", namespace)
    .filter(({ spec }) => Object.keys(spec.selector ?? {}).length > 0)
    .filter(({ spec }) => labelSelectorMatcher({ matchLabels: spec.selector ?? {} })(labels))
    .map(({ metadata }) => metadata.name);
  return ingressesOf(view, namespace, (ingress) => {
    const names = backendServices(ingress);
    const id = frontendName("ingress", ingress.metadata.uid ?? "");
    return selecting.some((name) => names.has(name)) || book.mentions(id, machineId);
  });
}

export function planIngress(world: IngressWorld): Plan {
  const { ingress, wanted, state, record } = world;
  if (!wanted && !record) return { actions: world.notices.map((each) => ({ do: "tell", notice: each })) };
  const fresh = () => frontendRecord("ingress", ingress as Ingress, wanted && recordOf(wanted)); // Asked for when it is wanted.
  return planBalancing(world, fresh, ingress ? planAddress(ingress, state) : []);
}

/** Where clients reach an Ingress, once its balancer accepts connections. */
function planAddress(ingress: Ingress, state: BalancerState | undefined): Action[] {
  if (!state?.ready) return [];
  const addresses = state.addresses.map((address) => ({ ...address }));
  const loadBalancer = addresses.length > 0 ? { ingress: addresses } : {};
  if (isSame(ingress.status?.loadBalancer ?? {}, loadBalancer)) return [];
  const next = { ...ingress, status: { ...ingress.status, loadBalancer } };
  return [{ do: "write", key: keyOf(resource, ingress), next, subresource: "status" }];
}
