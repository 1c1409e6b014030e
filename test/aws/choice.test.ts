import { expect, onTestFinished, test } from "vitest";
import type { Node, PodSpec } from "../../src/api/types.gen.ts";
import { interruptSpot } from "../../src/clouds/sim/aws/accidents.ts";
import type { CallFaults } from "../../src/clouds/sim/aws/calls.ts";
import { noCallFaults } from "../../src/clouds/sim/aws/faults.ts";
import { webDeployment } from "../controllers/cluster.ts";
import { type AwsCluster, type AwsClusterOptions, manager, openAwsCluster } from "./cluster.ts";
import { living, readyPods } from "./web.ts";

/** How machines are chosen, as a Pod's own Events and the instances show it. */
async function opened(options: AwsClusterOptions = {}): Promise<AwsCluster> {
  const cluster = await openAwsCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}

async function deploy(cluster: AwsCluster, replicas: number, spec: Partial<PodSpec> = {}, requests?: object) {
  const deployment = webDeployment(replicas) as { spec: { template: { spec: PodSpec } } };
  Object.assign(deployment.spec.template.spec, spec);
  const [container] = deployment.spec.template.spec.containers;
  if (container && requests) Object.assign(container, { resources: { requests, limits: requests } });
  await cluster.client.create("deployments.apps", deployment as never, manager);
}

async function serve(cluster: AwsCluster, replicas: number, spec: Partial<PodSpec> = {}, requests?: object) {
  await deploy(cluster, replicas, spec, requests);
  await cluster.until("all serve", () => readyPods(cluster).length === replicas);
}

const pools = (cluster: AwsCluster) =>
  living(cluster).map(({ type, zone, lifecycle }) => `${type} ${zone} ${lifecycle}`);
const capacity = "karpenter.sh/capacity-type";
const both: Partial<PodSpec> = {
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: capacity, operator: "In", values: ["spot", "on-demand"] }] }],
      },
    },
  },
};

/** The first pool that gives a machine takes back all that it gives. */
function takingBack() {
  const taken: string[] = [];
  const failsToStart: CallFaults["failsToStart"] = ({ type, zone }) => {
    const pool = `${type} in ${zone}`;
    if (pool !== (taken[0] ?? pool)) return undefined;
    taken.push(pool);
    const code = "Server.InsufficientInstanceCapacity";
    return { code, message: `${code}: Insufficient capacity to satisfy instance request` };
  };
  return { taken, faults: { ...noCallFaults, failsToStart } };
}

test("an instance that ends for want of capacity after its launch rests its pool for three minutes", async () => {
  const { taken, faults } = takingBack();
  const cluster = await opened({ faults });
  await serve(cluster, 1);
  expect(taken).toHaveLength(1);
  expect(cluster.events("MachineLost").join()).toContain("InsufficientInstanceCapacity");
  expect(living(cluster).map(({ type, zone }) => `${type} in ${zone}`)).toEqual([
    expect.not.stringMatching(`${taken[0]}`),
  ]);
});

test("the pool is tried again then, though the Pod that has failed is still there", async () => {
  const { taken, faults } = takingBack();
  const cluster = await opened({ faults });
  const pod = (name: string) => ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default" } },
    spec: { containers: [{ name: "web", image: "web:1" }] },
  });
  await cluster.client.create("pods", pod("first") as never, manager);
  await cluster.until("it has failed", () => cluster.pods()[0]?.status?.phase === "Failed");
  for (let minute = 0; minute < 10; minute++) {
    await cluster.clock.advance(60_000);
    const labels = { minute: `${minute}` };
    const key = { resource: "pods", namespace: "default", name: "first" } as const;
    await cluster.client.update(key, (now) => ({ ...now, metadata: { ...now.metadata, labels } }) as never, manager);
  }
  await cluster.client.create("pods", pod("second") as never, manager);
  await cluster.until("it is tried again", () => taken.length === 2);
});

test("a spot pool that takes a machine away does not give the next one", async () => {
  const cluster = await opened();
  await serve(cluster, 1, { nodeSelector: { [capacity]: "spot", "topology.kubernetes.io/zone": "us-east-1a" } });
  const [first] = living(cluster);
  if (!first) throw new Error("nothing was launched");
  interruptSpot(cluster.world, first);
  await cluster.until("it is replaced", () => living(cluster).some(({ id }) => id !== first.id));
  const next = living(cluster).find(({ id }) => id !== first.id);
  expect(next?.lifecycle).toBe("spot");
  expect(`${next?.type} ${next?.zone}`).not.toBe(`${first.type} ${first.zone}`);
});

