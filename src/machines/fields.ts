import { bytes, cpuMillis } from "../api/quantity.ts";
import type { Container, ResourceFieldSelector } from "../api/types.gen.ts";
import { machineOverhead, machineSize } from "./sizing.ts";
import { type BindingWorld, configError, namespaceOf } from "./world.ts";

/** The value of a field reference of the downward API. @throws NotReadyToBind for a field that there isn't */
export function fieldValue(world: BindingWorld, path: string): string {
  const { pod, address, node } = world;
  const member = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (member) return (member[1] === "labels" ? pod.metadata.labels : pod.metadata.annotations)?.[member[2] ?? ""] ?? "";
  const values: Record<string, () => string> = {
    "metadata.name": () => pod.metadata.name,
    "metadata.namespace": () => namespaceOf(pod),
    "metadata.uid": () => pod.metadata.uid ?? "",
    "metadata.labels": () => listed(pod.metadata.labels),
    "metadata.annotations": () => listed(pod.metadata.annotations),
    "spec.nodeName": () => node,
    "spec.serviceAccountName": () => pod.spec.serviceAccountName ?? "default",
    "status.podIP": () => address,
    "status.podIPs": () => address,
    "status.hostIP": () => address,
    "status.hostIPs": () => address,
  };
  const value = Object.hasOwn(values, path) ? values[path] : undefined;
  if (!value) throw configError(`unsupported fieldPath: ${path}`);
  return value();
}

/** One `key="value"` a line, sorted, as a volume of the downward API holds labels. */
const listed = (values: Record<string, string> | undefined): string =>
  Object.entries(values ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");

/** The value of a resource reference, in units of its divisor, rounded up. A missing limit is the machine's size. */
export function resourceValue(world: BindingWorld, selector: ResourceFieldSelector, own?: Container): string {
  const { containers, initContainers = [] } = world.pod.spec;
  const named = [...containers, ...initContainers].find(({ name }) => name === selector.containerName);
  const container = selector.containerName ? named : own;
  if (!container) throw configError(`container ${selector.containerName ?? ""} not found`);
  const dot = selector.resource.indexOf(".");
  const [family, resource] = [selector.resource.slice(0, dot), selector.resource.slice(dot + 1)];
  const { limits, requests } = container.resources ?? {};
  const asked = family === "requests" ? requests?.[resource] : limits?.[resource];
  const units = resource === "cpu" ? cpuMillis : bytes;
  const amount = asked === undefined ? (family === "limits" ? allocatable(world, resource) : 0) : units(asked);
  const divisor = units(selector.divisor) || units("1");
  return String(Math.ceil(amount / divisor));
}

function allocatable({ view, node, pod }: BindingWorld, resource: string): number {
  const told = view.get("nodes", "", node)?.status?.allocatable?.[resource];
  if (told !== undefined) return resource === "cpu" ? cpuMillis(told) : bytes(told);
  const size = machineSize(pod.spec);
  if (resource === "cpu") return size.cpuMillis - machineOverhead.cpuMillis;
  if (resource === "memory") return size.memoryBytes - machineOverhead.memoryBytes;
  return resource === "ephemeral-storage" ? size.diskBytes - machineOverhead.diskBytes : 0;
}
