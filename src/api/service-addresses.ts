import { equal } from "./equal.ts";
import type { Service, ServiceSpec } from "./types.gen.ts";

const hasAddress = ({ type }: ServiceSpec): boolean => type !== "ExternalName";
const hasNodePorts = ({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean =>
  type === "NodePort" || (type === "LoadBalancer" && allocateLoadBalancerNodePorts !== false);
const hasHealthPort = ({ type, externalTrafficPolicy }: ServiceSpec): boolean =>
  type === "LoadBalancer" && externalTrafficPolicy === "Local";
const isReachable = ({ type, externalIPs }: ServiceSpec): boolean =>
  type === "NodePort" || type === "LoadBalancer" || (type === "ClusterIP" && (externalIPs?.length ?? 0) > 0);

/** A client that writes one of the two address fields means both. */
function pairAddresses(next: ServiceSpec, old: ServiceSpec): void {
  if (next.clusterIP === old.clusterIP || !equal(next.clusterIPs, old.clusterIPs)) return;
  if (next.clusterIP === undefined || next.clusterIP === "") delete next.clusterIPs;
  else next.clusterIPs = [next.clusterIP];
}

/** What the server once chose stays, where the client left it out and still needs it. */
function keepChoices(next: ServiceSpec, old: ServiceSpec): void {
  if (hasAddress(old) && hasAddress(next)) {
    next.clusterIP ||= old.clusterIP;
    if (next.clusterIP === old.clusterIP) next.clusterIPs ??= old.clusterIPs;
    next.ipFamilies ??= old.ipFamilies;
    next.ipFamilyPolicy ??= old.ipFamilyPolicy;
  }
  if (hasNodePorts(old) && hasNodePorts(next)) {
    const used = new Set((next.ports ?? []).map(({ nodePort }) => nodePort));
    for (const port of next.ports ?? []) {
      const before = old.ports?.find(({ name }) => name === port.name)?.nodePort;
      if (port.nodePort !== undefined || before === undefined || used.has(before)) continue;
      port.nodePort = before;
      used.add(before);
    }
  }
  if (hasHealthPort(old) && hasHealthPort(next)) next.healthCheckNodePort ??= old.healthCheckNodePort;
}

/** Leaves out of `next` what the client repeated from the old type and the new one cannot have. */
function dropLeftovers(next: ServiceSpec, old: ServiceSpec): void {
  const drop = (...names: (keyof ServiceSpec)[]) => {
    for (const name of names) if (equal(next[name], old[name])) delete next[name];
  };
  if (hasAddress(old) && !hasAddress(next))
    drop("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy");
  if (hasNodePorts(old) && !hasNodePorts(next)) {
    const ports = (spec: ServiceSpec) => spec.ports?.map(({ nodePort }) => nodePort);
    if (equal(ports(next), ports(old))) for (const port of next.ports ?? []) delete port.nodePort;
  }
  if (hasHealthPort(old) && !hasHealthPort(next)) drop("healthCheckNodePort");
  if (!hasAddress(old) && hasAddress(next)) drop("externalName");
  if (old.type === "LoadBalancer" && next.type !== "LoadBalancer") {
    drop("allocateLoadBalancerNodePorts", "loadBalancerClass");
  }
  if (isReachable(old) && !isReachable(next)) drop("externalTrafficPolicy");
}

const isHeadlessWithoutSelector = ({ clusterIP, selector }: ServiceSpec): boolean =>
  clusterIP === "None" && Object.keys(selector ?? {}).length === 0;

/** What needs no address: which families a Service has, as far as this IPv4 cluster decides it, in place. */
export function completeFamilies(spec: ServiceSpec): void {
  if (spec.clusterIP !== undefined) spec.clusterIPs ??= [spec.clusterIP];
  if (!hasAddress(spec)) return;
  const bare = isHeadlessWithoutSelector(spec);
  spec.ipFamilyPolicy ??= bare ? "RequireDualStack" : "SingleStack";
  const addresses = (spec.clusterIPs ?? []).filter((address) => address !== "None");
  if (addresses.length > 0) spec.ipFamilies ??= addresses.map((address) => (address.includes(":") ? "IPv6" : "IPv4"));
  spec.ipFamilies ??= bare && spec.ipFamilyPolicy !== "SingleStack" ? ["IPv4", "IPv6"] : ["IPv4"];
}

/** Makes a Service's new spec complete with what the old one was given, in place. */
export function completeServiceUpdate(next: Service, old: Service): void {
  const [spec, before] = [next.spec, old.spec];
  if (!spec || !before) return;
  pairAddresses(spec, before);
  keepChoices(spec, before);
  dropLeftovers(spec, before);
  completeFamilies(spec);
  if (spec.type !== "LoadBalancer") next.status = { ...next.status, loadBalancer: {} };
}
