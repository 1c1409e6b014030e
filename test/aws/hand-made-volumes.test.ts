import { CreateVolumeCommand } from "@aws-sdk/client-ec2";
import { expect, onTestFinished, test, vi } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import { noLatencies } from "../../src/clouds/sim/aws/latencies.ts";
import { attachmentAt, type Volume } from "../../src/clouds/sim/aws/volumes.ts";
import { claim as claimOf, database } from "../controllers/disk-objects.ts";
import { type AwsCluster, manager, openAwsCluster } from "./cluster.ts";
import { enforce, generatedStatements } from "./iam.ts";
import { unscheduled, warned } from "./trouble.ts";
import { living, readyPods } from "./web.ts";

/** Hours of virtual time take a busy computer more than the default. */
vi.setConfig({ testTimeout: 120_000 });

type Made = { cluster: AwsCluster; disk: Volume; create: (resource: string, object: object) => Promise<unknown> };

/** A cluster that may do what its policies permit, and an EBS volume that somebody made in the second zone. */
async function opened(tags: Readonly<Record<string, string>> = { "drover.dev/attach": "test" }): Promise<Made> {
  const cluster = await openAwsCluster({ latencies: noLatencies });
  onTestFinished(cluster.close);
  const request = { AvailabilityZone: "us-east-1b", Size: 10, VolumeType: "gp3" as const };
  const made = cluster.fake.connect().ec2.send(new CreateVolumeCommand(request));
  await cluster.clock.advance(1_000);
  await made;
  const disk = [...cluster.world.volumes.values()].at(-1);
  if (!disk) throw new Error("no volume was made");
  for (const [key, value] of Object.entries(tags)) disk.tags.set(key, value);
  enforce(cluster.world, generatedStatements("test"));
  return { cluster, disk, create: (resource, object) => cluster.client.create(resource, object as never, manager) };
}

const csi = (volumeHandle: string) => ({ csi: { driver: "ebs.csi.aws.com", volumeHandle, fsType: "xfs" } });
const inTree = (id: string) => ({ awsElasticBlockStore: { volumeID: `aws://us-east-1b/${id}`, fsType: "xfs" } });
const volume = (more: object, metadata: object = {}): object => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "mine", namespace: "", ...metadata },
  spec: {
    capacity: { storage: "10Gi" },
    accessModes: ["ReadWriteOnce"],
    persistentVolumeReclaimPolicy: "Retain",
    ...more,
  },
});
const claim = (more: object = {}) =>
  claimOf({ storageClassName: "", resources: { requests: { storage: "5Gi" } }, ...more });
const resources = { volume: "persistentvolumes", claim: "persistentvolumeclaims" } as const;

async function apply({ create }: Made, source: object, wanted: object = claim(), metadata: object = {}): Promise<void> {
  await create(resources.volume, volume(source, metadata));
  await create(resources.claim, wanted);
  await create("pods", database("one"));
}
const serves =
  ({ cluster }: Made, name: string) =>
  () =>
    readyPods(cluster).some(({ metadata }) => metadata.name === name);
const holder = ({ cluster, disk }: Made): string | undefined =>
  attachmentAt(cluster.world, disk, cluster.clock.monotonicMs())?.instanceId;
const machineOf = ({ cluster }: Made, name: string): string | undefined =>
  cluster.view.get("pods", "default", name)?.spec.nodeName;
const remove = ({ cluster }: Made, resource: string, name: string, namespace = "default") =>
  cluster.client.delete({ resource, namespace, name }, {});
const bound = ({ cluster }: Made): KubeObject & { status?: { phase?: string } } =>
  cluster.view.get("persistentvolumes", "", "mine") as never;
const isThere = ({ cluster, disk }: Made): boolean => cluster.clock.monotonicMs() < disk.deletingAtMs;

test.for([
  ["ebs.csi.aws.com, by matching", csi, {}, {}],
  ["ebs.csi.aws.com, by its name", csi, { volumeName: "mine" }, {}],
  ["ebs.csi.aws.com, by a selector", csi, { selector: { matchLabels: { of: "me" } } }, { labels: { of: "me" } }],
  ["the old in-tree source", inTree, {}, {}],
] as const)("a volume made by hand is found, attached in its zone, moved on and never deleted: %s", async (row) => {
  const [, source, wanted, metadata] = row;
  const made = await opened();
  const { cluster, disk, create } = made;
  await apply(made, source(disk.id), claim(wanted), metadata);
  await cluster.until("it serves", serves(made, "one"));
  expect(holder(made)).toBe(machineOf(made, "one"));
  expect(cluster.world.instances.get(holder(made) ?? "")?.zone).toBe("us-east-1b");
  await create("pods", database("two"));
  await cluster.until("two has a machine", () => machineOf(made, "two") !== undefined);
  await remove(made, "pods", "one");
  await cluster.until("two serves", serves(made, "two"));
  expect(holder(made)).toBe(machineOf(made, "two"));
  expect(
    (await seen(cluster)).map(({ handle }) => handle),
    "`drover down` doesn't see it",
  ).toEqual([]);
  await remove(made, "pods", "two");
  await remove(made, resources.claim, "data");
  await cluster.until("it is let go", () => holder(made) === undefined && bound(made).status?.phase === "Released");
  await remove(made, resources.volume, "mine", "");
  await cluster.clock.advance(120_000);
  expect(cluster.view.list("persistentvolumes")).toEqual([]);
  expect(isThere(made)).toBe(true);
  expect(warned(cluster).filter((each) => !each.includes("Multi-Attach"))).toEqual([]);
});

