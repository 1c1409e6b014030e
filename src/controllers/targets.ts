import type { Pod, Service, ServicePort } from "../api/types.gen.ts";
import type { BalancerSpec, Listener, Machine, Target } from "../clouds/cloud.ts";
import { condition, isActive } from "./owned.ts";

/** A port of a Service on one of its Pods; 0 where the Pod has none of that name. */
export function targetPort({ targetPort: wanted, port, protocol = "TCP" }: ServicePort, pod: Pod): number {
  if (typeof wanted !== "string") return wanted ?? port;
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const ports = containers.flatMap((container) => container.ports ?? []);
  return ports.find((each) => each.name === wanted && (each.protocol ?? "TCP") === protocol)?.containerPort ?? 0;
}

const balanced = ({ spec }: Service): readonly ServicePort[] =>
  (spec.ports ?? []).filter(({ protocol = "TCP" }) => protocol === "TCP" || protocol === "UDP");

const listenersOf = (service: Service): Listener[] =>
  balanced(service).map(({ port, protocol }) => ({ port, protocol: protocol === "UDP" ? "UDP" : "TCP" }));

/** A Pod that the Service selects, and its machine. */
export type Candidate = { pod: Pod; machine: Machine };

/** A target that a balancer has now, and may send connections to. */
export type Present = { machineId: string; address: string; ports: readonly number[] };

export type TargetsWorld = {
  service: Service;
  candidates: readonly Candidate[];
  /** Not yet drained. */
  present: readonly Present[];
};

const serves = (service: Service, { pod, machine }: Candidate): boolean =>
  isActive(pod) &&
  machine.state === "running" &&
  (service.spec.publishNotReadyAddresses === true || condition(pod, "ContainersReady")?.status === "True");

/** Machines that are to get connections, then those that keep the ones they have, each in order of id. */
export function planTargets({ service, candidates, present }: TargetsWorld): Target[] {
  const active = candidates.flatMap((candidate): Target[] => {
    const { id, address } = candidate.machine;
    const ports = balanced(service).map((port) => targetPort(port, candidate.pod));
    if (address === undefined || !serves(service, candidate) || ports.every((port) => port === 0)) return [];
    return [{ machineId: id, address, ports, draining: false }];
  });
  const taken = new Set(active.map(({ machineId }) => machineId));
  const leaving = present.filter(({ machineId }) => !taken.has(machineId)).map((each) => ({ ...each, draining: true }));
  const byId = (a: Target, b: Target) => (a.machineId < b.machineId ? -1 : 1);
  return [...active.sort(byId), ...leaving.sort(byId)];
}

/** What the balancer of a Service should be, but for its targets. */
export function balancerOf(service: Service, id: string, cluster: string): Omit<BalancerSpec, "targets"> {
  const { namespace, name, annotations } = service.metadata;
  const { type, clusterIP } = service.spec;
  const isInternal = annotations?.["service.beta.kubernetes.io/aws-load-balancer-scheme"] === "internal";
  return {
    id,
    cluster,
    name: `${namespace}/${name}`,
    scheme: type === "LoadBalancer" && !isInternal ? "internet-facing" : "internal",
    ...(clusterIP && clusterIP !== "None" && { clusterAddress: clusterIP }),
    listeners: listenersOf(service),
  };
}
