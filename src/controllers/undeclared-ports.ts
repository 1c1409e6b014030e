import type { Pod, Service } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { isTold } from "./events.ts";
import { isActive } from "./owned.ts";
import type { Notice } from "./reconciler.ts";
import { isRedirected } from "./redirected-ports.ts";
import { targetPort } from "./targets.ts";

/** Ports that a container of the Pod declares, `80/TCP`. */
const declaredBy = ({ spec }: Pod): Set<string> =>
  new Set(
    [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ ports = [] }) =>
      ports.map(({ containerPort, protocol = "TCP" }) => `${containerPort}/${protocol}`),
    ),
  );

/**
 * What is told of a Service whose Pods don't declare the port that its clients come in by, where machines are open on
 * declared ports alone: nobody would get an answer. `redirects`: it has no balancer, and what comes by a port that the
 * machines redirect is let in all the same.
 */
export function undeclaredNotices(
  about: Service,
  pods: readonly Pod[],
  { view, redirects }: { view: View; redirects: boolean },
): Notice[] {
  const asked = (about.spec.ports ?? []).filter((port) => !(redirects && isRedirected(port)));
  const missing = pods.filter(isActive).flatMap((pod) => {
    const declared = declaredBy(pod);
    const ports = asked.filter((port) => targetPort(port, pod) !== 0);
    const needed = ports.map((port) => `${targetPort(port, pod)}/${port.protocol ?? "TCP"}`);
    return needed.filter((text) => !declared.has(text));
  });
  return [...new Set(missing)].flatMap((port): Notice[] => {
    const message =
      `Nobody reaches port ${port} of the Service's Pods: machines are open on declared ports alone, and no container ` +
      "declares it. Add it to the containers' ports (containerPort).";
    const notice: Notice = { about, type: "Warning", reason: "UndeclaredPort", message, source: "service-controller" };
    return isTold(view, notice) ? [] : [notice];
  });
}
