import type { Ingress, Pod } from "../../src/api/types.gen.ts";
import { type Instance, stateAt } from "../../src/clouds/sim/aws/instances.ts";
import { receivingAt } from "../../src/clouds/sim/aws/target-health.ts";
import { webDeployment, webService } from "../controllers/cluster.ts";
import { type AwsCluster, manager } from "./cluster.ts";

/** What people do with one Deployment behind one Service, and how it shows that it is done. */

const key = { resource: "deployments.apps" as const, namespace: "default", name: "web" };

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;

export const readyPods = (cluster: AwsCluster): readonly Pod[] => cluster.pods().filter(isReady);

/** An Ingress of class `alb` that sends everything of one host to the Service. */
export const ingressOf = (name: string, annotations: Readonly<Record<string, string>> = {}) =>
  ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "default", annotations: { ...annotations } },
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
  }) satisfies Ingress;

/** As `kubectl apply` does: makes what is missing. */
export async function apply(cluster: AwsCluster, replicas: number, image = "web:1"): Promise<void> {
  const { client, view } = cluster;
  if (!view.get("services", "default", "web")) await client.create("services", webService() as never, manager);
  if (view.get(key.resource, "default", "web")) await change(cluster, image, replicas);
  else await client.create(key.resource, webDeployment(replicas, image) as never, manager);
}

export async function deploy(cluster: AwsCluster, replicas: number): Promise<void> {
  await apply(cluster, replicas);
  await cluster.until("all serve", () => readyPods(cluster).length === replicas);
}

export const change = (cluster: AwsCluster, image: string, replicas: number) =>
  cluster.client.update(
    key,
    (current) => ({ ...current, spec: { ...(webDeployment(replicas, image).spec as object) } }) as never,
    manager,
  );

export const isDone = (cluster: AwsCluster, replicas: number): boolean => {
  const { status, metadata } = cluster.deployment("web") ?? {};
  return (
    status?.observedGeneration === metadata?.generation &&
    status?.updatedReplicas === replicas &&
    status?.availableReplicas === replicas &&
    status?.replicas === replicas
  );
};

export async function remove(cluster: AwsCluster): Promise<void> {
  await cluster.client.delete(key, {});
  await cluster.client.delete({ resource: "services", namespace: "default", name: "web" }, {});
}

/** Instances that have not ended. */
export const living = ({ world, clock }: AwsCluster): Instance[] =>
  [...world.instances.values()].filter(({ terminatedAtMs }) => terminatedAtMs > clock.monotonicMs());

/** Instances that get new connections, and answer none. */
export function losing({ world, clock }: AwsCluster): string[] {
  const nowMs = clock.monotonicMs();
  return receivingAt(world, nowMs).flatMap(({ instanceId, port }) => {
    const instance = world.instances.get(instanceId);
    const serves = instance && stateAt(instance, nowMs) === "running" && world.bodies.serving(instance, port).serves;
    return serves ? [] : [instanceId];
  });
}
