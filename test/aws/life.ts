import { noLatencies } from "../../src/clouds/sim/aws/latencies.ts";
import { webService } from "../controllers/cluster.ts";
import { type AwsCluster, manager, openAwsCluster } from "./cluster.ts";
import { apply, living, remove } from "./web.ts";

const meta = (name: string) => ({ name, namespace: "default" });
const ingress = {
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: meta("web"),
  spec: {
    ingressClassName: "alb",
    rules: [
      {
        host: "www.example.org",
        http: {
          paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } }],
        },
      },
    ],
  },
};
const storageClass = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "gp3", namespace: "" },
  provisioner: "ebs.csi.aws.com",
  volumeBindingMode: "WaitForFirstConsumer",
};
const claim = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: meta("data"),
  spec: { accessModes: ["ReadWriteOnce"], storageClassName: "gp3", resources: { requests: { storage: "1Gi" } } },
};
const keeper = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: meta("keeper"),
  spec: {
    containers: [{ name: "keeper", image: "web:1", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
  },
};

/**
 * What people do in the life of a cluster with a Service, an Ingress and a claim, and where it was said that an action
 * is not permitted. `prepare`: before anything is made.
 */
export async function life(prepare: (cluster: AwsCluster) => void, hostedZones = ["cluster.local"]) {
  const cluster = await openAwsCluster({ latencies: noLatencies, hostedZones, cloud: { createZone: true } });
  prepare(cluster);
  const { client, clock } = cluster;
  await apply(cluster, 2);
  await client.create("ingresses.networking.k8s.io", ingress as never, manager);
  await client.create("storageclasses.storage.k8s.io", storageClass as never, manager);
  await client.create("persistentvolumeclaims", claim as never, manager);
  await client.create("pods", keeper as never, manager);
  await clock.advance(300_000);
  const key = { resource: "services" as const, namespace: "default", name: "web" };
  const ports = [{ port: 81, targetPort: "http" }];
  await client.update(
    key,
    (now) => ({ ...now, spec: { ...(webService().spec as object), ...now.spec, ports } }) as never,
    manager,
  );
  await apply(cluster, 1, "web:2");
  await clock.advance(300_000);
  await client.delete({ resource: "ingresses.networking.k8s.io", namespace: "default", name: "web" }, {});
  await client.delete({ resource: "pods", namespace: "default", name: "keeper" }, {});
  await client.delete({ resource: "persistentvolumeclaims", namespace: "default", name: "data" }, {});
  await remove(cluster);
  await clock.advance(300_000);
  const names = (text: string) => text.match(/does not permit (\w+:\w+)/)?.[1] ?? [];
  const naming = cluster.view.list("events").filter(({ message = "" }) => names(message).length > 0);
  const events = naming.flatMap(({ message = "" }) => names(message));
  const told = naming.map(({ involvedObject: { kind, name }, reason }) => `${kind} ${name} ${reason}`);
  const logged = [...cluster.warnings, ...cluster.logged].flatMap(names);
  const calls = new Set(cluster.world.calls.keys());
  const looks = [...cluster.warnings, ...cluster.logged].filter((line) => line.includes("can't be observed"));
  const left = living(cluster).length;
  await cluster.close();
  return { events: [...new Set(events)], logged: [...new Set(logged)], told, looks, calls, left };
}
