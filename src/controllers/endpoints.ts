import { isDeepStrictEqual } from "node:util";
import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Endpoint, EndpointPort, EndpointSlice, Pod, Service } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import { type EndpointGroup, fillSlices } from "./endpoint-slices.ts";
import { condition, controllerRef, isFinished, isReady, isSame, keyOf } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import { targetPort } from "./targets.ts";

const sliceResource = "endpointslices.discovery.k8s.io";
const serviceLabel = "kubernetes.io/service-name";
const managedByLabel = "endpointslice.kubernetes.io/managed-by";
const managedBy = "endpointslice-controller.k8s.io";
const legacyManagedByLabel = "endpoints.kubernetes.io/managed-by";
const legacyManagedBy = "endpoint-controller";
const headlessLabel = { "service.kubernetes.io/headless": "" };
const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";
const endpointsMax = 1_000;

type Selected = EndpointsWorld & { service: Service };

export type EndpointsWorld = {
  /** Absent once it is gone. */
  service?: Service | undefined;
  /** Pods that the Service selects. */
  pods: readonly Pod[];
  /** The ones that this controller has made. */
  slices: readonly EndpointSlice[];
  endpoints?: KubeObject | undefined;
  /** Of each Node. */
  zones: ReadonlyMap<string, string>;
};

/** EndpointSlices and Endpoints of every Service with a selector. */
export const endpointsReconciler = (view: View): Reconciler<EndpointsWorld> => ({
  name: "endpoints",
  watches: {
    services: (object) => [keyOf("services", object)],
    pods: (object) => selecting(object, view),
    [sliceResource]: ({ metadata }) => {
      const name = metadata.labels?.[serviceLabel];
      return name ? [{ resource: "services", namespace: metadata.namespace ?? "", name }] : [];
    },
    endpoints: (object) => [keyOf("services", object)],
  },
  observe({ namespace, name }) {
    const service = view.get("services", namespace, name);
    const endpoints = view.get("endpoints", namespace, name);
    if (!service) return { pods: [], slices: [], endpoints, zones: new Map() };
    if (!hasSelector(service) || service.spec.type === "ExternalName") return undefined;
    const matches = labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} });
    const pods = view.list("pods", namespace).filter(({ metadata }) => matches(metadata.labels));
    const nodes = pods.flatMap(({ spec }) => view.get("nodes", "", spec.nodeName ?? "") ?? []);
    const zones = nodes.map(
      ({ metadata }) => [metadata.name, metadata.labels?.["topology.kubernetes.io/zone"] ?? ""] as const,
    );
    const slices = view.controlledBy(sliceResource, service.metadata.uid ?? "");
    const own = slices.filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedBy);
    return { service, pods, slices: own, endpoints, zones: new Map(zones) };
  },
  plan: planEndpoints,
});

const hasSelector = ({ spec }: Service): boolean => Object.keys(spec.selector ?? {}).length > 0;

const selecting = (pod: KubeObject, view: View): ObjectKey[] =>
  view
    .list("services", pod.metadata.namespace)
    .filter(
      (service) =>
        hasSelector(service) && labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} })(pod.metadata.labels),
    )
    .map((service) => keyOf("services", service));

export function planEndpoints(world: EndpointsWorld, nowMs: number): Plan {
  const { service } = world;
  if (!service) return planRemains(world);
  const selected = { ...world, service };
  const places = placesOf(selected);
  return { actions: [...planSlices(selected, groupsOf(selected, places)), ...planLegacy(selected, places, nowMs)] };
}

/** Slices belong to their Service and go with it; the older form has no owner. */
function planRemains({ endpoints }: EndpointsWorld): Plan {
  if (endpoints?.metadata.labels?.[legacyManagedByLabel] !== legacyManagedBy) return { actions: [] };
  return { actions: [{ do: "delete", key: keyOf("endpoints", endpoints), uid: endpoints.metadata.uid ?? "" }] };
}

/** Endpoints of equal ports together, in order of their addresses. */
function groupsOf(world: Selected, places: readonly Place[]): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup>();
  for (const { ports, portsId, endpoint } of places) {
    const group = groups.get(portsId) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(portsId, group);
  }
  if (groups.size === 0) return [{ ports: portsOf(world.service, undefined), endpoints: [] }];
  return [...groups.values()];
}

const addressOf = ({ status }: Pod): string => status?.podIP ?? "";

/** Where a Pod that can be reached is, and on which ports; `portsId` is equal where they are. */
type Place = { pod: Pod; ports: EndpointPort[]; portsId: string; endpoint: Endpoint };

/** In order of their addresses. */
function placesOf(world: Selected): Place[] {
  const { service } = world;
  return world.pods
    .filter((pod) => addressOf(pod) !== "" && !isFinished(pod))
    .sort((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1))
    .map((pod) => {
      const ports = portsOf(service, pod);
      return { pod, ports, portsId: JSON.stringify(ports), endpoint: endpointOf(world, pod) };
    });
}

