import { expect, onTestFinished, test } from "vitest";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

type Cluster = Awaited<ReturnType<typeof openCluster>>;

async function openTestCluster(options: Parameters<typeof openCluster>[0] = {}): Promise<Cluster> {
  const cluster = await openCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}

const isDone = (cluster: Cluster, replicas: number) => () => {
  const { status, metadata } = cluster.deployment("web") ?? {};
  return (
    status?.observedGeneration === metadata?.generation &&
    (status?.updatedReplicas ?? 0) === replicas &&
    (status?.availableReplicas ?? 0) === replicas &&
    (status?.replicas ?? 0) === replicas
  );
};

const deploymentKey = { resource: "deployments.apps", namespace: "default", name: "web" } as const;
const setImage = ({ client }: Cluster, image: string) =>
  client.update(
    deploymentKey,
    (current) => {
      const next = structuredClone(current);
      const container = next.spec.template.spec?.containers[0];
      if (container) container.image = image;
      return next;
    },
    manager,
  );
const scale = ({ client }: Cluster, replicas: number) =>
  client.update(deploymentKey, (current) => ({ ...current, spec: { ...current.spec, replicas } }), manager);

async function deploy(cluster: Cluster, replicas: number): Promise<void> {
  await cluster.client.create("services", webService() as never, manager);
  await cluster.client.create("deployments.apps", webDeployment(replicas) as never, manager);
  await cluster.until("available", isDone(cluster, replicas));
}

test("a Deployment behind a Service becomes available, rolls, is undone, shrinks and leaves nothing", async () => {
  const cluster = await openTestCluster({ verbose: process.env["VERBOSE"] !== undefined });
  const { client, until, view, world } = cluster;
  await deploy(cluster, 3);
  expect(world.calls.get("launch")).toBe(3);
  expect(view.list("nodes").length).toBe(3);
  expect(view.get("services", "default", "web")?.status?.loadBalancer?.ingress?.length).toBe(1);
  const [balancer] = world.balancers.values();
  const [group] = balancer?.spec.groups ?? [];
  expect(group?.targets.map(({ port, draining }) => [port, draining])).toEqual(Array(3).fill([8080, false]));

  await setImage(cluster, "web:2");
  await until("rolled", isDone(cluster, 3));
  const images = () => new Set(cluster.pods().map(({ spec }) => spec.containers[0]?.image));
  await until("only the new machines are left", () => cluster.machines().length === 3 && cluster.pods().length === 3);
  expect(images()).toEqual(new Set(["web:2"]));

  const old = view.list("replicasets.apps").find((set) => set.spec.template?.spec?.containers[0]?.image === "web:1");
  await setImage(cluster, "web:1");
  await until("undone", isDone(cluster, 3));
  expect(view.list("replicasets.apps").length).toBe(2);
  const again = view.get("replicasets.apps", "default", old?.metadata.name ?? "");
  expect(again?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
  expect(again?.metadata.annotations?.["deployment.kubernetes.io/revision-history"]).toBe("1");

  await scale(cluster, 1);
  await until("shrunk", () => isDone(cluster, 1)() && cluster.machines().length === 1);

  await client.delete(deploymentKey, { propagationPolicy: "Background" });
  await client.delete({ resource: "services", namespace: "default", name: "web" }, {});
  const isEmpty = () =>
    cluster.machines().length === 0 &&
    cluster.pods().length === 0 &&
    world.balancers.size === 0 &&
    view.get("endpoints", "default", "web") === undefined &&
    ["replicasets.apps", "nodes", "launches.drover.dev"].every((resource) => view.list(resource).length === 0);
  await until("nothing is left", isEmpty);
  const ownName = "kubernetes.default.svc.cluster.local";
  expect([...world.names.keys()]).toEqual([ownName]);
  expect(view.list("frontends.drover.dev").map(({ spec }) => spec)).toMatchObject([{ names: [ownName] }]);
});
