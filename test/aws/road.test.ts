import { expect, onTestFinished, test } from "vitest";
import { openAwsCluster } from "./cluster.ts";
import { change, deploy, isDone, living } from "./web.ts";

test("a Deployment and a Service become instances behind a network load balancer, rolled and ended", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  await deploy(cluster, 3);
  const service = cluster.view.get("services", "default", "web");
  expect(service?.status?.loadBalancer?.ingress?.[0]?.hostname).toMatch(/elb\.us-east-1\.amazonaws\.com|\.elb\./);
  expect(cluster.events("MachineChosen").join()).toMatch(/the cheapest of \d+ offers/);
  await change(cluster, "web:2", 3);
  await cluster.until("the rollout is done", () => isDone(cluster, 3));
  await change(cluster, "web:2", 1);
  await cluster.until("one is left", () => living(cluster).length === 1);
  await cluster.client.delete({ resource: "deployments.apps", namespace: "default", name: "web" }, {});
  await cluster.client.delete({ resource: "services", namespace: "default", name: "web" }, {});
  await cluster.until("nothing is left", () => living(cluster).length === 0 && cluster.world.loadBalancers.size === 0);
  expect(cluster.world.targetGroups.size).toBe(0);
});
