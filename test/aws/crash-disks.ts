import type { KubeObject } from "../../src/api/object.ts";
import { powerOff } from "../../src/clouds/sim/aws/accidents.ts";
import { attachmentAt, type Volume } from "../../src/clouds/sim/aws/volumes.ts";
import { webDeployment, webService } from "../controllers/cluster.ts";
import { claim } from "../controllers/disk-objects.ts";
import { type AwsCluster, manager } from "./cluster.ts";
import type { Workload } from "./crash.ts";
import { readyPods } from "./web.ts";

const storageClass: KubeObject = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "gp3" },
  ...{ provisioner: "ebs.csi.aws.com", volumeBindingMode: "WaitForFirstConsumer" },
};

/** The first one is there before the rollout, the second one comes with it. */
const claims = ["data", "more"].map((name) => ({ ...claim(), metadata: { name, namespace: "default" } }));

/** A Deployment of one Pod with these claims, which the next one gets when it has gone. */
function database(image: string, names: readonly string[]): KubeObject {
  const { spec, ...object } = webDeployment(1, image, { strategy: { type: "Recreate" } });
  const { template, ...rest } = spec as { template: { spec: { containers: object[] } } };
  const [container] = template.spec.containers;
  const volumeMounts = names.map((name) => ({ name, mountPath: `/${name}` }));
  const volumes = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  const inside = { volumes, containers: [{ ...container, volumeMounts }] };
  return { ...object, spec: { ...rest, template: { ...template, spec: inside } } } as KubeObject;
}

const resources = {
  StorageClass: "storageclasses.storage.k8s.io",
  PersistentVolumeClaim: "persistentvolumeclaims",
  Service: "services",
  Deployment: "deployments.apps",
} as const;

const keyOf = ({ kind, metadata }: KubeObject) => ({
  resource: resources[kind as keyof typeof resources],
  namespace: kind === "StorageClass" ? "" : "default",
  name: metadata.name ?? "",
});

const objects = (image: string): KubeObject[] => {
  const used = claims.slice(0, image === "web:1" ? 1 : 2);
  return [
    storageClass,
    ...used,
    webService(),
    database(
      image,
      used.map(({ metadata }) => metadata.name),
    ),
  ];
};

/** As `kubectl apply` does: makes what is missing, and changes the Deployment. */
async function apply({ client, view }: AwsCluster, image: string): Promise<void> {
  for (const object of objects(image)) {
    const key = keyOf(object);
    if (!view.get(key.resource, key.namespace, key.name)) await client.create(key.resource, object as never, manager);
    else if (object.kind === "Deployment")
      await client.update(key, (now) => ({ ...now, spec: object["spec"] }) as never, manager);
  }
}

async function remove({ client }: AwsCluster): Promise<void> {
  for (const object of objects("web:2").slice(1).reverse()) await client.delete(keyOf(object), {});
}

/** All disks of claims that there ever were, and the machine that has each. */
function disks({ world, clock }: AwsCluster): { disk: Volume; machine: string | undefined }[] {
  return [...world.volumes.values()]
    .filter((disk) => disk.tags.has("drover.dev/claim"))
    .map((disk) => ({ disk, machine: attachmentAt(world, disk, clock.monotonicMs())?.instanceId }));
}

function problems(cluster: AwsCluster): string[] {
  const node = readyPods(cluster)[0]?.spec.nodeName;
  const found = disks(cluster);
  const elsewhere = found.filter(({ machine }) => machine !== node);
  return [
    ...(found.length === claims.length ? [] : [`there were ${found.length} disks for ${claims.length} claims`]),
    ...elsewhere.map(({ disk, machine }) => `disk ${disk.id} is at ${machine}, and its Pod at ${node}`),
  ];
}

const heldDisk = /Multi-Attach error for volume "\S+" Volume is already used by machine (\S+)/;

/** A machine of nobody that has a Pod's disk, as an Event says, is ended by hand: drover itself leaves it alone. */
function endStrangers(cluster: AwsCluster): string[] {
  const nodes = new Set(cluster.pods().map(({ spec }) => spec.nodeName));
  const holders = cluster.events("FailedAttachVolume").flatMap((message) => heldDisk.exec(message)?.[1] ?? []);
  const strangers = holders.filter((id) => !nodes.has(id));
  for (const id of strangers) {
    const instance = cluster.world.instances.get(id);
    if (instance) powerOff(cluster.world, instance);
  }
  return strangers;
}

/** One Pod with a disk, which is rolled to one with two: a disk is made, and one goes from machine to machine. */
export const databases: Workload = { replicas: 1, apply, remove, alwaysServes: false, waiting: endStrangers, problems };
