import { expect, onTestFinished, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { Pod } from "../../src/api/types.gen.ts";
import { manager, openCluster } from "./cluster.ts";
import { claim, database } from "./disk-objects.ts";

type Cluster = Awaited<ReturnType<typeof openCluster>>;

async function openTestCluster() {
  const cluster = await openCluster();
  onTestFinished(cluster.close);
  return cluster;
}
const create = (cluster: Cluster, resource: string, object: KubeObject) =>
  cluster.client.create(resource, object as never, manager);

const storageClass = (more: object = {}): KubeObject =>
  ({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "gp3", namespace: "" },
    provisioner: "ebs.csi.aws.com",
    volumeBindingMode: "WaitForFirstConsumer",
    parameters: { type: "gp3", "csi.storage.k8s.io/fstype": "xfs" },
    ...more,
  }) as unknown as KubeObject;
const isReady = (pod: Pod | undefined) =>
  pod?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
const podOf = (cluster: Cluster, name: string) => cluster.view.get("pods", "default", name);
const claimOf = (cluster: Cluster) => cluster.view.get("persistentvolumeclaims", "default", "data");
const [volumes, disks] = [
  (cluster: Cluster) => cluster.view.list("persistentvolumes"),
  (cluster: Cluster) => [...cluster.world.disks.values()],
];
const remove = (cluster: Cluster, resource: string, name: string, namespace = "default") =>
  cluster.client.delete({ resource, namespace, name }, {});

async function serving() {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass());
  await create(cluster, "persistentvolumeclaims", claim());
  await cluster.clock.advance(20_000);
  expect(claimOf(cluster)?.status?.phase).toBe("Pending");
  expect(disks(cluster)).toEqual([]);
  await create(cluster, "pods", database("one"));
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  return cluster;
}

test("a disk is made where its first Pod goes, attached and told to the machine", async () => {
  const cluster = await serving();
  expect(cluster.events("WaitForFirstConsumer").length).toBe(1);
  const [volume] = volumes(cluster);
  const pod = podOf(cluster, "one");
  const machine = cluster.world.machines.get(pod?.spec.nodeName ?? "");
  expect(claimOf(cluster)).toMatchObject({
    spec: { volumeName: volume?.metadata.name },
    status: { phase: "Bound", capacity: { storage: "1Gi" } },
  });
  expect(volume).toMatchObject({
    spec: { persistentVolumeReclaimPolicy: "Delete", csi: { driver: "ebs.csi.aws.com", fsType: "xfs" } },
    status: { phase: "Bound" },
  });
  expect(disks(cluster)).toMatchObject([
    { spec: { zone: machine?.placement.zone, sizeBytes: 2 ** 30, parameters: { type: "gp3" } } },
  ]);
  expect(disks(cluster)[0]?.place?.machineId).toBe(machine?.id);
});

test("the next Pod gets the same disk, in its zone, after the first has let go of it", async () => {
  const cluster = await serving();
  const zone = disks(cluster)[0]?.spec.zone;
  await create(cluster, "pods", database("two"));
  await cluster.until("two has a machine", () => podOf(cluster, "two")?.spec.nodeName !== undefined);
  expect(cluster.view.get("nodes", "", podOf(cluster, "two")?.spec.nodeName ?? "")?.metadata.labels).toMatchObject({
    "topology.kubernetes.io/zone": zone,
  });
  await cluster.clock.advance(60_000);
  expect(isReady(podOf(cluster, "two"))).toBe(false);
  expect(isReady(podOf(cluster, "one"))).toBe(true);
  await remove(cluster, "pods", "one");
  await cluster.until("two serves", () => isReady(podOf(cluster, "two")));
  expect(disks(cluster).length).toBe(1);
  expect(disks(cluster)[0]?.place?.machineId).toBe(podOf(cluster, "two")?.spec.nodeName);
});

test("a claim in use stays until its Pod is gone; then the disk goes with it", async () => {
  const cluster = await serving();
  await remove(cluster, "persistentvolumeclaims", "data");
  await cluster.clock.advance(60_000);
  expect(claimOf(cluster)?.metadata.deletionTimestamp).toBeDefined();
  expect(disks(cluster).length).toBe(1);
  await remove(cluster, "pods", "one");
  await cluster.until("all is gone", () => disks(cluster).length === 0 && volumes(cluster).length === 0);
  expect(claimOf(cluster)).toBeUndefined();
});

