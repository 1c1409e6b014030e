import type { Simulation } from "../simulation.ts";

/** Every Deployment is complete, every machine wanted, every record and balancer needed. */
export const settled = (simulation: Simulation): boolean => leftOver(simulation).length === 0;

/** What keeps the world from being at rest, in words. */
export function leftOver({ view, world, strangers }: Simulation): string[] {
  const deployments = view.list("deployments.apps");
  const incomplete = deployments
    .filter(({ metadata, spec, status }) => {
      const replicas = spec.replicas ?? 1;
      const { observedGeneration, updatedReplicas = 0, availableReplicas = 0, replicas: present = 0 } = status ?? {};
      return (
        observedGeneration !== metadata.generation ||
        [updatedReplicas, availableReplicas, present].some((n) => n !== replicas)
      );
    })
    .map(({ metadata, status }) => `Deployment ${metadata.name} is not complete: ${JSON.stringify(status)}`);
  const nowMs = world.clock.monotonicMs();
  const wanted = deployments.reduce((sum, { spec }) => sum + (spec.replicas ?? 1), 0);
  const living = [...world.machines.values()].filter(({ id, goneAtMs }) => goneAtMs > nowMs && !strangers.includes(id));
  const services = view.list("services").filter(({ spec }) => Object.keys(spec.selector ?? {}).length > 0);
  const doors = services.length + view.list("ingresses.networking.k8s.io").length;
  return [
    ...incomplete,
    ...(living.length === wanted ? [] : [`${living.length} machines live, ${wanted} are wanted`]),
    ...(view.list("pods").length === wanted ? [] : [`${view.list("pods").length} Pods, ${wanted} are wanted`]),
    ...(world.balancers.size === doors
      ? []
      : [`${world.balancers.size} balancers for ${doors} Services and Ingresses`]),
  ];
}
