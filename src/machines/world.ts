import type { Pod, ServiceAccountTokenProjection } from "../api/types.gen.ts";
import type { Surroundings } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";

/** All that a Pod's binding depends on. */
export type BindingWorld = {
  pod: Pod;
  /** The machine's IPv4 address, which is the Pod's. */
  address: string;
  /** Name of the Pod's Node. */
  node: string;
  view: View;
  surroundings: Surroundings;
  /** `cluster.local`. */
  clusterDomain: string;
  /** A token of the Pod's service account, made for this projection. */
  tokenFor: (projection: ServiceAccountTokenProjection) => string;
  /** What a Service's environment variables name as its host. Default: its cluster IP. */
  serviceHost?: (service: { name: string; namespace: string; clusterIP: string }) => string;
};

/** A container of the Pod can't be made yet; the text is `Reason: message`, as its status shows it. */
export class NotReadyToBind extends Error {
  override readonly name = "NotReadyToBind";
}

export const configError = (message: string): NotReadyToBind =>
  new NotReadyToBind(`CreateContainerConfigError: ${message}`);

export const namespaceOf = (pod: Pod): string => pod.metadata.namespace ?? "default";

/** Keys and contents of a ConfigMap or Secret, or undefined when there is no such object. */
export function contentsOf(
  { pod, view }: BindingWorld,
  kind: "configmap" | "secret",
  name: string,
): Map<string, Buffer> | undefined {
  if (kind === "secret") {
    const secret = view.get("secrets", namespaceOf(pod), name);
    return (
      secret && new Map(Object.entries(secret.data ?? {}).map(([key, data]) => [key, Buffer.from(data, "base64")]))
    );
  }
  const map = view.get("configmaps", namespaceOf(pod), name);
  if (!map) return undefined;
  const texts = Object.entries(map.data ?? {}).map(([key, text]) => [key, Buffer.from(text)] as const);
  const binaries = Object.entries(map.binaryData ?? {}).map(
    ([key, data]) => [key, Buffer.from(data, "base64")] as const,
  );
  return new Map([...texts, ...binaries]);
}