test("after the store was lost a claim of the same name has its disk again, and its Pod goes there", async () => {
  const cluster = await serving();
  const [before] = disks(cluster);
  await remove(cluster, "pods", "one");
  await cluster.until("nobody has it", () => disks(cluster)[0]?.place === undefined);
  await cluster.loseStore();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass());
  await create(cluster, "pods", database("two"));
  await create(cluster, "persistentvolumeclaims", claim());
  await cluster.until("it serves", () => isReady(podOf(cluster, "two")));
  expect(disks(cluster)).toHaveLength(1);
  expect(disks(cluster)[0]?.handle).toBe(before?.handle);
  expect(disks(cluster)[0]?.place?.machineId).toBe(podOf(cluster, "two")?.spec.nodeName);
  expect(cluster.events("DiskTakenOver")).toEqual([
    `The disk ${before?.handle} of default/data, which is older than drover's own data, is taken over`,
  ]);
  await remove(cluster, "pods", "two");
  await remove(cluster, "persistentvolumeclaims", "data");
  await cluster.until("the disk goes with its claim", () => disks(cluster).length === 0);
});

test("a disk that was kept and let go of is not the next claim's of that name", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass({ reclaimPolicy: "Retain" }));
  for (const name of ["one", "two"]) {
    await create(cluster, "persistentvolumeclaims", claim());
    await create(cluster, "pods", database(name));
    await cluster.until("it serves", () => isReady(podOf(cluster, name)));
    await remove(cluster, "pods", name);
    await remove(cluster, "persistentvolumeclaims", "data");
    await cluster.until("it is released", () => volumes(cluster)[0]?.status?.phase === "Released");
    await remove(cluster, "persistentvolumes", volumes(cluster)[0]?.metadata.name ?? "", "");
    await cluster.until("it is let go of", () => volumes(cluster).length === 0);
  }
  expect(disks(cluster)).toHaveLength(2);
});

test("a volume that is to be retained is released and keeps its disk", async () => {
  const cluster = await openTestCluster();
  await create(
    cluster,
    "storageclasses.storage.k8s.io",
    storageClass({ reclaimPolicy: "Retain", volumeBindingMode: "Immediate" }),
  );
  await create(cluster, "pods", { ...database("other"), spec: { containers: [{ name: "c", image: "c" }] } });
  await cluster.until("offers are known", () => isReady(podOf(cluster, "other")));
  await create(cluster, "persistentvolumeclaims", claim());
  await cluster.until("it is bound", () => claimOf(cluster)?.status?.phase === "Bound");
  await remove(cluster, "persistentvolumeclaims", "data");
  await cluster.until("it is released", () => volumes(cluster)[0]?.status?.phase === "Released");
  await cluster.clock.advance(120_000);
  expect(disks(cluster).length).toBe(1);
  await remove(cluster, "persistentvolumes", volumes(cluster)[0]?.metadata.name ?? "", "");
  await cluster.until("the volume is gone", () => volumes(cluster).length === 0);
  expect(disks(cluster).length, "the disk is the user's").toBe(1);
});

test("a claim grows with its disk", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass({ allowVolumeExpansion: true }));
  await create(cluster, "persistentvolumeclaims", claim());
  await create(cluster, "pods", database("one"));
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  await cluster.client.update(
    { resource: "persistentvolumeclaims", namespace: "default", name: "data" },
    (current) => ({ ...current, spec: { ...current.spec, resources: { requests: { storage: "3Gi" } } } }),
    manager,
  );
  await cluster.until("it has grown", () => claimOf(cluster)?.status?.capacity?.["storage"] === "3Gi");
  expect(disks(cluster)[0]?.spec.sizeBytes).toBe(3 * 2 ** 30);
});

test.for<[string, KubeObject[], KubeObject, string, RegExp]>([
  ["no such class", [], claim(), "ProvisioningFailed", /storageclass.storage.k8s.io "gp3" not found/],
  ["no class at all", [], claim({ storageClassName: "" }), "FailedBinding", /no storage class is set/],
  [
    "a disk for many machines",
    [storageClass()],
    claim({ accessModes: ["ReadWriteMany"] }),
    "ProvisioningFailed",
    /spec.accessModes: ReadWriteMany is not possible/,
  ],
  [
    "a provisioner of others",
    [storageClass({ provisioner: "nfs.example.org" })],
    claim(),
    "ExternalProvisioning",
    /nfs.example.org/,
  ],
])("%s is said on the claim", async ([, classes, wanted, reason, message]) => {
  const cluster = await openTestCluster();
  for (const each of classes) await create(cluster, "storageclasses.storage.k8s.io", each);
  await create(cluster, "persistentvolumeclaims", wanted);
  await create(cluster, "pods", database("one"));
  await cluster.clock.advance(60_000);
  expect(cluster.events(reason).join()).toMatch(message);
  expect(disks(cluster)).toEqual([]);
  expect(cluster.machines(), "a machine would only wait").toEqual([]);
});

