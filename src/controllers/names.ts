import { labelSelectorMatcher } from "../api/labels.ts";
import type { ObjectKey } from "../api/object.ts";
import type { Pod, Service } from "../api/types.gen.ts";
import type { BalancerState } from "../clouds/balancer.ts";
import type { NameRecord } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { isTold } from "./events.ts";
import { type Frontend, findFrontend, frontendRecord, frontendResource, ownerKey, recordKey } from "./frontend.ts";
import { hasBalancer } from "./gates.ts";
import { type NamesBook, podTtlSeconds } from "./names-book.ts";
import { type NamesOnly, nameOf, servicesNaming } from "./names-only.ts";
import { isActive, isReady, keyOf } from "./owned.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";
import { undeclaredNotices } from "./undeclared-ports.ts";

export type NamesWorld = {
  clusterDomain: string;
  service?: Service | undefined;
  record?: Frontend | undefined;
  /** The name is that of the Pods, not of a balancer. */
  standsForPods: boolean;
  pods: readonly Pod[];
  /** There is or will be a balancer; `state`: as it was last seen, absent before it was. */
  isBalanced: boolean;
  state?: BalancerState | undefined;
  /** What was last written, by name, as JSON. */
  written: ReadonlyMap<string, string>;
  /** What the Service's reader should know and was not told yet. */
  notices: readonly Notice[];
};

export type NamesOptions = {
  view: View;
  book: Pick<BalancerBook, "state">;
  names: NamesBook;
  namesOnly: NamesOnly;
  clusterDomain?: string;
  /** Machines let in what comes to a port that a container declares, and nothing else. */
  declaredPortsOnly?: boolean;
};

const serviceTtlSeconds = 30;

/** Names in the machines' network: one a Service, and of one without a balancer the addresses of its Pods. */
export const namesReconciler = ({
  view,
  book,
  names,
  namesOnly,
  clusterDomain = "cluster.local",
  declaredPortsOnly = false,
}: NamesOptions): Reconciler<NamesWorld> => ({
  name: "names",
  watches: {
    services: (object) => [ownerKey("service", object)],
    pods: (object) => servicesNaming(view, namesOnly, object as Pod).map(keyOfService), // By its resource.
    namespaces: ({ metadata }) => view.list("services", metadata.name).map(keyOfService),
    [frontendResource]: (object) => recordKey("service", object),
  },
  observe(key, failure) {
    const { object: found, record } = findFrontend(view, "service", key);
    const service = found?.metadata.deletionTimestamp === undefined ? found : undefined;
    if (!service && !record) return undefined;
    const matches = labelSelectorMatcher({ matchLabels: service?.spec.selector ?? {} });
    const isHeadless = service?.spec.clusterIP === "None" && Object.keys(service.spec.selector ?? {}).length > 0;
    const standsForPods = service !== undefined && (isHeadless || namesOnly(service));
    const pods = standsForPods
      ? view.list("pods", service.metadata.namespace).filter(({ metadata }) => matches(metadata.labels))
      : [];
    const isBalanced = service !== undefined && hasBalancer(service, namesOnly);
    const state = book.state(key.name);
    const failures = service && failure !== undefined ? [failureNotice(service, failure)] : [];
    // Whoever asks for a headless Service's Pods knows their ports, and chooses among them.
    const isNamesOnly = declaredPortsOnly && standsForPods && !isHeadless;
    const closed = isNamesOnly ? undeclaredNotices(service, pods, { view, redirects: true }) : [];
    return {
      ...{ clusterDomain, service, record, standsForPods, pods, isBalanced, state },
      written: names.written,
      notices: [...failures.filter((notice) => !isTold(view, notice)), ...closed],
    };
  },
  plan: planNames,
});

const failureNotice = (about: Service, failure: string): Notice => ({
  about,
  type: "Warning",
  reason: "SyncNameFailed",
  message: `The Service's name can't be written: ${failure}`,
  source: "names-controller",
});

const keyOfService = (service: Service): ObjectKey => ownerKey("service", service);

export function planNames(world: NamesWorld): Plan {
  const { service, record, written } = world;
  const notices = world.notices.map((notice): Action => ({ do: "tell", notice }));
  const wanted = service ? recordsOf(world, service) : [];
  if (!wanted) return { actions: record ? notices : [] };
  const names = wanted.map(({ name }) => name);
  const known = record?.spec.names ?? [];
  const fresh = names.filter((name) => !known.includes(name));
  if (service && !record) {
    if (names.length === 0) return { actions: [] };
    return { actions: [{ do: "create", resource: frontendResource, object: frontendRecord("service", service) }] };
  }
  if (!record) return { actions: [] };
  if (fresh.length > 0) return { actions: [writeNames(record, [...known, ...fresh])] };
  const dropped = known.filter((name) => !names.includes(name));
  const removals = dropped.map((name): NameRecord => ({ name, type: "A", values: [], ttlSeconds: 0 }));
  const changed = [...wanted, ...removals].filter((each) => written.get(each.name) !== JSON.stringify(each));
  const actions = [...notices];
  if (changed.length > 0) actions.push({ do: "changeNames", records: changed });
  if (dropped.length > 0) actions.push(writeNames(record, names));
  return { actions };
}

const writeNames = (record: Frontend, names: readonly string[]): Action => ({
  do: "write",
  key: keyOf(frontendResource, record),
  next: { ...record, spec: { ...record.spec, names } },
});

/** Undefined: what a name stands for now is right until the balancer that it is to stand for accepts connections. */
function recordsOf(world: NamesWorld, service: Service): NameRecord[] | undefined {
  const { spec } = service;
  const name = nameOf(service, world.clusterDomain);
  const common = { ttlSeconds: serviceTtlSeconds };
  if (spec.type === "ExternalName")
    return spec.externalName ? [{ ...common, name, type: "CNAME", values: [spec.externalName] }] : [];
  if (world.standsForPods) return podRecords(world, name);
  if (spec.clusterIP === "None") return [];
  const { isBalanced, state } = world;
  if (isBalanced && !state?.ready) return undefined;
  const { hostname } = state?.addresses[0] ?? {};
  // Where balancers have names nobody answers at the Service's own address.
  if (hostname !== undefined) return [{ ...common, name, type: "CNAME", values: [hostname] }];
  return spec.clusterIP ? [{ ...common, name, type: "A", values: [spec.clusterIP] }] : [];
}

/** All Pods under the Service's name, and each that has a host name under its own. */
function podRecords({ service, pods }: NamesWorld, name: string): NameRecord[] {
  const isPublished = (pod: Pod) => isActive(pod) && (isReady(pod) || service?.spec.publishNotReadyAddresses === true);
  const answered = pods.filter((pod) => isPublished(pod) && pod.status?.podIP);
  const record = (of: string, among: readonly Pod[]): NameRecord => ({
    name: of,
    type: "A",
    values: among.flatMap(({ status }) => status?.podIP ?? []).sort(),
    ttlSeconds: podTtlSeconds,
  });
  const hosts = answered.filter(({ spec }) => spec.hostname && spec.subdomain === service?.metadata.name);
  const own = hosts.map((pod) => record(`${pod.spec.hostname}.${name}`, [pod]));
  return answered.length > 0 ? [record(name, answered), ...own] : [];
}
