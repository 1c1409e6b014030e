import type { KubeObject, ObjectKey, Resource } from "../api/object.ts";
import type {
  ConfigMap,
  Deployment,
  EndpointSlice,
  Event,
  Ingress,
  IngressClass,
  Lease,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  ServiceAccount,
  StorageClass,
} from "../api/types.gen.ts";
import type { Launch, Machine } from "../clouds/cloud.ts";

/**
 * A launch that was written down before it was made. `done` once the provider has answered or the call was given up;
 * `machines` is what it gave, by slot. A record is deleted when every machine of it is gone.
 */
export type LaunchRecord = KubeObject & {
  apiVersion: "drover.dev/v1";
  kind: "Launch";
  spec: Launch & { requestedAt: string };
  status?: { done: boolean; machines: Machine[]; failure?: { code: string; message: string } };
};

/** The kinds that drover's own code reads by their shape; every other kind is a KubeObject. */
type Shapes = {
  pods: Pod;
  services: Service;
  configmaps: ConfigMap;
  secrets: Secret;
  namespaces: Namespace;
  serviceaccounts: ServiceAccount;
  nodes: Node;
  persistentvolumes: PersistentVolume;
  persistentvolumeclaims: PersistentVolumeClaim;
  "storageclasses.storage.k8s.io": StorageClass;
  events: Event;
  "deployments.apps": Deployment;
  "replicasets.apps": ReplicaSet;
  "endpointslices.discovery.k8s.io": EndpointSlice;
  "ingresses.networking.k8s.io": Ingress;
  "ingressclasses.networking.k8s.io": IngressClass;
  "leases.coordination.k8s.io": Lease;
  "launches.drover.dev": LaunchRecord;
};
export type ShapeOf<R extends Resource> = R extends keyof Shapes ? Shapes[R] : KubeObject;
export type KeyOf<R extends Resource> = ObjectKey & { resource: R };

/** The watch cache as readers see it: parsed objects, shared and frozen by convention; nobody may change one. */
export interface View {
  get<R extends Resource>(resource: R, namespace: string, name: string): ShapeOf<R> | undefined;
  /** Without `namespace`: of all namespaces. In key order. */
  list<R extends Resource>(resource: R, namespace?: string): readonly ShapeOf<R>[];
  /** Objects of `resource` whose controller is the object with this UID. */
  controlledBy<R extends Resource>(resource: R, ownerUid: string): readonly ShapeOf<R>[];
}

/** Called after a change is durable and visible in the view, in commit order. */
export type ViewListener = (change: { key: ObjectKey; before?: KubeObject; after?: KubeObject }) => void;
