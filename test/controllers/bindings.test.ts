import { expect, test } from "vitest";
import type { Pod, Service } from "../../src/api/types.gen.ts";
import type { Cloud, Surroundings } from "../../src/clouds/cloud.ts";
import { openBindings } from "../../src/controllers/bindings.ts";
import type { Client } from "../../src/registry/client.ts";

const service = (name: string, clusterIP: string): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", uid: name },
  spec: { clusterIP, selector: { app: name }, ports: [{ port: 80 }] },
});
const services = [service("kubernetes", "10.96.0.1"), service("db", "10.96.0.9"), service("free", "10.96.0.8")];
const objects = (resource: string) => (resource === "services" ? services : []);
const view = {
  get: (resource: string, _namespace: string, name: string) =>
    objects(resource).find(({ metadata }) => metadata.name === name),
  list: objects,
} as unknown as Client["view"]; // What a binding asks of it.
const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default", uid: "u" },
  spec: { containers: [{ name: "main", image: "web:1" }] },
};

/** The variables that say where Services are. */
async function hosts(surroundings: Surroundings): Promise<Record<string, string>> {
  const bindingOf = openBindings({
    client: { view } as Client,
    cloud: { surroundings: async () => surroundings } as Cloud,
    namesOnly: ({ metadata }) => metadata.name === "free",
  });
  const { containers } = await bindingOf(pod, "i-1", "10.0.0.1");
  return Object.fromEntries((containers[0]?.env ?? []).filter(([name]) => name.endsWith("_SERVICE_HOST")));
}

test("containers are told addresses where somebody answers there, and names where nobody does", async () => {
  expect(await hosts({ nameservers: [] })).toEqual({
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    DB_SERVICE_HOST: "10.96.0.9",
    FREE_SERVICE_HOST: "free.default.svc.cluster.local",
  });
  // The API is reached by its address everywhere: each machine has a road to it.
  expect(await hosts({ nameservers: [], namesOnly: true })).toEqual({
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    DB_SERVICE_HOST: "db.default.svc.cluster.local",
    FREE_SERVICE_HOST: "free.default.svc.cluster.local",
  });
});
