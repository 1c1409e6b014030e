import type { KubeObject } from "../api/object.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { balancerNotices } from "./balancing.ts";
import { type FrontendKind, frontendName } from "./frontend.ts";
import { hasBalancer } from "./gates.ts";
import { foreignClass } from "./ingress-class.ts";
import type { NamesOnly } from "./names-only.ts";
import type { Notice } from "./reconciler.ts";

export type UnobservedOptions = { view: View; book: Pick<BalancerBook, "state">; namesOnly: NamesOnly };

/**
 * What Services and Ingresses that wait for their balancer are told when balancers can't be looked at: until they can,
 * none is made. Each is told once.
 */
export function unobservedNotices(failure: string, { view, book, namesOnly }: UnobservedOptions): Notice[] {
  const waits = (kind: FrontendKind, { metadata }: KubeObject) =>
    metadata.deletionTimestamp === undefined && !book.state(frontendName(kind, metadata.uid ?? ""))?.ready;
  const services = view.list("services").filter((each) => hasBalancer(each, namesOnly) && waits("service", each));
  const ingresses = view
    .list("ingresses.networking.k8s.io")
    .filter((each) => foreignClass(view, each) === undefined && waits("ingress", each));
  return [...services, ...ingresses].flatMap((about) => balancerNotices(about, { view, state: undefined, failure }));
}
