import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { Service } from "../api/types.gen.ts";
import type { BalancerSpec } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";

/** Drover's own record of what it has made at the provider for a Service, written down before it is made. */
export const frontendResource = "frontends.drover.dev";

export type Frontend = KubeObject & {
  spec: {
    service: { namespace: string; name: string; uid: string };
    /** Absent: the Service has no balancer. */
    balancer?: Omit<BalancerSpec, "targets">;
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
export const frontendKey = ({ namespace, name, uid }: Frontend["spec"]["service"]): ObjectKey => ({
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

/** A new record for a Service. */
export function frontendRecord({ metadata }: Service, balancer?: Omit<BalancerSpec, "targets">): Frontend {
  const { namespace = "", name, uid = "" } = metadata;
  return {
    apiVersion: "drover.dev/v1",
    kind: "Frontend",
    metadata: { name: frontendName(uid) },
    spec: { service: { namespace, name, uid }, ...(balancer && { balancer }), names: [] },
  };
}
