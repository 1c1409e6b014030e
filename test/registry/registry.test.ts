import { expect, test } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { memoryStore } from "../../src/store/memory.ts";

const open = async () => {
  const clock = new VirtualClock();
  const store = memoryStore({ clock });
  const registry = await openRegistry({ store, clock, random: seededRandom(1) });
  return { clock, store, registry, client: registry.client() };
};
const by = { manager: "test" };

test("an empty store gets the first namespaces", async () => {
  const { registry } = await open();
  const names = registry.view.list("namespaces").map(({ metadata }) => metadata.name);
  expect(names).toEqual(["default", "kube-node-lease", "kube-public", "kube-system"]);
  expect(registry.view.get("namespaces", "", "default")?.status?.phase).toBe("Active");
});

test("a created object is durable, visible and told to listeners", async () => {
  const { client } = await open();
  const told: string[] = [];
  client.subscribe(({ key, before, after }) => told.push(`${key.name} ${before === undefined} ${after === undefined}`));
  const made = await client.create(
    "configmaps",
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "default" }, data: { k: "v" } },
    by,
  );
  expect(made.metadata).toMatchObject({ resourceVersion: "5", uid: expect.any(String) });
  expect(client.view.get("configmaps", "default", "a")?.data).toEqual({ k: "v" });
  await client.update(
    { resource: "configmaps", namespace: "default", name: "a" },
    (c) => ({ ...c, data: { k: "w" } }),
    by,
  );
  await client.update({ resource: "configmaps", namespace: "default", name: "a" }, (c) => c, by);
  await client.delete({ resource: "configmaps", namespace: "default", name: "a" }, {});
  expect(told).toEqual(["a true false", "a false false", "a false true"]);
});