test("a Pod whose claim is missing says so and launches nothing", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "pods", database("one"));
  await cluster.clock.advance(30_000);
  expect(cluster.events("FailedScheduling")).toEqual(['persistentvolumeclaim "data" not found']);
  expect(cluster.machines()).toEqual([]);
});

test("a volume of the user's own is bound to the claim that fits it best", async () => {
  const cluster = await openTestCluster();
  const own = (name: string, storage: string): KubeObject => ({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, namespace: "" },
    spec: {
      capacity: { storage },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "manual",
      hostPath: { path: "/srv/data" },
    },
  });
  for (const [name, size] of [
    ["large", "10Gi"],
    ["small", "500Mi"],
    ["right", "2Gi"],
  ] as const)
    await create(cluster, "persistentvolumes", own(name, size));
  await create(cluster, "persistentvolumeclaims", claim({ storageClassName: "manual" }));
  await cluster.until("it is bound", () => claimOf(cluster)?.status?.phase === "Bound");
  expect(claimOf(cluster)?.spec.volumeName).toBe("right");
});

test("lost replies and a restart in between make no second disk", async () => {
  const cluster = await openTestCluster();
  let lost = 2;
  cluster.world.faults = {
    ...cluster.world.faults,
    loseReply: (name) => (name === "ensureVolume" || name === "attachVolume") && lost-- > 0,
  };
  await create(cluster, "storageclasses.storage.k8s.io", storageClass());
  await create(cluster, "persistentvolumeclaims", claim());
  await create(cluster, "pods", database("one"));
  await cluster.until("the disk is made", () => disks(cluster).length > 0);
  await cluster.restart();
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  expect(disks(cluster).length).toBe(1);
});

test("an ephemeral volume gets a claim of its own and goes with its Pod", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass());
  const { spec } = database("one") as unknown as { spec: { volumes: object[] } };
  const template = {
    spec: { accessModes: ["ReadWriteOnce"], storageClassName: "gp3", resources: { requests: { storage: "1Gi" } } },
  };
  spec.volumes = [{ name: "data", ephemeral: { volumeClaimTemplate: template } }];
  await create(cluster, "pods", { ...database("one"), spec } as KubeObject);
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  expect(cluster.view.get("persistentvolumeclaims", "default", "one-data")?.status?.phase).toBe("Bound");
  await remove(cluster, "pods", "one");
  await cluster.until("all is gone", () => disks(cluster).length === 0 && volumes(cluster).length === 0);
  expect(cluster.view.list("persistentvolumeclaims")).toEqual([]);
});

test.for([
  ["a file system that nobody makes", { parameters: { fsType: "btrfs" } }, {}, /"fsType" can't be "btrfs"/],
  [
    "a source",
    {},
    { dataSource: { kind: "VolumeSnapshot", name: "x", apiGroup: "snapshot.storage.k8s.io" } },
    /^spec\.dataSource: .*blank disks/,
  ],
  ["a claim to copy", {}, { dataSourceRef: { kind: "PersistentVolumeClaim", name: "x" } }, /^spec\.dataSource(Ref)?: /],
] as const)("a claim with %s is told so and launches nothing", async ([_name, kind, more, message]) => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass(kind));
  await create(cluster, "persistentvolumeclaims", claim(more));
  await cluster.clock.advance(5_000);
  const told = cluster.view.list("events").filter(({ reason }) => reason === "ProvisioningFailed");
  expect(told.map((event) => event.message)).toEqual([expect.stringMatching(message)]);
  expect(disks(cluster)).toEqual([]);
});

test("a Pod goes to a zone that its disk's class allows", async () => {
  const cluster = await openTestCluster();
  const zones = { matchLabelExpressions: [{ key: "topology.ebs.csi.aws.com/zone", values: ["sim-c"] }] };
  await create(cluster, "storageclasses.storage.k8s.io", storageClass({ allowedTopologies: [zones] }));
  await create(cluster, "persistentvolumeclaims", claim());
  await create(cluster, "pods", database("one"));
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  const labels = volumes(cluster).map(({ metadata }) => metadata.labels?.["topology.kubernetes.io/zone"]);
  expect(labels).toEqual(["sim-c"]);
});

const handMade = (volumeHandle: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "mine", namespace: "", labels: { of: "me" } },
  spec: {
    capacity: { storage: "2Gi" },
    accessModes: ["ReadWriteOnce"],
    persistentVolumeReclaimPolicy: "Retain",
    csi: { driver: "drover.dev/disk", volumeHandle },
    ...more,
  },
});