async function seen({ cloud, clock }: AwsCluster) {
  const looked = cloud.volumes.observe();
  await clock.advance(5_000);
  return (await looked).volumes;
}

const zoneOf = (zone: string) => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [
        { matchExpressions: [{ key: "topology.kubernetes.io/zone", operator: "In", values: [zone] }] },
      ],
    },
  },
});

test.for([
  ["does not exist", () => csi("vol-0123456789abcdef0"), /there is no disk vol-0123456789abcdef0/],
  ["is no volume's name", () => csi("data"), /there is no disk data/],
  [
    "is in another zone than its affinity says",
    (id: string) => ({ ...csi(id), ...zoneOf("us-east-1a") }),
    /its disk vol-\w+ is in zone us-east-1b, and spec\.nodeAffinity allows us-east-1a only/,
  ],
  ["is of a kind that drover has no means to mount", () => ({ hostPath: { path: "/srv" } }), /can't mount hostPath/],
  [
    "is one partition",
    (id: string) => ({ awsElasticBlockStore: { volumeID: id, partition: 1 } }),
    /mounts whole disks, and no partition/,
  ],
] as const)("a volume that %s: the Pod says so, and no machine is launched", async ([, source, message]) => {
  const made = await opened();
  const { cluster } = made;
  await apply(made, source(made.disk.id));
  await cluster.clock.advance(120_000);
  expect(unscheduled(cluster).join()).toMatch(message);
  expect(
    warned(cluster)
      .filter((each) => each.startsWith("Pod FailedScheduling: persistentvolume"))
      .join(),
  ).toMatch(message);
  await cluster.restart();
  await cluster.clock.advance(120_000);
  expect(cluster.world.instances.size).toBe(0);
});

test("a volume that is attached to somebody's instance: Pod and claim say so, until it is detached there", async () => {
  const made = await opened();
  const { cluster, disk } = made;
  const forever = { detachingAtMs: Number.POSITIVE_INFINITY, detachedAtMs: Number.POSITIVE_INFINITY };
  const since = { attachedAtMs: 0, attachWallMs: 0, deleteOnTermination: false, device: "/dev/sdf" };
  disk.attachment = { instanceId: "i-0123456789abcdef0", ...since, ...forever };
  await apply(made, csi(disk.id));
  await cluster.clock.advance(120_000);
  const why = /its disk vol-\w+ is attached to i-0123456789abcdef0, which is no machine of this cluster/;
  expect(unscheduled(cluster).join()).toMatch(why);
  expect(
    warned(cluster)
      .filter((each) => /^PersistentVolume/.test(each))
      .join(),
  ).toMatch(why);
  await cluster.restart();
  await cluster.clock.advance(120_000);
  expect(cluster.world.instances.size).toBe(0);
  delete disk.attachment;
  await cluster.until("it serves", serves(made, "one"));
  expect(holder(made)).toBe(machineOf(made, "one"));
});

test("a volume that its owner has not lent: the Pod says which tag permits it, and serves once it is there", async () => {
  const made = await opened({});
  const { cluster, disk } = made;
  await apply(made, csi(disk.id));
  await cluster.until("it is refused", () => cluster.events("FailedAttachVolume").length > 0);
  expect(warned(cluster).join("\n")).toMatch(
    new RegExp(
      `^Pod FailedAttachVolume: .*create-tags --resources ${disk.id} --tags Key=drover.dev/attach,Value=test`,
      "m",
    ),
  );
  expect(warned(cluster).join("\n")).toContain("AWS does not permit ec2:AttachVolume");
  disk.tags.set("drover.dev/attach", "test");
  await cluster.until("it serves", serves(made, "one"));
  expect(living(cluster)).toHaveLength(1);
});

test.for([
  ["stays, and the volume says why", {}, "Failed"],
  ["goes where a provisioner is said to have made it", { "pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com" }, ""],
] as const)("with the reclaim policy Delete the disk %s", async ([, annotations, phase]) => {
  const made = await opened({ "drover.dev/cluster": "test" });
  const { cluster, disk } = made;
  await apply(made, { ...csi(disk.id), persistentVolumeReclaimPolicy: "Delete" }, claim(), { annotations });
  await cluster.until("it serves", serves(made, "one"));
  await remove(made, "pods", "one");
  await remove(made, resources.claim, "data");
  await cluster.clock.advance(300_000);
  expect(isThere(made)).toBe(phase !== "");
  expect(cluster.view.list("persistentvolumes").map(({ status }) => status?.phase)).toEqual(phase ? [phase] : []);
  const told = warned(cluster).filter((each) => each.startsWith("PersistentVolume VolumeFailedDelete"));
  expect(told).toEqual(phase ? [expect.stringContaining(`the disk ${disk.id}, so that it stays`)] : []);
});