function portsOf({ spec }: Service, pod: Pod | undefined): EndpointPort[] {
  return (spec.ports ?? []).flatMap((port): EndpointPort[] => {
    const number = pod
      ? targetPort(port, pod)
      : typeof port.targetPort === "string"
        ? 0
        : (port.targetPort ?? port.port);
    if (number === 0) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return [{ name, protocol, port: number, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

function endpointOf({ service, zones }: Selected, pod: Pod): Endpoint {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata;
  const terminating = deletionTimestamp !== undefined;
  const serving = isReady(pod) || service.spec.publishNotReadyAddresses === true;
  const zone = zones.get(pod.spec.nodeName ?? "");
  const isNamed = pod.spec.hostname !== undefined && pod.spec.subdomain === service.metadata.name;
  return {
    addresses: [addressOf(pod)],
    conditions: { ready: serving && !terminating, serving, terminating },
    ...(isNamed && { hostname: pod.spec.hostname }),
    targetRef: { kind: "Pod", namespace, name, uid },
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    ...(zone && { zone }),
  };
}

const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === "None";

function sliceLabels(service: Service): Record<string, string> {
  const own = { [serviceLabel]: service.metadata.name, [managedByLabel]: managedBy };
  return { ...service.metadata.labels, ...own, ...(isHeadless(service) && headlessLabel) };
}

function planSlices({ service, slices }: Selected, groups: readonly EndpointGroup[]): Action[] {
  const labels = sliceLabels(service);
  const { fills, surplus } = fillSlices(slices, groups);
  const actions = fills.flatMap(({ slice, ...group }): Action[] => {
    if (!slice) {
      const metadata = {
        name: "",
        generateName: `${service.metadata.name}-`,
        namespace: service.metadata.namespace,
        labels,
        ownerReferences: [controllerRef(service)],
      };
      const object = {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata,
        addressType: "IPv4",
        ...group,
      };
      return [{ do: "create", resource: sliceResource, object }];
    }
    const now = { labels: slice.metadata.labels, ports: slice.ports ?? [], endpoints: slice.endpoints ?? [] };
    if (isSame(now, { labels, ...group })) return [];
    const next = { ...slice, metadata: { ...slice.metadata, labels }, ...group };
    return [{ do: "write", key: keyOf(sliceResource, slice), next }];
  });
  return [
    ...actions,
    ...surplus.map(
      (slice): Action => ({ do: "delete", key: keyOf(sliceResource, slice), uid: slice.metadata.uid ?? "" }),
    ),
  ];
}

type Address = { ip: string; hostname?: string; nodeName?: string; targetRef: object };
type Subset = { addresses?: Address[]; notReadyAddresses?: Address[]; ports: object[] };

/** The older form: ready and unready addresses apart, nothing that is on its way out. */
function subsetsOf(service: Service, places: readonly Place[]): Subset[] {
  const staying = places.filter(({ pod }) => pod.metadata.deletionTimestamp === undefined);
  const subsets = new Map<string, Subset>();
  for (const { pod, ports, portsId, endpoint } of staying.slice(0, endpointsMax)) {
    const { hostname, nodeName, targetRef = {} } = endpoint;
    const address: Address = {
      ip: addressOf(pod),
      ...(hostname !== undefined && { hostname }),
      ...(nodeName !== undefined && { nodeName }),
      targetRef,
    };
    const subset: Subset = subsets.get(portsId) ?? { ports: ports.map(legacyPort) };
    const isOpen = isReady(pod) || service.spec.publishNotReadyAddresses === true;
    const list = isOpen ? "addresses" : "notReadyAddresses";
    subset[list] ??= [];
    subset[list].push(address);
    subsets.set(portsId, subset);
  }
  return [...subsets.values()];
}

const legacyPort = ({ name, ...port }: EndpointPort): object => ({ ...(name && { name }), ...port });

function planLegacy(world: Selected, places: readonly Place[], nowMs: number): Action[] {
  const { service, endpoints } = world;
  const { name, namespace, labels: own } = service.metadata;
  const managed = { [legacyManagedByLabel]: legacyManagedBy };
  const labels = { ...own, ...managed, ...(isHeadless(service) && headlessLabel) };
  const subsets = subsetsOf(service, places);
  const annotations = { ...endpoints?.metadata.annotations, [triggerAnnotation]: triggerTime(world, nowMs) };
  if (!endpoints) {
    const metadata = { name, namespace, labels, annotations };
    const object = { apiVersion: "v1", kind: "Endpoints", metadata, ...(subsets.length > 0 && { subsets }) };
    return [{ do: "create", resource: "endpoints", object }];
  }
  if (isSame(endpoints["subsets"] ?? [], subsets) && isDeepStrictEqual(endpoints.metadata.labels, labels)) return [];
  const next = { ...endpoints, metadata: { ...endpoints.metadata, labels, annotations }, subsets };
  return [{ do: "write", key: keyOf("endpoints", endpoints), next }];
}

/** When the newest change began that the endpoints are to follow. */
function triggerTime({ service, pods }: Selected, nowMs: number): string {
  const times = pods.flatMap((pod) => condition(pod, "Ready")?.lastTransitionTime ?? []);
  return [...times, service.metadata.creationTimestamp ?? rfc3339(nowMs)].sort().at(-1) ?? rfc3339(nowMs);
}
