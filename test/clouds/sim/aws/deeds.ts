import type { Deployment, Service } from "../../../../src/api/types.gen.ts";
import { launchTag } from "../../../../src/clouds/aws/tags.ts";
import { stateAt } from "../../../../src/clouds/sim/aws/instances.ts";
import { receivingAt } from "../../../../src/clouds/sim/aws/target-health.ts";
import { manager, webDeployment, webService } from "../../../controllers/cluster.ts";
import type { Drover } from "./drover.ts";

/** Machines that run or will. */
export const living = ({ world, clock }: Drover) =>
  [...world.instances.values()].filter((one) => ["pending", "running"].includes(stateAt(one, clock.monotonicMs())));

/** Instances that get connections, and answer none. */
export function losing({ world, clock }: Drover): string[] {
  const nowMs = clock.monotonicMs();
  return receivingAt(world, nowMs).flatMap(({ instanceId, port }) => {
    const instance = world.instances.get(instanceId);
    const serves = instance && stateAt(instance, nowMs) === "running" && world.bodies.serving(instance, port).serves;
    return serves ? [] : [instanceId];
  });
}

const deployment = ({ client }: Drover) => client.view.get("deployments.apps", "default", "web");

/** The rollout is over, and all of its Pods are available. */
export function isDone(drover: Drover, replicas: number): boolean {
  const found = deployment(drover);
  const { status } = found ?? {};
  return (
    status?.observedGeneration === found?.metadata.generation &&
    status?.updatedReplicas === replicas &&
    status?.availableReplicas === replicas &&
    status?.replicas === replicas
  );
}

const key = { resource: "deployments.apps", namespace: "default", name: "web" } as const;

/** The Deployment and its Service, made or changed. */
export async function apply({ client }: Drover, replicas: number, image: string): Promise<void> {
  if (client.view.get(key.resource, key.namespace, key.name) === undefined) {
    await client.create("services", webService() as Service, manager);
    await client.create(key.resource, webDeployment(replicas, image) as Deployment, manager);
    return;
  }
  const changed = (current: Deployment): Deployment => {
    const wanted = webDeployment(replicas, image) as Deployment;
    return { ...current, spec: { ...current.spec, replicas, template: wanted.spec.template } };
  };
  await client.update(key, changed, manager);
}

export async function remove({ client }: Drover): Promise<void> {
  await client.delete(key, {});
  await client.delete({ ...key, resource: "services" }, {});
}

/** What must hold however often drover died: one machine a slot, ever, and one load balancer. */
export function duplicates({ world }: Drover): string[] {
  const slots = [...world.instances.values()].map(({ tags, launchIndex }) => `${tags.get(launchTag)} ${launchIndex}`);
  const twice = slots.filter((slot, index) => slots.indexOf(slot) !== index);
  return [...twice, ...[...world.loadBalancers.values()].slice(1).map(({ name }) => name)];
}
