import { expect, onTestFinished, test, vi } from "vitest";
import { webDeployment } from "../controllers/cluster.ts";
import { claim, database } from "../controllers/disk-objects.ts";
import { type AwsCluster, type AwsClusterOptions, manager, openAwsCluster } from "./cluster.ts";
import { unscheduled, warned } from "./trouble.ts";
import { apply, readyPods } from "./web.ts";

/** Hours of virtual time take a busy computer more than the default. */
vi.setConfig({ testTimeout: 120_000 });

/** What an account or a command line lacks, and where the user sees the way out. */

async function opened(options: AwsClusterOptions = {}): Promise<AwsCluster> {
  const cluster = await openAwsCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}

/** What is told about the Service. */
const onService = (cluster: AwsCluster): string[] => warned(cluster).filter((each) => each.startsWith("Service"));

test("without a default VPC Services and Pods say which flag or tag is missing", async () => {
  const cluster = await opened({ defaultVpc: false, hostedZones: [] });
  await apply(cluster, 2);
  await cluster.clock.advance(120_000);
  const wayOut =
    /no default VPC in this region and none tagged drover\.dev\/cluster=test: name one \(drover serve --vpc ID, --subnets IDS\), make one with the Terraform module in infra\/, or `aws ec2 create-default-vpc`/;
  for (const about of ["Service SyncLoadBalancerFailed", "Service SyncNameFailed", "Pod FailedScheduling"]) {
    const [told = "", ...others] = warned(cluster).filter((each) => each.startsWith(about));
    expect(told).toMatch(wayOut);
    expect(others).toEqual([]);
  }
  expect(cluster.logged.filter((each) => each.startsWith("Balancers can't be observed"))).toHaveLength(1);
});

test("a Service that comes later is told, too, that there is no such VPC", async () => {
  const cluster = await opened({ cloud: { vpcId: "vpc-0" } });
  await cluster.clock.advance(60_000);
  await apply(cluster, 1);
  await cluster.clock.advance(30_000);
  expect(onService(cluster).join()).toMatch(/SyncLoadBalancerFailed: .*There is no VPC vpc-0 in this region \(--vpc\)/);
});

test.for([
  [
    "no zone",
    [],
    /has no private hosted zone cluster\.local: `drover serve --create-zone` makes it, as does the Terraform module in infra\/; --domain names another/,
  ],
] as const)("%s: every Service that has a name says the way out, once", async ([_what, hostedZones, wayOut]) => {
  const cluster = await opened({ hostedZones });
  await apply(cluster, 1);
  await cluster.clock.advance(600_000);
  const told = cluster.view.list("events").filter(({ reason }) => reason === "SyncNameFailed");
  const names = told.map(({ involvedObject }) => involvedObject.name);
  expect(names.sort()).toEqual(["kubernetes", "web"]);
  for (const { message, count } of told) {
    expect(message).toMatch(wayOut);
    expect(count).toBe(1);
  }
  // Whoever reaches the Service from outside needs no name.
  expect(readyPods(cluster)).toHaveLength(1);
});

test("a zone that somebody makes meanwhile is found", async () => {
  const cluster = await opened({ hostedZones: [], cloud: { createZone: true } });
  await apply(cluster, 1);
  await cluster.until("it serves", () => readyPods(cluster).length === 1);
  expect(cluster.events("SyncNameFailed")).toEqual([]);
  expect(cluster.world.hostedZones.size).toBe(1);
});

test.for([true, false])(
  "without credentials there is an Event that says how to log in, and one line; a Service: %s",
  async (service) => {
    const cluster = await opened();
    cluster.world.conditions.expired.push({ fromMs: 0, untilMs: Number.POSITIVE_INFINITY, sso: true });
    await cluster.clock.advance(30_000);
    if (service) await apply(cluster, 2);
    else await cluster.client.create("deployments.apps", webDeployment(2, "web:1") as never, manager);
    await cluster.clock.advance(300_000);
    const wayOut = /AWS does not accept the credentials .*log in again, for example with `aws sso login`/;
    const told = warned(cluster).filter((each) => wayOut.test(each));
    expect(told.length).toBe(warned(cluster).length);
    const about = service ? "Service SyncLoadBalancerFailed" : "Service SyncNameFailed";
    expect(told.filter((each) => each.startsWith(about))).toHaveLength(1);
    expect(told).toContainEqual(expect.stringMatching(/^ReplicaSet FailedCreate: AWS does not accept/));
    expect(cluster.warnings).toHaveLength(1);
    expect(cluster.logged).toEqual([]);
  },
);

test("--max-machines is named with both numbers", async () => {
  const cluster = await opened({ machinesMax: 3 });
  await apply(cluster, 5);
  await cluster.clock.advance(120_000);
  expect(unscheduled(cluster)).toEqual([
    "the limit on machines of this cluster is reached: it has 3 of at most 3 machines (--max-machines)",
  ]);
  expect(cluster.world.instances.size).toBe(3);
});

test("a disk that EBS can't have costs no machine, and the Pod and its claim say why", async () => {
  const cluster = await opened();
  const storageClass = {
    ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "bad" } },
    ...{ provisioner: "ebs.csi.aws.com", volumeBindingMode: "WaitForFirstConsumer", parameters: { type: "gp9" } },
  };
  const kinds = [
    ["storageclasses.storage.k8s.io", storageClass],
    ["persistentvolumeclaims", claim({ storageClassName: "bad" })],
    ["pods", database("one")],
  ] as const;
  for (const [resource, object] of kinds) await cluster.client.create(resource, object as never, manager);
  await cluster.clock.advance(1_800_000);
  expect(cluster.world.calls.get("RunInstances") ?? 0).toBe(0);
  const why = `The StorageClass parameter "type" can't be "gp9": the types are gp2, gp3, io1, io2, st1, sc1, standard.`;
  expect(cluster.events("ProvisioningFailed")).toEqual([why]);
  expect(unscheduled(cluster)).toEqual([`persistentvolumeclaim "data": ${why}`]);
});
