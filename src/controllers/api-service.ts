import type { KubeObject } from "../api/object.ts";
import type { Service } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";

/** Where the API listens, as the machines' network has it. */
export type ApiAddress = { address: string; port: number };

export type ApiServiceWorld = {
  api?: ApiAddress | undefined;
  service?: Service | undefined;
  endpoints?: KubeObject | undefined;
  slice?: KubeObject | undefined;
};

const name = "kubernetes";
const namespace = "default";
/** The first address for Services, as in every cluster: the server's certificate names it. */
export const apiClusterAddress = "10.96.0.1";
const labels = { component: "apiserver", provider: "kubernetes" };
const sliceResource = "endpointslices.discovery.k8s.io";
const own = (object: KubeObject) => (isApi(object) ? [{ resource: "services", namespace, name }] : []);

/** Whether it is the Service, or what goes with it, by which Pods know the API. */
export const isApi = ({ metadata }: Pick<KubeObject, "metadata">): boolean =>
  metadata.name === name && metadata.namespace === namespace;

/** The Service by which Pods know the API: always there, whatever becomes of its endpoints. */
export const apiServiceReconciler = (view: View, api: ApiAddress | undefined): Reconciler<ApiServiceWorld> => ({
  name: "api-service",
  watches: {
    services: own,
    endpoints: own,
    [sliceResource]: own,
    namespaces: ({ metadata }) => (metadata.name === namespace ? [{ resource: "services", namespace, name }] : []),
  },
  observe: () => ({
    api,
    service: view.get("services", namespace, name),
    endpoints: view.get("endpoints", namespace, name),
    slice: view.get(sliceResource, namespace, name),
  }),
  plan: planApiService,
});

function planApiService({ api, service, endpoints, slice }: ApiServiceWorld): Plan {
  const actions: Action[] = [];
  const metadata = { name, namespace };
  if (!service) {
    const ports = [{ name: "https", protocol: "TCP", port: 443, targetPort: api?.port ?? 443 }];
    const object = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, labels },
      spec: { type: "ClusterIP", clusterIP: apiClusterAddress, ports },
    };
    actions.push({ do: "create", resource: "services", object });
  }
  const ports = [{ name: "https", port: api?.port ?? 443, protocol: "TCP" }];
  const subsets = api ? [{ addresses: [{ ip: api.address }], ports }] : [];
  const skip = { "endpointslice.kubernetes.io/skip-mirror": "true" };
  const legacy = { apiVersion: "v1", kind: "Endpoints", metadata: { ...metadata, labels: skip }, subsets };
  if (!endpoints) actions.push({ do: "create", resource: "endpoints", object: legacy });
  else if (!isSame(endpoints["subsets"] ?? [], subsets)) {
    actions.push({ do: "write", key: keyOf("endpoints", endpoints), next: { ...endpoints, subsets } });
  }
  const served = api ? [{ addresses: [api.address], conditions: { ready: true } }] : [];
  const part = { addressType: "IPv4", endpoints: served, ports };
  const sliceLabels = { "kubernetes.io/service-name": name };
  const object = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: sliceLabels },
    ...part,
  };
  if (!slice) actions.push({ do: "create", resource: sliceResource, object });
  else if (!isSame({ endpoints: slice["endpoints"] ?? [], ports: slice["ports"] }, { endpoints: served, ports })) {
    actions.push({ do: "write", key: keyOf(sliceResource, slice), next: { ...slice, ...part } });
  }
  return { actions };
}