test("a disk that was kept is taken up again by a volume made by hand", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass({ reclaimPolicy: "Retain" }));
  await create(cluster, "persistentvolumeclaims", claim());
  await create(cluster, "pods", database("one"));
  await cluster.until("it serves", () => isReady(podOf(cluster, "one")));
  const [before] = disks(cluster);
  for (const [resource, name] of [
    ["pods", "one"],
    ["persistentvolumeclaims", "data"],
  ] as const)
    await remove(cluster, resource, name);
  await cluster.until("it is released", () => volumes(cluster)[0]?.status?.phase === "Released");
  await remove(cluster, "persistentvolumes", volumes(cluster)[0]?.metadata.name ?? "", "");
  await cluster.until("the volume is gone", () => volumes(cluster).length === 0);
  await create(cluster, "persistentvolumes", handMade(before?.handle ?? ""));
  await create(cluster, "persistentvolumeclaims", claim({ storageClassName: "", volumeName: "mine" }));
  await create(cluster, "pods", database("two"));
  await cluster.until("it serves again", () => isReady(podOf(cluster, "two")));
  expect(disks(cluster).map(({ handle }) => handle)).toEqual([before?.handle]);
  expect(disks(cluster)[0]?.place?.machineId).toBe(podOf(cluster, "two")?.spec.nodeName);
  expect(cluster.machines().at(-1)?.placement.zone).toBe(before?.spec.zone);
});

test("a volume made by hand of a disk that drover did not make is told on Pod and claim, and launches nothing", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "persistentvolumes", handMade("vol-0123456789abcdef0"));
  await create(cluster, "persistentvolumeclaims", claim({ storageClassName: "", volumeName: "mine" }));
  await create(cluster, "pods", database("one"));
  await cluster.clock.advance(120_000);
  const why =
    "there is no disk vol-0123456789abcdef0: it is looked for at AWS in this account and region, on this computer among those that drover made and kept";
  expect(cluster.events("FailedScheduling")).toContain(`persistentvolume "mine": ${why}`);
  const told = cluster.view.list("events").filter(({ reason }) => reason === "FailedAttachVolume");
  expect(told.map(({ involvedObject, message }) => [involvedObject.kind, message])).toContainEqual([
    "PersistentVolumeClaim",
    why,
  ]);
  expect(volumes(cluster)[0]?.status?.message).toBe(why);
  expect(cluster.machines()).toEqual([]);
});

test.for([
  ["too small", { resources: { requests: { storage: "3Gi" } } }, "requested PV is too small"],
  ["of another class", { storageClassName: "gp3" }, "storageClassName does not match"],
  ["no block device", { volumeMode: "Block" }, "incompatible volumeMode"],
  ["not for many", { accessModes: ["ReadWriteMany"] }, "incompatible accessMode"],
] as const)("a claim that names a volume which is %s is told so and not bound", async ([, more, why]) => {
  const cluster = await openTestCluster();
  await create(cluster, "persistentvolumes", handMade("vol-1"));
  const wanted = { storageClassName: "", volumeName: "mine", ...more };
  await create(cluster, "persistentvolumeclaims", claim(wanted));
  await cluster.clock.advance(30_000);
  expect(cluster.events("VolumeMismatch")).toEqual([`Cannot bind to requested volume "mine": ${why}`]);
  expect(claimOf(cluster)?.status?.phase).toBe("Pending");
});

test.for([
  ["me", "Bound"],
  ["you", "Pending"],
])("a claim that selects volumes of %s stays or becomes %s", async ([of, phase]) => {
  const cluster = await openTestCluster();
  await create(cluster, "persistentvolumes", handMade("vol-1"));
  await create(cluster, "persistentvolumeclaims", claim({ storageClassName: "", selector: { matchLabels: { of } } }));
  await cluster.clock.advance(30_000);
  expect(claimOf(cluster)?.status?.phase).toBe(phase);
});

test("a claim that is to grow with a disk that drover did not make is told what to do, and no disk is made", async () => {
  const cluster = await openTestCluster();
  await create(cluster, "storageclasses.storage.k8s.io", storageClass({ allowVolumeExpansion: true }));
  await create(cluster, "persistentvolumes", handMade("vol-1", { storageClassName: "gp3" }));
  await create(cluster, "persistentvolumeclaims", claim({ volumeName: "mine" }));
  await cluster.until("it is bound", () => claimOf(cluster)?.status?.phase === "Bound");
  await cluster.client.update(
    { resource: "persistentvolumeclaims", namespace: "default", name: "data" },
    (current) => ({ ...current, spec: { ...current.spec, resources: { requests: { storage: "5Gi" } } } }),
    manager,
  );
  await cluster.clock.advance(30_000);
  expect(cluster.events("VolumeResizeFailed")).toEqual([
    'drover grows only disks that it made: grow vol-1 by hand, then set spec.capacity of the PersistentVolume "mine"',
  ]);
  expect(disks(cluster)).toEqual([]);
});
