import { expect, onTestFinished, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { Pod } from "../../src/api/types.gen.ts";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

type Cluster = Awaited<ReturnType<typeof openCluster>>;
const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
const readyPods = (cluster: Cluster) => cluster.pods().filter(isReady);
const barePod: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "one", namespace: "default", labels: { app: "one" } },
  spec: { containers: [{ name: "web", image: "nginx:1.20.1" }] },
};

/** A cluster whose manifests serve, and what they consist of. */
async function serving(replicas: number, options: Parameters<typeof openCluster>[0] = {}) {
  const cluster = await openCluster(options);
  onTestFinished(cluster.close);
  await apply(cluster, replicas);
  await cluster.until("all serve", () => readyPods(cluster).length === replicas + 1);
  return cluster;
}
async function apply(cluster: Cluster, replicas: number, image = "web:1") {
  await cluster.client.create("services", webService() as never, manager);
  await cluster.client.create("deployments.apps", webDeployment(replicas, image) as never, manager);
  await cluster.client.create("pods", barePod as never, manager);
}
const identities = (cluster: Cluster) =>
  cluster
    .pods()
    .map(({ metadata, spec }) => [metadata.name, metadata.uid, spec.nodeName])
    .sort();
const machineIds = (cluster: Cluster) => cluster.machines().map(({ id }) => id);

test("a drover that lost its store takes every machine over when the manifests are applied again", async () => {
  const cluster = await serving(3);
  const before = { pods: identities(cluster), launches: cluster.world.calls.get("launch") };
  await cluster.loseStore();
  await cluster.clock.advance(60_000);
  expect(machineIds(cluster).length, "nothing that serves is ended").toBe(4);
  expect(cluster.events("Unclaimed").join()).toMatch("apply the manifest of Pod default/web-");
  await apply(cluster, 3);
  await cluster.until("all serve", () => readyPods(cluster).length === 4);
  await cluster.clock.advance(120_000);
  expect(identities(cluster)).toEqual(before.pods);
  expect(cluster.world.calls.get("launch")).toBe(before.launches);
  expect(cluster.machines().length).toBe(4);
  expect(cluster.events("Claimed").length).toBe(4);
});

test("manifests that are applied before the first look at the provider wait for it", async () => {
  const cluster = await serving(2);
  const before = machineIds(cluster).sort();
  cluster.world.faults = { ...cluster.world.faults, incomplete: () => true };
  await cluster.loseStore();
  await cluster.client.create("deployments.apps", webDeployment(2) as never, manager);
  await cluster.clock.advance(20_000);
  expect(cluster.pods()).toEqual([]);
  cluster.world.faults = { ...cluster.world.faults, incomplete: () => false };
  await cluster.until("they are claimed", () => cluster.events("Claimed").length === 2);
  expect(machineIds(cluster).sort()).toEqual(before);
});

test("machines of another revision, or too many, are left alone", async () => {
  const cluster = await serving(3);
  const before = machineIds(cluster);
  await cluster.loseStore();
  await cluster.client.create("deployments.apps", webDeployment(1) as never, manager);
  await cluster.until("one serves", () => readyPods(cluster).length === 1);
  await cluster.client.create(
    "pods",
    { ...barePod, spec: { containers: [{ name: "web", image: "other" }] } } as never,
    manager,
  );
  await cluster.until("two serve", () => readyPods(cluster).length === 2);
  expect(machineIds(cluster)).toEqual([...before, expect.any(String)]);
});

test("machines that nobody claims count against the limit", async () => {
  const cluster = await serving(3, { machinesMax: 5 });
  await cluster.loseStore();
  await cluster.client.create("deployments.apps", webDeployment(3, "web:2") as never, manager);
  await cluster.until("one serves", () => readyPods(cluster).length === 1);
  await cluster.clock.advance(60_000);
  expect(cluster.machines().length).toBe(5);
  expect(cluster.events("FailedScheduling").join()).toContain("it has 5 of at most 5 machines, 4 of them unclaimed");
});

test("a claimed machine is ended with its Pod, as any other", async () => {
  const cluster = await serving(2);
  await cluster.loseStore();
  await cluster.until("balancers are seen", () => cluster.events("Unclaimed").length > 0);
  await cluster.client.create("services", webService() as never, manager);
  await cluster.client.create("deployments.apps", webDeployment(2) as never, manager);
  await cluster.until("all serve", () => readyPods(cluster).length === 2);
  await cluster.client.update(
    { resource: "deployments.apps", namespace: "default", name: "web" },
    (current) => ({ ...current, spec: { ...current.spec, replicas: 1 } }),
    manager,
  );
  await cluster.until("one is ended", () => cluster.machines().length === 2);
  await cluster.clock.advance(120_000);
  expect(cluster.machines().length, "one of the Deployment, and the bare Pod's that nobody has claimed").toBe(2);
});

test("a claim survives a restart between the Pod and its record", async () => {
  const cluster = await serving(1);
  const before = identities(cluster);
  await cluster.loseStore();
  await cluster.clock.advance(5_000);
  await apply(cluster, 1);
  await cluster.restart();
  await cluster.until("all serve", () => readyPods(cluster).length === 2);
  expect(identities(cluster)).toEqual(before);
  expect(cluster.machines().length).toBe(2);
});

test("machines of another revision serve on until the new ones do, and are then drained and left alone", async () => {
  const cluster = await serving(2);
  const before = machineIds(cluster);
  await cluster.loseStore();
  await cluster.until("balancers are seen", () => cluster.events("Unclaimed").length > 0);
  await cluster.client.create("services", webService() as never, manager);
  await cluster.client.create("deployments.apps", webDeployment(2, "web:2") as never, manager);
  const active = () =>
    [...cluster.world.balancers.values()].flatMap(({ spec }) =>
      spec.groups.flatMap(({ targets }) =>
        targets.filter(({ draining }) => !draining).map(({ machineId }) => machineId),
      ),
    );
  await cluster.until("the new ones serve", () => {
    expect(active().length).toBeGreaterThan(0);
    return readyPods(cluster).length === 2;
  });
  await cluster.clock.advance(300_000);
  expect(active().sort()).toEqual(
    readyPods(cluster)
      .map(({ spec }) => spec.nodeName)
      .sort(),
  );
  expect(machineIds(cluster)).toEqual(expect.arrayContaining(before));
});
