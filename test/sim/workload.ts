import type { KubeObject } from "../../src/api/object.ts";
import type { Deployment, Ingress, Node, Pod, Service } from "../../src/api/types.gen.ts";
import type { Random } from "../../src/base/random.ts";
import type { Simulation } from "./simulation.ts";

const manager = "user";
const at = <T>(items: readonly T[], random: Random): T | undefined => items[Math.floor(random.next() * items.length)];

/** A Deployment as a manifest has it; defaulting is the server's work. */
const deployment = (name: string, replicas: number, image: string, random: Random): Deployment => {
  const strategy = at(
    [
      { maxSurge: 1, maxUnavailable: 0 },
      { maxSurge: "25%", maxUnavailable: "25%" },
      { maxSurge: 0, maxUnavailable: 1 },
    ],
    random,
  );
  const object: KubeObject = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      strategy: { type: "RollingUpdate", rollingUpdate: strategy },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [{ name: "web", image, ports: [{ containerPort: 80 }] }],
          terminationGracePeriodSeconds: 10,
        },
      },
    },
  };
  return object as Deployment;
};

const service = (name: string, type: string): Service =>
  ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { type, selector: { app: name }, ports: [{ port: 80 }] },
  }) as Service;

const ingress = (name: string): KubeObject => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name, namespace: "default" },
  spec: { defaultBackend: { service: { name, port: { number: 80 } } } },
});
const ingressKey = (name: string) => ({ resource: "ingresses.networking.k8s.io", namespace: "default", name }) as const;

const key = (name: string) => ({ resource: "deployments.apps", namespace: "default", name }) as const;
const image = (random: Random): string => `web:${1 + Math.floor(random.next() * 4)}`;

/** What a person may do next; each is drawn by the seed. Those that take machines or Pods away make the run disturbed. */
export const deeds: Readonly<Record<string, (simulation: Simulation) => Promise<void>>> = {
  async deploy(simulation) {
    const { client, random, names } = simulation;
    if (names.length >= 2) return;
    const name = `app-${simulation.named++}`;
    await client.create("services", service(name, random.next() < 0.6 ? "LoadBalancer" : "ClusterIP"), { manager });
    if (random.next() < 0.3) await client.create(ingressKey(name).resource, ingress(name) as Ingress, { manager });
    await client.create(
      "deployments.apps",
      deployment(name, 1 + Math.floor(random.next() * 5), image(random), random),
      { manager },
    );
    names.push(name);
  },
  async scale({ client, random, names }) {
    const replicas = Math.floor(random.next() * 6);
    await client.update(
      key(at(names, random) ?? ""),
      (current) => ({ ...current, spec: { ...current.spec, replicas } }),
      { manager },
    );
  },
  async roll({ client, random, names }) {
    await client.update(
      key(at(names, random) ?? ""),
      (current) => {
        const next = structuredClone(current);
        const container = next.spec.template.spec?.containers[0];
        if (container) container.image = image(random);
        return next;
      },
      { manager },
    );
  },
  async deletePod(simulation) {
    simulation.disturbed = true;
    const pod: Pod | undefined = at(simulation.view.list("pods"), simulation.random);
    if (!pod) return;
    await simulation.client.delete({ resource: "pods", namespace: "default", name: pod.metadata.name }, {});
  },
  async deleteNode(simulation) {
    simulation.disturbed = true;
    const node: Node | undefined = at(simulation.view.list("nodes"), simulation.random);
    if (node) await simulation.client.delete({ resource: "nodes", namespace: "", name: node.metadata.name }, {});
  },
  async killMachine(simulation) {
    simulation.disturbed = true;
    const machine = at(
      simulation.world.living().filter(({ id }) => !simulation.strangers.includes(id)),
      simulation.random,
    );
    if (machine) simulation.world.end(machine, "Client.InstanceInitiatedShutdown");
  },
  async remove(simulation) {
    const { client, random, names } = simulation;
    const name = at(names, random);
    if (name === undefined || random.next() < 0.5) return;
    await client.delete(key(name), { propagationPolicy: "Background" });
    if (simulation.view.get(ingressKey(name).resource, "default", name)) await client.delete(ingressKey(name), {});
    await client.delete({ resource: "services", namespace: "default", name }, {});
    names.splice(names.indexOf(name), 1);
  },
};
