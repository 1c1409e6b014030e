import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Pod, Service } from "../api/types.gen.ts";
import type { BalancerSpec, BalancerState } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import {
  type Frontend,
  findFrontend,
  frontendKey,
  frontendName,
  frontendRecord,
  frontendResource,
  isFrontend,
  serviceFrontendKey,
} from "./frontend.ts";
import { hasBalancer } from "./gates.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";
import { balancerOf, type Candidate, type Present, planTargets, targetPort } from "./targets.ts";

export type ServiceWorld = {
  cluster: string;
  id: string;
  /** Absent once it is gone, going, or has no use for a balancer. */
  service?: Service | undefined;
  isGone: boolean;
  record?: Frontend | undefined;
  candidates: readonly Candidate[];
  present: readonly Present[];
  state?: BalancerState | undefined;
  carriedOut?: BalancerSpec | undefined;
  /** Enough is known of the balancer's targets to change them: all that it has, and where each of them is. */
  known: boolean;
};

export type ServiceOptions = {
  view: View;
  roster: Roster;
  poll: Pick<Poll, "sight" | "complete">;
  book: BalancerBook;
  cluster: string;
};

const lookAgainMs = 500;

/** Services with a balancer: the balancer, its targets, and its address in the Service's status. */
export const serviceReconciler = (options: ServiceOptions): Reconciler<ServiceWorld> => ({
  name: "services",
  watches: {
    services: (object) => [serviceFrontendKey(object)],
    pods: (object) => servicesOf(object, options),
    [frontendResource]: (object) => (isFrontend(object) ? [frontendKey(object.spec.service)] : []),
  },
  observe(key) {
    const { view, book, poll, cluster } = options;
    const { service: found, record } = findFrontend(view, key);
    const isGone = !found || found.metadata.deletionTimestamp !== undefined;
    const service = !isGone && hasBalancer(found) ? found : undefined;
    if (!service && !record) return undefined;
    const present = presentTargets(key.name, service, options);
    const isListed = book.completeMs() !== undefined && poll.complete();
    return {
      cluster,
      id: key.name,
      service,
      isGone,
      record,
      candidates: service ? candidatesOf(service, options) : [],
      present: present.filter(isPlaced),
      state: book.state(key.name),
      carriedOut: book.carriedOut(key.name),
      known: isListed && present.every(isPlaced),
    };
  },
  plan: planService,
});

/** Services that select the Pod, and those whose balancer still has its machine. */
function servicesOf(pod: KubeObject, { view, roster, book }: ServiceOptions): ObjectKey[] {
  const machineId = roster.seatOf(pod.metadata.uid ?? "")?.machine?.id;
  return view
    .list("services", pod.metadata.namespace)
    .filter((service) => {
      if (!hasBalancer(service)) return false;
      const { targets = [] } = book.carriedOut(frontendName(service.metadata.uid ?? "")) ?? {};
      const matches = labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} });
      return matches(pod.metadata.labels) || targets.some((target) => target.machineId === machineId);
    })
    .map(serviceFrontendKey);
}

function candidatesOf(service: Service, { view, roster, poll }: ServiceOptions): Candidate[] {
  const matches = labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} });
  return view.list("pods", service.metadata.namespace).flatMap((pod): Candidate[] => {
    if (!matches(pod.metadata.labels)) return [];
    const known = roster.seatOf(pod.metadata.uid ?? "")?.machine;
    const { machine = known, gone } = poll.sight(known?.id ?? "");
    return machine && !gone ? [{ pod, machine }] : [];
  });
}

/** `address` is unknown of a machine that this process has not seen yet. */
type Place = Omit<Present, "address"> & { address: string | undefined };

const isPlaced = (place: Place): place is Place & Present => place.address !== undefined;

/** What the balancer was told of or shows, as far as it may still send connections there. */
function presentTargets(id: string, service: Service | undefined, { roster, poll, book }: ServiceOptions): Place[] {
  const told = new Map(book.carriedOut(id)?.targets.map((target) => [target.machineId, target]));
  const shown = book.state(id)?.targets.map(({ machineId }) => machineId) ?? [];
  return [...new Set([...told.keys(), ...shown])].flatMap((machineId): Place[] => {
    const { machine, gone } = poll.sight(machineId);
    const target = told.get(machineId);
    const address = target?.address ?? machine?.address;
    const isNobodys = machine === undefined && roster.podUidOf(machineId) === undefined;
    if (gone || isNobodys || book.releasedBy(id, machineId)) return [];
    const pod: Pod | undefined = roster.podByUid(roster.podUidOf(machineId) ?? "");
    const ports = (service?.spec.ports ?? []).map((port) =>
      pod ? targetPort(port, pod) : Number(port.targetPort) || 0,
    );
    return [{ machineId, address, ports: target?.ports ?? ports }];
  });
}

export function planService(world: ServiceWorld): Plan {
  const { service, record, cluster, id } = world;
  if (!service) return record ? planFarewell(world, record) : { actions: [] };
  const balancer = balancerOf(service, id, cluster);
  if (!record)
    return { actions: [{ do: "create", resource: frontendResource, object: frontendRecord(service, balancer) }] };
  if (!isSame(record.spec.balancer, balancer)) {
    const next = { ...record, spec: { ...record.spec, balancer } };
    return { actions: [{ do: "write", key: keyOf(frontendResource, record), next }] };
  }
  if (!world.known) return { actions: [], againInMs: lookAgainMs };
  const spec = { ...balancer, targets: planTargets({ ...world, service }) };
  const calls = planEnsure(world, spec);
  const isDraining = spec.targets.some(({ draining }) => draining);
  return { actions: [...calls, ...planAddress(service, world.state)], ...(isDraining && { againInMs: lookAgainMs }) };
}

const planEnsure = ({ carriedOut }: ServiceWorld, spec: BalancerSpec): Action[] =>
  isSame(carriedOut, spec) ? [] : [{ do: "ensureBalancer", spec }];

/** The balancer of a Service that is gone goes after its last connection; its record goes after it. */
function planFarewell(world: ServiceWorld, record: Frontend): Plan {
  const { state, carriedOut, present } = world;
  if (!world.known) return { actions: [], againInMs: lookAgainMs };
  const { balancer } = record.spec;
  if (balancer && present.length > 0) {
    const targets = planTargets({ service: emptyService, candidates: [], present });
    return { actions: planEnsure(world, { ...balancer, targets }), againInMs: lookAgainMs };
  }
  if (state || carriedOut) return { actions: [{ do: "removeBalancer", id: world.id }], againInMs: lookAgainMs };
  const key = keyOf(frontendResource, record);
  if (!world.isGone) {
    const { balancer: _, ...spec } = record.spec;
    return { actions: balancer ? [{ do: "write", key, next: { ...record, spec } }] : [] };
  }
  if (record.spec.names.length > 0) return { actions: [] };
  return { actions: [{ do: "delete", key, uid: record.metadata.uid ?? "" }] };
}

const emptyService: Service = { apiVersion: "v1", kind: "Service", metadata: { name: "" }, spec: {} };

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
