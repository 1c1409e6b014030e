import { expect, onTestFinished, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import { DroverError } from "../../src/base/errors.ts";
import { targetKey } from "../../src/clouds/sim/world.ts";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

async function openTestCluster(options: Parameters<typeof openCluster>[0] = {}) {
  const cluster = await openCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}
type Cluster = Awaited<ReturnType<typeof openTestCluster>>;

const barePod = (name: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", labels: { app: "bare" } },
  spec: { containers: [{ name: "web", image: "nginx:1.20.1" }], ...more },
});
const readyPods = (cluster: Cluster) =>
  cluster
    .pods()
    .filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"));
const deploy = async (cluster: Cluster, replicas: number) => {
  await cluster.client.create("services", webService() as never, manager);
  await cluster.client.create("deployments.apps", webDeployment(replicas) as never, manager);
  await cluster.until("all serve", () => readyPods(cluster).length === replicas);
};
const uids = (cluster: Cluster) => cluster.pods().map(({ metadata }) => metadata.uid);

test("a bare Pod goes through every stage, each told once", async () => {
  const cluster = await openTestCluster();
  await cluster.client.create("pods", barePod("one") as never, manager);
  await cluster.until("it serves", () => readyPods(cluster).length === 1);
  const events = cluster.view.list("events", "default").filter(({ involvedObject }) => involvedObject.name === "one");
  const reasons = [...events].sort((a, b) => at(a) - at(b)).map(({ reason }) => reason);
  expect(reasons).toEqual(
    expect.arrayContaining(["Requested", "Booting", "Scheduled", "Pulling", "Pulled", "Started", "InService"]),
  );
  expect(new Set(reasons).size).toBe(reasons.length);
  const [pod] = cluster.pods();
  const stage = pod?.status?.conditions?.find(({ type }) => type === "drover.dev/Stage");
  expect(stage?.message).toMatch(/^Requested \d+ s, Booting \d+ s, Configuring \d+ s, Pulling \d+ s, Starting \d+ s/);
  expect(pod?.status?.podIP).toMatch(/^10\.90\./);
  const node = cluster.view.get("nodes", "", pod?.spec.nodeName ?? "");
  expect(node?.metadata.labels).toMatchObject({
    "kubernetes.io/arch": "amd64",
    "topology.kubernetes.io/zone": "sim-a",
  });
});
const at = (event: { metadata: { resourceVersion?: string | undefined } }): number =>
  Number(event.metadata.resourceVersion);

test("Pods that come together share one call a zone", async () => {
  const cluster = await openTestCluster();
  for (let index = 0; index < 9; index++) await cluster.client.create("pods", barePod(`p${index}`) as never, manager);
  await cluster.until("all run", () => readyPods(cluster).length === 9);
  expect(cluster.world.calls.get("launch")).toBe(3);
  const grouped = await openTestCluster();
  await grouped.client.create("deployments.apps", webDeployment(30) as never, manager);
  await grouped.until("all run", () => readyPods(grouped).length === 30);
  expect(grouped.world.calls.get("launch")).toBe(3);
});

test("after a restart everything goes on and nothing is replaced", async () => {
  const cluster = await openTestCluster();
  await deploy(cluster, 3);
  const before = {
    pods: uids(cluster),
    machines: cluster.machines().map(({ id }) => id),
    launches: cluster.world.calls.get("launch"),
  };
  await cluster.restart();
  await cluster.clock.advance(120_000);
  expect(uids(cluster)).toEqual(before.pods);
  expect(cluster.machines().map(({ id }) => id)).toEqual(before.machines);
  expect(cluster.world.calls.get("launch")).toBe(before.launches);
  expect(readyPods(cluster).length).toBe(3);
});

test("a restart in the middle of a launch finds its machines again", async () => {
  const cluster = await openTestCluster();
  await cluster.client.create("deployments.apps", webDeployment(3) as never, manager);
  await cluster.until("the call is under way", () => cluster.view.list("launches.drover.dev").length > 0);
  await cluster.restart();
  await cluster.until("all run", () => readyPods(cluster).length === 3);
  expect(cluster.machines().length).toBe(3);
  expect(cluster.world.machines.size).toBe(3);
});

test("a machine that ends by itself is replaced; the Pod that it had is gone", async () => {
  const cluster = await openTestCluster();
  await deploy(cluster, 2);
  const [victim] = cluster.pods();
  const machine = cluster.world.machines.get(victim?.spec.nodeName ?? "");
  if (machine) cluster.world.end(machine, "Server.SpotInstanceTermination");
  await cluster.until(
    "it is replaced",
    () => readyPods(cluster).length === 2 && !uids(cluster).includes(victim?.metadata.uid),
  );
  expect(cluster.events("MachineLost")).toEqual([expect.stringContaining("Server.SpotInstanceTermination")]);
  await cluster.until(
    "its record is gone",
    () => cluster.view.get("nodes", "", victim?.spec.nodeName ?? "") === undefined,
  );
  expect(cluster.machines().length).toBe(2);
});

test("a bare Pod whose machine has ended stays and has failed", async () => {
  const cluster = await openTestCluster();
  await cluster.client.create("pods", barePod("one") as never, manager);
  await cluster.until("it serves", () => readyPods(cluster).length === 1);
  const [machine] = cluster.machines();
  if (machine) cluster.world.end(machine, "Client.UserInitiatedShutdown");
  await cluster.until("it has failed", () => cluster.pods()[0]?.status?.phase === "Failed");
  await cluster.clock.advance(60_000);
  expect(cluster.pods()[0]?.status).toMatchObject({ reason: "MachineLost" });
  expect(cluster.machines().length).toBe(0);
});