test("spot that is used up falls back to on demand, for who allows both", async () => {
  const cluster = await opened();
  cluster.world.pools.set("*", "*", "spot", 0);
  // Twenty-one spot pools are cheaper than the cheapest machine on demand.
  await serve(cluster, 2, both, { cpu: "1", memory: "3Gi" });
  expect(living(cluster).map(({ lifecycle }) => lifecycle)).toEqual([undefined, undefined]);
  const zone = "us-east-1[a-f]";
  const why = new RegExp(
    ` in ${zone}, on demand, .*; \\S+ in ${zone} at .* was passed over: spot is short in \\d+ pools; `,
  );
  // One for each Pod, though other machines were chosen for it before.
  expect(cluster.events("MachineChosen")).toEqual([expect.stringMatching(why), expect.stringMatching(why)]);
  // Ten of them are tried, two in one round at most.
  expect(cluster.world.calls.get("RunInstances")).toBeLessThanOrEqual(13);
});

test("a quota for spot that nobody could know of does not keep who allows both waiting", async () => {
  const cluster = await opened();
  cluster.world.conditions.denied.add("servicequotas:ListServiceQuotas");
  cluster.world.quotas.set("L-34B43A08", 0);
  await serve(cluster, 2, both);
  expect(living(cluster).map(({ lifecycle }) => lifecycle)).toEqual([undefined, undefined]);
  expect(cluster.world.calls.get("RunInstances")).toBeLessThanOrEqual(4);
});

test("who allows both gets spot, in several zones, and its Event says why", async () => {
  const cluster = await opened();
  await serve(cluster, 3, both);
  expect(living(cluster).map(({ lifecycle }) => lifecycle)).toEqual(["spot", "spot", "spot"]);
  expect(cluster.events("MachineChosen").join()).toMatch(/ in us-east-1.*, spot, \$0\.0\d+\/h: .*offers that fit/);
});

test("zones are spread over without being asked to", async () => {
  const cluster = await opened();
  await serve(cluster, 6);
  const zones = living(cluster).map(({ zone }) => zone);
  expect(["a", "b", "c"].map((each) => zones.filter((zone) => zone.endsWith(each)).length)).toEqual([2, 2, 2]);
});

test("a GPU in the limits gets a type that has one, and nobody else does", async () => {
  const cluster = await opened();
  await deploy(cluster, 1, {}, { "nvidia.com/gpu": "1" });
  await cluster.until("it is launched", () => living(cluster).length === 1);
  expect(pools(cluster).join()).toMatch(/^(g|p)\d/);
  expect(cluster.events("MachineChosen").join()).toMatch(/ and 1 GPU/);
});

test("what no type has is refused with each obstacle and its number", async () => {
  const cluster = await opened();
  await deploy(cluster, 1, {}, { "nvidia.com/gpu": "100" });
  await cluster.clock.advance(60_000);
  expect(cluster.events("FailedScheduling").join()).toMatch(
    /^0\/\d+ machine offers are available: .*\d+ Insufficient nvidia.com\/gpu.*The machine needs .* and 100 GPUs/,
  );
  expect(living(cluster)).toEqual([]);
});

test("a machine that was claimed after the store was lost is the same Node with the same labels", async () => {
  const cluster = await opened();
  const labels = () =>
    cluster.view
      .list("nodes")
      .map(({ metadata }: Node) => metadata.labels)
      .sort((a, b) => ((a?.["kubernetes.io/hostname"] ?? "") < (b?.["kubernetes.io/hostname"] ?? "") ? -1 : 1));
  await serve(cluster, 2);
  const before = labels();
  expect(before[0]).toMatchObject({
    "node.kubernetes.io/instance-type": expect.stringMatching(/^\w+\.\w+$/),
    "karpenter.k8s.aws/instance-family": expect.any(String),
    "topology.kubernetes.io/region": "us-east-1",
  });
  await cluster.restart(false);
  await serve(cluster, 2);
  expect(cluster.events("Claimed")).toHaveLength(2);
  expect(labels()).toEqual(before);
});

test("a bare Pod that is applied again after the store was lost claims its machine", async () => {
  const cluster = await opened();
  const pod = {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "one", namespace: "default" } },
    spec: { containers: [{ name: "web", image: "web:1" }] },
  };
  const serves = () => cluster.until("it serves", () => readyPods(cluster).length === 1);
  await cluster.client.create("pods", pod as never, manager);
  await serves();
  const before = living(cluster).map(({ id }) => id);
  await cluster.restart(false);
  // The machine image is asked for first, in the time that only the clock gives.
  const made = cluster.client.create("pods", pod as never, manager);
  await serves();
  await made;
  expect(cluster.events("Claimed")).toHaveLength(1);
  expect(living(cluster).map(({ id }) => id)).toEqual(before);
});
