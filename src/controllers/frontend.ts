import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Service } from "../api/types.gen.ts";
import type { BalancerSpec, Listener } from "../clouds/balancer.ts";
import type { View } from "../registry/view.ts";
import type { FormerGroup } from "./targets.ts";

/** Drover's own record of what it has made at the provider for a Service, written down before it is made. */
export const frontendResource = "frontends.drover.dev";

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
    service: FrontendOwner;
    /** Absent: the Service has no balancer. */
    balancer?: BalancerRecord;
    /** Names in the machines' network. */
    names: readonly string[];
  };
};

/** Also the id of the Service's balancer. */
export const frontendName = (serviceUid: string): string => `svc-${serviceUid}`;

/** The uid of the Service that such a name stands for. */
export const frontendUid = (name: string): string | undefined =>
  name.startsWith("svc-") ? name.slice("svc-".length) : undefined;

/** Queues the Service and its record together; the namespace of this key tells where the Service is. */
export const frontendKey = ({ namespace, name, uid }: FrontendOwner): ObjectKey => ({
  resource: frontendResource,
  namespace: `${namespace}/${name}`,
  name: frontendName(uid),
});

export const serviceFrontendKey = ({ metadata }: Pick<KubeObject, "metadata">): ObjectKey =>
  frontendKey({ namespace: metadata.namespace ?? "", name: metadata.name, uid: metadata.uid ?? "" });

/** The Service of such a key, unless another has its name by now, and its record. */
export function findFrontend(view: View, key: ObjectKey): { service?: Service; record?: Frontend } {
  const [namespace = "", name = ""] = key.namespace.split("/");
  const service = view.get("services", namespace, name);
  const stored = view.get(frontendResource, "", key.name);
  return {
    ...(service && frontendName(service.metadata.uid ?? "") === key.name && { service }),
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

/** A new record for a Service. */
export function frontendRecord({ metadata }: Service, balancer?: BalancerRecord): Frontend {
  const { namespace = "", name, uid = "" } = metadata;
  return {
    apiVersion: "drover.dev/v1",
    kind: "Frontend",
    metadata: { name: frontendName(uid) },
    spec: { service: { namespace, name, uid }, ...(balancer && { balancer }), names: [] },
  };
}

const drainDefaultSeconds = 35;

/** The groups that a recorded balancer may have; an earlier version had one a listener. */
export const formerGroups = (record: Frontend | undefined): readonly FormerGroup[] =>
  record?.spec.balancer?.groups ??
  (record?.spec.balancer?.listeners ?? []).map(({ port, protocol }) => ({
    id: `${port}-${protocol}`,
    protocol: protocol === "UDP" ? "UDP" : "TCP",
    drainSeconds: drainDefaultSeconds,
  }));
