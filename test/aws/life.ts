import { noLatencies } from "../../src/clouds/sim/aws/latencies.ts";
import { webService } from "../controllers/cluster.ts";
import { type AwsCluster, manager, openAwsCluster } from "./cluster.ts";
import { apply, ingressOf, living, remove } from "./web.ts";

const meta = (name: string) => ({ name, namespace: "default" });
const ingress = ingressOf("web");
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
  const ports = [{ port: 81, targetPort: "http" }];
  await alter(cluster, "services", "web", (now) => ({ ...(webService().spec as object), ...now, ports }));
  await apply(cluster, 1, "web:2");
  await clock.advance(300_000);
  await client.delete({ resource: "ingresses.networking.k8s.io", namespace: "default", name: "web" }, {});
  await client.delete({ resource: "pods", namespace: "default", name: "keeper" }, {});
  await client.delete({ resource: "persistentvolumeclaims", namespace: "default", name: "data" }, {});
  await remove(cluster);
  await clock.advance(300_000);
  return told(cluster);
}

type Changed = "services" | "ingresses.networking.k8s.io" | "persistentvolumeclaims";

const alter = (
  { client }: AwsCluster,
  resource: Changed,
  name: string,
  spec: (now: object) => object,
  annotations: Record<string, string> = {},
) =>
  client.update(
    { resource, namespace: "default", name },
    (now) => ({ ...now, metadata: { ...now.metadata, annotations }, spec: spec(now.spec ?? {}) }) as never,
    manager,
  );

const certificates = ["a", "b"].map((name) => `arn:aws:acm:us-east-1:123456789012:certificate/${name}`);
const webAcl = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/1";
const alb = "alb.ingress.kubernetes.io/";
const guarded = { [`${alb}wafv2-acl-arn`]: webAcl, [`${alb}listen-ports`]: '[{"HTTP": 80}, {"HTTPS": 443}]' };
const nlb = "service.beta.kubernetes.io/aws-load-balancer-";
const tls = (count: number) => ({
  [`${nlb}ssl-cert`]: certificates.slice(0, count).join(),
  [`${nlb}attributes`]: "load_balancing.cross_zone.enabled=true",
});

/** As `life`, for what people change of things that are there: a load balancer's settings, rules, a claim's size. */
export async function changes(prepare: (cluster: AwsCluster) => void) {
  const cluster = await openAwsCluster({ latencies: noLatencies, hostedZones: [], cloud: { createZone: true } });
  // Of so many names a list does not show all.
  const domains = [...Array.from({ length: 100 }, (_, index) => `w${index}.example.com`), "*.example.org"];
  for (const arn of certificates) cluster.world.certificates.set(arn, { domains, status: "ISSUED" });
  cluster.world.webAcls.add(webAcl);
  cluster.world.instanceProfiles.set("mine", {
    arn: "arn:aws:iam::123456789012:instance-profile/mine",
    visibleAtMs: 0,
  });
  prepare(cluster);
  const { client, clock, world } = cluster;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...meta("mine"), annotations: {} } };
  Object.assign(account.metadata.annotations, { "drover.dev/instance-profile": "mine" });
  await client.create("serviceaccounts", account as never, manager);
  await client.create(
    "storageclasses.storage.k8s.io",
    { ...storageClass, allowVolumeExpansion: true } as never,
    manager,
  );
  await client.create("persistentvolumeclaims", claim as never, manager);
  await client.create("pods", { ...keeper, spec: { ...keeper.spec, serviceAccountName: "mine" } } as never, manager);
  await apply(cluster, 1);
  await client.create("ingresses.networking.k8s.io", ingress as never, manager);
  const service = (annotations: Record<string, string>) => alter(cluster, "services", "web", (now) => now, annotations);
  await service(tls(1));
  await clock.advance(300_000);
  const [first, second] = world.subnets.keys();
  const other = { ...tls(2), [`${nlb}subnets`]: `${first},${second}`, [`${nlb}ip-address-type`]: "dualstack" };
  const own = [...world.securityGroups.values()].find(({ name }) => name === "default")?.id ?? "";
  const policy = {
    [`${nlb}security-groups`]: own,
    [`${nlb}ssl-negotiation-policy`]: "ELBSecurityPolicy-TLS13-1-2-2021-06",
  };
  await service({ ...other, ...policy, [`${nlb}healthcheck-interval`]: "20" });
  const [rule] = ingress.spec.rules;
  const [path] = rule?.http.paths ?? [];
  const before = { ...rule, http: { paths: [{ ...path, path: "/first", pathType: "Exact" }, path] } };
  await alter(cluster, "ingresses.networking.k8s.io", "web", (now) => ({ ...now, rules: [before] }), guarded);
  const resources = { requests: { storage: "2Gi" } };
  await alter(cluster, "persistentvolumeclaims", "data", (now) => ({ ...now, resources }));
  await clock.advance(300_000);
  await service(tls(1));
  await alter(cluster, "ingresses.networking.k8s.io", "web", (now) => ({ ...now, rules: [rule] }));
  await clock.advance(300_000);
  return told(cluster);
}

/** Where it was said that an action is not permitted, what was called, and what is left. */
async function told(cluster: AwsCluster) {
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
