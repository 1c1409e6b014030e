import type { Pod, ServiceAccountTokenProjection } from "../api/types.gen.ts";
import type { Binding, Redirect } from "../clouds/box.ts";
import type { Cloud, Surroundings } from "../clouds/cloud.ts";
import { bindingFor } from "../machines/binding.ts";
import type { Client } from "../registry/client.ts";
import type { View } from "../registry/view.ts";
import { isApi } from "./api-service.ts";
import { type NamesOnly, nameOf } from "./names-only.ts";
import { redirectsOf } from "./redirected-ports.ts";

export type BindingOptions = {
  client: Client;
  cloud: Cloud;
  /** Last part of every Service's name. Default: `cluster.local`. */
  clusterDomain?: string;
  /** Port of each machine's own loopback that leads to the API; absent: machines have no way to it. */
  apiRoadPort?: number;
  /** Makes a token of the Pod's service account. Without it the Pods' token files are empty. */
  tokenFor?: (pod: Pod, projection: ServiceAccountTokenProjection) => string;
};

/** What each machine is told of its Pod, from the objects as they are when it is asked for. */
export function openBindings({
  client,
  cloud,
  clusterDomain = "cluster.local",
  tokenFor,
  apiRoadPort,
  namesOnly,
}: BindingOptions & { namesOnly: NamesOnly }) {
  let surroundings: Surroundings | undefined;
  return async (pod: Pod, machineId: string, address: string): Promise<Binding> => {
    surroundings ??= await cloud.surroundings();
    const addressless = surroundings.namesOnly === true;
    const redirects = [...redirectsOf(client.view, namesOnly, pod), ...apiRedirects(client.view, apiRoadPort)];
    const binding = bindingFor({
      pod,
      address,
      node: machineId,
      view: client.view,
      surroundings,
      clusterDomain,
      tokenFor: (projection) => tokenFor?.(pod, projection) ?? "",
      serviceHost: ({ name, namespace, clusterIP }) => {
        const service = client.view.get("services", namespace, name);
        const hasName = service && (namesOnly(service) || (addressless && !isApi(service)));
        return hasName ? nameOf(service, clusterDomain) : clusterIP;
      },
    });
    return { ...binding, ...(redirects.length > 0 && { redirects }) };
  };
}

/** Pods reach the API at the address of the Service `kubernetes`, wherever it listens. */
function apiRedirects(view: View, targetPort: number | undefined): Redirect[] {
  const address = view.get("services", "default", "kubernetes")?.spec.clusterIP;
  return address && targetPort !== undefined ? [{ address, port: 443, targetPort, protocol: "TCP" }] : [];
}
