import type { ChangeBatch } from "@aws-sdk/client-route-53";
import { expect, onTestFinished, test } from "vitest";
import { ec2Latencies } from "../../src/clouds/sim/aws/latencies.ts";
import { type AwsCluster, manager, openAwsCluster } from "./cluster.ts";
import { warned } from "./trouble.ts";
import { deploy } from "./web.ts";

/** Where clients of a Service get to by its name and its port. */

test("the name of a Service leads nowhere but to its balancer, whoever is quicker, and stays so over a restart", async () => {
  const cluster = await openAwsCluster({ latencies: ec2Latencies });
  onTestFinished(cluster.close);
  await deploy(cluster, 1);
  const changes = () =>
    cluster.world.writes
      .filter(({ action }) => action === "ChangeResourceRecordSets")
      .flatMap(({ input }) => (input["ChangeBatch"] as ChangeBatch).Changes ?? [])
      .filter(({ ResourceRecordSet }) => ResourceRecordSet?.Name?.startsWith("web."))
      .map(({ Action, ResourceRecordSet }) => `${Action} ${ResourceRecordSet?.Type}`);
  await cluster.until("it has its name", () => changes().length > 0);
  await cluster.restart();
  await cluster.clock.advance(120_000);
  expect(changes()).toEqual(["UPSERT CNAME"]);
});

const labels = { app: "web" };
const service = (type: string, annotations = {}) => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default", annotations } },
  spec: { type, selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
});
const pod = (name: string, ...ports: number[]) => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels } },
  spec: {
    containers: [{ name: "web", image: "web:1", ports: ports.map((containerPort) => ({ containerPort })) }],
  },
});
const isNamed = ({ world }: AwsCluster): boolean =>
  world.writes.some(({ input }) => JSON.stringify(input).includes('"web.default.svc'));
const named = { "drover.dev/balancer": "names" };

test("a Service whose Pods don't declare its target port says that nobody reaches it", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  await cluster.client.create("services", service("LoadBalancer") as never, manager);
  await cluster.client.create("pods", pod("open", 8080) as never, manager);
  await cluster.clock.advance(60_000);
  expect(cluster.events("UndeclaredPort")).toEqual([]);
  await cluster.client.create("pods", pod("closed", 80) as never, manager);
  await cluster.clock.advance(120_000);
  expect(cluster.events("UndeclaredPort")).toEqual([
    "Nobody reaches port 8080/TCP of the Service's Pods: machines are open on declared ports alone, and no container " +
      "declares it. Add it to the containers' ports (containerPort).",
  ]);
});

test("without a balancer machines are open on the Service's own port, as long as there is the Service", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const { client, world, clock } = cluster;
  await client.create("pods", pod("web", 8080) as never, manager);
  await cluster.until("it runs", () => cluster.pods()[0]?.status?.phase === "Running");
  /** What comes from the VPC to the machine. */
  const open = () =>
    [...world.instances.values()]
      .flatMap(({ securityGroupIds }) => securityGroupIds)
      .flatMap((id) => world.securityGroups.get(id)?.ingress ?? [])
      .flatMap(({ from, peer }) => (peer === "172.31.0.0/16" ? from : []))
      .sort();
  expect(open()).toEqual([8080]);
  await client.create("services", service("ClusterIP", named) as never, manager);
  await cluster.until("it is open", () => open().includes(80), 10);
  await cluster.until("it has its name", () => isNamed(cluster));
  await cluster.restart();
  await clock.advance(900_000);
  expect(open()).toEqual([80, 8080]);
  expect(warned(cluster)).toEqual([]);
  await client.delete({ resource: "services", namespace: "default", name: "web" }, {});
  await cluster.until("it is closed", () => !open().includes(80), 10);
  await clock.advance(900_000);
  expect(open()).toEqual([8080]);
  expect(warned(cluster)).toEqual([]);
});

test("a Service that has gone while drover was stopped is closed by the next one", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  await cluster.client.create("services", service("ClusterIP", named) as never, manager);
  const rules = () => [...cluster.world.securityGroups.values()].flatMap(({ ingress }) => ingress).length;
  await cluster.until("it is open", () => rules() === 1);
  await cluster.restart(false);
  await cluster.until("it is closed", () => rules() === 0, 30);
});

test("what can't be opened is told, and nothing else waits for it", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const { spec, ...rest } = service("ClusterIP", named);
  const ports = Array.from({ length: 61 }, (_, index) => ({ name: `p${index}`, port: 1_000 + index, targetPort: 1 }));
  await cluster.client.create("services", { ...rest, spec: { ...spec, ports } } as never, manager);
  await cluster.client.create("pods", pod("web", 1) as never, manager);
  await cluster.until("it runs", () => cluster.pods()[0]?.status?.phase === "Running");
  await cluster.clock.advance(900_000);
  expect(warned(cluster)).toEqual([expect.stringMatching(/^Namespace SyncRedirectsFailed: .*61 ports.* room for 60/)]);
  expect(isNamed(cluster)).toBe(true);
});
