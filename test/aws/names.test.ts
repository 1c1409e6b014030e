import type { ChangeBatch } from "@aws-sdk/client-route-53";
import { expect, onTestFinished, test } from "vitest";
import { ec2Latencies } from "../../src/clouds/sim/aws/latencies.ts";
import { manager, openAwsCluster } from "./cluster.ts";
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

test.for<[name: string, annotations: Record<string, string>, closed: string]>([
  ["its target port", {}, "8080/TCP"],
  ["without a balancer its own port, which machines redirect", { "drover.dev/balancer": "names" }, "80/TCP"],
])("a Service whose Pods don't declare %s says that nobody reaches it", async ([_name, annotations, closed]) => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const labels = { app: "web" };
  const type = annotations["drover.dev/balancer"] ? "ClusterIP" : "LoadBalancer";
  const spec = { type, selector: labels, ports: [{ port: 80, targetPort: 8080 }] };
  const metadata = { name: "web", namespace: "default", annotations };
  await cluster.client.create("services", { apiVersion: "v1", kind: "Service", metadata, spec } as never, manager);
  const pod = (name: string, ports: object[]) => ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels } },
    spec: { containers: [{ name: "web", image: "web:1", ports }] },
  });
  const all = [{ containerPort: 80 }, { containerPort: 8080 }];
  await cluster.client.create("pods", pod("open", all) as never, manager);
  await cluster.clock.advance(60_000);
  expect(cluster.events("UndeclaredPort")).toEqual([]);
  const others = all.filter(({ containerPort }) => `${containerPort}/TCP` !== closed);
  await cluster.client.create("pods", pod("closed", others) as never, manager);
  await cluster.clock.advance(120_000);
  expect(cluster.events("UndeclaredPort")).toEqual([
    `Nobody reaches port ${closed} of the Service's Pods: machines are open on declared ports alone, and no container ` +
      "declares it. Add it to the containers' ports (containerPort).",
  ]);
});
