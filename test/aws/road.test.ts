import { expect, onTestFinished, test } from "vitest";
import { stateAt } from "../../src/clouds/sim/aws/instances.ts";
import { receivingAt } from "../../src/clouds/sim/aws/target-health.ts";
import { type AwsClusterOptions, openAwsCluster } from "./cluster.ts";
import { apply, change, deploy, isDone, living, losing, remove } from "./web.ts";

async function openTestCluster(options: AwsClusterOptions = {}) {
  const cluster = await openAwsCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}

test("a Deployment and a Service become instances behind a load balancer, rolled without a loss, and end", async () => {
  const cluster = await openTestCluster();
  const { world, clock } = cluster;
  await deploy(cluster, 4);
  const service = cluster.view.get("services", "default", "web");
  expect(service?.status?.loadBalancer?.ingress?.[0]?.hostname).toMatch(/\.elb\./);
  expect(cluster.events("MachineChosen").join()).toMatch(/the cheapest of \d+ offers/);
  expect(receivingAt(world, clock.monotonicMs()).length).toBe(4);
  await change(cluster, "web:2", 4);
  const lost = new Set<string>();
  await cluster.until("the rollout is done", () => {
    for (const id of losing(cluster)) lost.add(id);
    return isDone(cluster, 4);
  });
  expect([...lost]).toEqual([]);
  await change(cluster, "web:2", 1);
  await cluster.until("one is left", () => living(cluster).length === 1);
  await remove(cluster);
  await cluster.until("nothing is left", () => living(cluster).length === 0 && world.loadBalancers.size === 0);
  await cluster.until("no target group is left", () => world.targetGroups.size === 0);
  for (const action of ["RunInstances", "TerminateInstances", "RegisterTargets", "DeregisterTargets"])
    expect(world.calls.get(action), action).toBeLessThanOrEqual(10);
  expect(cluster.warnings).toEqual([]);
});

test("a machine that nobody binds ends itself after a quarter of an hour", async () => {
  const cluster = await openTestCluster({ seed: 5 });
  const { world, clock } = cluster;
  await apply(cluster, 1);
  await cluster.until("one is launched", () => living(cluster).length === 1);
  cluster.dieBy(() => "before");
  const isUp = () =>
    [...world.instances.values()].filter((one) => stateAt(one, clock.monotonicMs()) === "running").length;
  await clock.advance(14 * 60_000);
  expect(isUp()).toBe(1);
  await clock.advance(3 * 60_000);
  expect(isUp()).toBe(0);
  const [instance] = world.instances.values();
  expect(instance?.stateReason?.code).toBe("Client.InstanceInitiatedShutdown");
});
