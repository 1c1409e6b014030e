import type { Deployment, Pod } from "../../../src/api/types.gen.ts";
import type { Simulation } from "../simulation.ts";

const bound = (value: number | string | undefined, replicas: number, round: (share: number) => number): number =>
  typeof value === "string" ? round((Number.parseInt(value, 10) * replicas) / 100) : (value ?? 0);

const podsOf = (simulation: Simulation, deployment: Deployment): readonly Pod[] => {
  const sets = simulation.view.controlledBy("replicasets.apps", deployment.metadata.uid ?? "");
  return sets.flatMap((set) => simulation.view.controlledBy("pods", set.metadata.uid ?? ""));
};
const isActive = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined && !["Succeeded", "Failed"].includes(status?.phase ?? "");
const isReady = (pod: Pod): boolean =>
  isActive(pod) && (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/** Never more active Pods than replicas + maxSurge, counting the largest size since the last time it was at rest. */
export function surgeBound(simulation: Simulation): string[] {
  return simulation.view.list("deployments.apps").flatMap((deployment) => {
    const replicas = Math.max(deployment.spec.replicas ?? 1, simulation.recentReplicas(deployment.metadata.name).max);
    const most = replicas + bound(deployment.spec.strategy?.rollingUpdate?.maxSurge, replicas, Math.ceil);
    const active = podsOf(simulation, deployment).filter(isActive).length;
    return active > most ? [`${deployment.metadata.name} has ${active} Pods, ${most} at most`] : [];
  });
}

/** Never fewer available than replicas − maxUnavailable once they were there, while no machine dies and nobody deletes Pods. */
export function availabilityFloor(simulation: Simulation): string[] {
  if (simulation.disturbed) return [];
  return simulation.view.list("deployments.apps").flatMap((deployment) => {
    const { name } = deployment.metadata;
    const { min, reached } = simulation.recentReplicas(name);
    if (!reached || deployment.metadata.deletionTimestamp !== undefined) return [];
    const least = min - bound(deployment.spec.strategy?.rollingUpdate?.maxUnavailable, min, Math.floor);
    const ready = podsOf(simulation, deployment).filter(isReady).length;
    return ready < least ? [`${name} has ${ready} ready Pods, ${least} at least`] : [];
  });
}
