import { badRequest } from "../api/status.ts";
import type { Pod } from "../api/types.gen.ts";
import { find } from "./read.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";

const defaultContainer = "kubectl.kubernetes.io/default-container";

/** A Pod that a stream is wanted from. `machineId` is empty while it has no machine. */
export type PodTarget = { pod: Pod; machineId: string };

/** @throws 404 */
export function podOf(context: Context, target: Target): PodTarget {
  const pod = find(context, target).object as Pod; // Validated before it was stored.
  return { pod, machineId: pod.spec?.nodeName ?? "" };
}

/** The container that is meant: the one named, the only one, or the Pod's default. @throws 400 */
export function containerOf({ metadata, spec }: Pod, wanted: string): string {
  const names = (list: readonly { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
  const containers = names(spec?.containers);
  const others = [...names(spec?.initContainers), ...names(spec?.ephemeralContainers)];
  const pod = metadata?.name ?? "";
  if (wanted !== "") {
    if (containers.includes(wanted) || others.includes(wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${pod}`);
  }
  const usual = metadata?.annotations?.[defaultContainer];
  if (usual !== undefined && containers.includes(usual)) return usual;
  const [only = ""] = containers;
  if (containers.length === 1) return only;
  const init = names(spec?.initContainers);
  const more = init.length > 0 ? ` or one of the init containers: [${init.join(" ")}]` : "";
  throw badRequest(
    `a container name must be specified for pod ${pod}, choose one of: [${containers.join(" ")}]${more}`,
  );
}

/** The machine to reach. @throws 400 while the Pod has none */
export function machineOf({ pod, machineId }: PodTarget): string {
  if (machineId !== "") return machineId;
  throw badRequest(`pod ${pod.metadata?.name ?? ""} does not have a host assigned`);
}
