import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Ingress, Service } from "../api/types.gen.ts";
import type { BalancerSpec, Listener } from "../clouds/balancer.ts";
import type { View } from "../registry/view.ts";
import type { FormerGroup } from "./targets.ts";

/** Drover's own record of what it has made at the provider for a Service or an Ingress, written down before it is made. */
export const frontendResource = "frontends.drover.dev";

/** What a record is for. */
export type FrontendKind = "service" | "ingress";
const prefixes = { service: "svc-", ingress: "ing-" } as const;
const resources = { service: "services", ingress: "ingresses.networking.k8s.io" } as const;

/** A balancer without what changes by the minute or must not be kept: no targets, no rules, no private keys. */
export type BalancerRecord = Omit<BalancerSpec, "listeners" | "groups"> & {
  listeners: readonly Pick<Listener, "port" | "protocol">[];
  /** Absent in the records of earlier versions. */
  groups?: readonly FormerGroup[];
};

/** The object that a record is for. */
export type FrontendOwner = { namespace: string; name: string; uid: string };

export type Frontend = KubeObject & {
  spec: {
    /** One of these two. */
    service?: FrontendOwner;
    ingress?: FrontendOwner;
    /** Absent: there is no balancer. */
    balancer?: BalancerRecord;
    /** Names in the machines' network. */
    names: readonly string[];
  };
};

/** Also the id of the balancer of the Service or Ingress with this uid. */
export const frontendName = (kind: FrontendKind, uid: string): string => prefixes[kind] + uid;

/** The uid of the Service or Ingress that such a name stands for. */
export const frontendUid = (kind: FrontendKind, name: string): string | undefined =>
  name.startsWith(prefixes[kind]) ? name.slice(prefixes[kind].length) : undefined;

/** Queues an object and its record together; the namespace of this key tells where the object is. */
const frontendKey = (kind: FrontendKind, { namespace, name, uid }: FrontendOwner): ObjectKey => ({
  resource: frontendResource,
  namespace: `${namespace}/${name}`,
  name: frontendName(kind, uid),
});

const ownerOf = ({ metadata }: Pick<KubeObject, "metadata">): FrontendOwner => ({
  namespace: metadata.namespace ?? "",
  name: metadata.name,
  uid: metadata.uid ?? "",
});

export const ownerKey = (kind: FrontendKind, object: Pick<KubeObject, "metadata">): ObjectKey =>
  frontendKey(kind, ownerOf(object));

/** The key of what a record is for, if it is of this kind. */
export function recordKey(kind: FrontendKind, object: KubeObject): ObjectKey[] {
  const owner = isFrontend(object) ? object.spec[kind] : undefined;
  return owner ? [frontendKey(kind, owner)] : [];
}

type Owners = { service: Service; ingress: Ingress };

/** The object of such a key, unless another has its name by now, and its record. */
export function findFrontend<K extends FrontendKind>(
  view: View,
  kind: K,
  key: ObjectKey,
): { object?: Owners[K]; record?: Frontend } {
  const [namespace = "", name = ""] = key.namespace.split("/");
  const object: KubeObject | undefined = view.get(resources[kind], namespace, name);
  const stored = view.get(frontendResource, "", key.name);
  const isIt = object && frontendName(kind, object.metadata.uid ?? "") === key.name;
  return {
    ...(isIt && { object: object as Owners[K] }), // By its resource.
    ...(stored && isFrontend(stored) && { record: stored }),
  };
}

export const isFrontend = (object: KubeObject): object is Frontend => object.kind === "Frontend";

/** What is written down of a balancer. */
export const recordOf = ({ listeners, groups, ...rest }: BalancerSpec): BalancerRecord => ({
  ...rest,
  listeners: listeners.map(({ port, protocol }) => ({ port, protocol })),
  groups: groups.map(({ targets: _, ...group }) => group),
});

/** A new record. */
export const frontendRecord = (
  kind: FrontendKind,
  object: Pick<KubeObject, "metadata">,
  balancer?: BalancerRecord,
): Frontend => ({
  apiVersion: "drover.dev/v1",
  kind: "Frontend",
  metadata: { name: frontendName(kind, object.metadata.uid ?? "") },
  spec: { [kind]: ownerOf(object), ...(balancer && { balancer }), names: [] },
});

const drainDefaultSeconds = 35;

/** The groups that a recorded balancer may have; an earlier version had one a listener. */
export const formerGroups = (record: Frontend | undefined): readonly FormerGroup[] =>
  record?.spec.balancer?.groups ??
  (record?.spec.balancer?.listeners ?? []).map(({ port, protocol }) => ({
    id: `${port}-${protocol}`,
    protocol: protocol === "UDP" ? "UDP" : "TCP",
    drainSeconds: drainDefaultSeconds,
  }));