test("a Pod whose machine image may not be looked up says so and waits for it alone", async () => {
  let isPermitted = false;
  const cluster = await openTestCluster({
    image: async (id, architecture) => {
      if (id === "private" && !isPermitted) throw new DroverError("CLOUD_AUTH", "ssm:GetParameter is not permitted");
      return { id, family: "debian", architecture, diskBytesMin: 0 };
    },
  });
  const annotations = { "drover.dev/image": "private" };
  const metadata = { name: "one", namespace: "default", labels: { app: "one" }, annotations };
  await cluster.client.create("pods", { ...barePod("one"), metadata } as never, manager);
  await cluster.client.create("pods", barePod("two") as never, manager);
  await cluster.until("the other serves", () => readyPods(cluster).length === 1, 120);
  expect(cluster.events("FailedScheduling")).toEqual(["ssm:GetParameter is not permitted"]);
  isPermitted = true;
  await cluster.until("it serves too", () => readyPods(cluster).length === 2, 180);
});

test("a Node that is deleted takes its Pod along, which is replaced", async () => {
  const cluster = await openTestCluster();
  await deploy(cluster, 2);
  const [victim] = cluster.pods();
  await cluster.client.delete({ resource: "nodes", namespace: "", name: victim?.spec.nodeName ?? "" }, {});
  await cluster.until(
    "it is replaced",
    () =>
      readyPods(cluster).length === 2 &&
      !uids(cluster).includes(victim?.metadata.uid) &&
      cluster.machines().length === 2,
  );
});

test("without room a Pod waits and says why, and runs when there is room", async () => {
  const cluster = await openTestCluster({ machinesMax: 1 });
  await cluster.client.create("pods", barePod("one") as never, manager);
  await cluster.until("it serves", () => readyPods(cluster).length === 1);
  await cluster.client.create("pods", barePod("two") as never, manager);
  await cluster.clock.advance(30_000);
  const waiting = cluster.view.get("pods", "default", "two");
  expect(waiting?.status?.conditions?.find(({ type }) => type === "PodScheduled")).toMatchObject({
    status: "False",
    reason: "Unschedulable",
    message: "the limit on machines of this cluster is reached: it has 1 of at most 1 machines (--max-machines)",
  });
  expect(cluster.events("FailedScheduling").length).toBe(1);
  await cluster.client.delete({ resource: "pods", namespace: "default", name: "one" }, {});
  await cluster.until("the other runs", () => readyPods(cluster).some(({ metadata }) => metadata.name === "two"));
});

test("a machine of nobody is told of and left alone", async () => {
  const cluster = await openTestCluster();
  const template = {
    hash: "f".repeat(16),
    image: "",
    userData: "",
    architecture: "amd64",
    cpuMillis: 1,
    memoryBytes: 1,
    diskBytes: 1,
    prefetch: [],
  } as const;
  const placement = { type: "sim.small", zone: "sim-a", capacityType: "on-demand" } as const;
  cluster.world.launch({
    id: "of-another",
    cluster: "test",
    template,
    placement,
    slots: ["x"],
    owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
    names: ["x"],
  });
  await cluster.until("it is told", () => cluster.events("Unclaimed").length === 1);
  await cluster.clock.advance(600_000);
  expect(cluster.machines().length).toBe(1);
});

test("a Pod that is removed at once still has its machine drained before it ends", async () => {
  const cluster = await openTestCluster();
  await deploy(cluster, 2);
  const [victim] = cluster.pods();
  const id = victim?.spec.nodeName ?? "";
  const target = [...cluster.world.balancers.values()][0]?.targets.get(targetKey("80-TCP", id));
  if (target) target.connections = 1;
  const key = { resource: "pods", namespace: "default", name: victim?.metadata.name ?? "" };
  await cluster.client.delete(key, { gracePeriodSeconds: 0 });
  await cluster.clock.advance(30_000);
  expect(cluster.machines().some((machine) => machine.id === id)).toBe(true);
  if (target) target.connections = 0;
  await cluster.until("it ends", () => !cluster.machines().some((machine) => machine.id === id));
});

test("a namespace ends with all that is in it, machines included", async () => {
  const cluster = await openTestCluster();
  await cluster.client.create(
    "namespaces",
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "team" } } as never,
    manager,
  );
  await cluster.until("it is furnished", () => cluster.view.get("serviceaccounts", "team", "default") !== undefined);
  const pod = barePod("one");
  await cluster.client.create("pods", { ...pod, metadata: { name: "one", namespace: "team" } } as never, manager);
  await cluster.until("it runs", () => cluster.view.get("pods", "team", "one")?.status?.phase === "Running");
  await cluster.client.delete({ resource: "namespaces", namespace: "", name: "team" }, {});
  await cluster.until("it is gone", () => cluster.view.get("namespaces", "", "team") === undefined);
  await cluster.until("its machine too", () => cluster.machines().length === 0);
  expect(cluster.view.list("configmaps", "team")).toEqual([]);
});

test("a Deployment as large as the limit on machines is rolled all the same", async () => {
  const cluster = await openTestCluster({ machinesMax: 4 });
  const { client, view } = cluster;
  await client.create("deployments.apps", webDeployment(4) as never, manager);
  await cluster.until("it serves", () => readyPods(cluster).length === 4);
  const key = { resource: "deployments.apps" as const, namespace: "default", name: "web" };
  const { spec } = webDeployment(4, "web:2");
  await client.update(key, (current) => ({ ...current, spec }) as never, manager);
  await cluster.until("it is rolled", () => {
    const { status } = view.get("deployments.apps", "default", "web") ?? {};
    return status?.updatedReplicas === 4 && status.availableReplicas === 4 && status.replicas === 4;
  });
});
