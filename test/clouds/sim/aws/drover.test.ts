import { expect, test } from "vitest";
import type { Deployment, Service } from "../../../../src/api/types.gen.ts";
import { launchTag } from "../../../../src/clouds/aws/tags.ts";
import { stateAt } from "../../../../src/clouds/sim/aws/instances.ts";
import { receivingAt } from "../../../../src/clouds/sim/aws/target-health.ts";
import { manager, webDeployment, webService } from "../../../controllers/cluster.ts";
import { type Drover, openDrover } from "./drover.ts";

const living = ({ world, clock }: Drover) =>
  [...world.instances.values()].filter((one) => ["pending", "running"].includes(stateAt(one, clock.monotonicMs())));

/** Instances that get connections, and answer none. */
function losing({ world, clock }: Drover): string[] {
  const nowMs = clock.monotonicMs();
  return receivingAt(world, nowMs).flatMap(({ instanceId, port }) => {
    const instance = world.instances.get(instanceId);
    const serves = instance && stateAt(instance, nowMs) === "running" && world.bodies.serving(instance, port).serves;
    return serves ? [] : [instanceId];
  });
}

const deployment = ({ client }: Drover) => client.view.get("deployments.apps", "default", "web");

function isDone(drover: Drover, replicas: number): boolean {
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

async function apply({ client }: Drover, replicas: number, image: string): Promise<void> {
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

async function remove({ client }: Drover): Promise<void> {
  await client.delete(key, {});
  await client.delete({ ...key, resource: "services" }, {});
}

test("a Deployment behind a load balancer comes up on the fake, rolls without a lost connection, and goes", async () => {
  const drover = await openDrover();
  await apply(drover, 4, "web:1");
  await drover.until("four serve", () => isDone(drover, 4));
  expect(living(drover).length).toBe(4);
  expect(receivingAt(drover.world, drover.clock.monotonicMs()).length).toBe(4);
  await apply(drover, 4, "web:2");
  await drover.clock.advance(1_000);
  const lost = new Set<string>();
  await drover.until("four new ones serve", () => {
    for (const id of losing(drover)) lost.add(id);
    return isDone(drover, 4);
  });
  expect([...lost]).toEqual([]);
  await drover.until("the old ones are gone", () => living(drover).length === 4);
  await remove(drover);
  await drover.until("nothing is left", () => living(drover).length === 0 && drover.world.loadBalancers.size === 0);
  await drover.until("no target group is left", () => drover.world.targetGroups.size === 0);
  const many = ["RunInstances", "TerminateInstances", "RegisterTargets", "DeregisterTargets"];
  for (const action of many) expect(drover.world.calls.get(action), action).toBeLessThanOrEqual(8);
  expect(drover.warnings).toEqual([]);
  await drover.close();
}, 120_000);

/** What must hold however often drover died: one machine a slot, ever, and one load balancer. */
function duplicates({ world }: Drover): string[] {
  const slots = [...world.instances.values()].map(({ tags, launchIndex }) => `${tags.get(launchTag)} ${launchIndex}`);
  const twice = slots.filter((slot, index) => slots.indexOf(slot) !== index);
  return [...twice, ...[...world.loadBalancers.values()].slice(1).map(({ name }) => name)];
}

/** Every fifteenth call of coming up and of a rollout, before it and after it, with and without the store. */
const deaths = [2, 17, 32, 47, 62, 77, 92, 107].flatMap((call) => [
  { call, moment: "before", withStore: call % 2 === 0 } as const,
  { call, moment: "after", withStore: call % 2 === 1 } as const,
]);

test.for(deaths)(
  "drover dies $moment its call $call to AWS; another one goes on (its store kept: $withStore)",
  { timeout: 120_000 },
  async ({ call, moment, withStore }) => {
    const drover = await openDrover({ seed: call, death: { call, moment } });
    const applied = (image: string) => apply(drover, 2, image).catch(() => {}); // It died over it.
    void applied("web:1");
    await drover.until("two serve, or nobody is there", () => drover.isDead() || isDone(drover, 2));
    if (!drover.isDead()) void applied("web:2");
    await drover.until("drover dies", () => drover.isDead());
    const serving = receivingAt(drover.world, drover.clock.monotonicMs()).length;
    await drover.clock.advance(30_000);
    await drover.restart({ withStore });
    if (!withStore) {
      // Once it has looked at AWS it is told everything anew, in the old order: machines of a manifest that nobody
      // applies again are left alone.
      await drover.clock.advance(60_000);
      await apply(drover, 2, "web:1");
      await drover.until("two serve again", () => isDone(drover, 2));
    }
    await apply(drover, 2, "web:2");
    await drover.until("two of the new ones serve", () => {
      expect(duplicates(drover)).toEqual([]);
      if (serving > 0) expect(receivingAt(drover.world, drover.clock.monotonicMs()).length).toBeGreaterThan(0);
      return isDone(drover, 2);
    });
    await drover.until("nothing is left over", () => living(drover).length === 2, 3_600);
    await remove(drover);
    const { world } = drover;
    await drover.until("all of it is gone", () => living(drover).length + world.loadBalancers.size === 0, 3_600);
    await drover.until("no target group is left", () => world.targetGroups.size === 0, 3_600);
    await drover.close();
  },
);
