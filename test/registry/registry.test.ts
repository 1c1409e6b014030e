import { expect, test } from "vitest";
import { openCluster } from "./cluster.ts";

const by = { manager: "test" };
const key = { resource: "configmaps" as const, namespace: "default", name: "a" };
const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "default" } };

test("an empty store gets the first namespaces", async () => {
  const { registry } = await openCluster();
  const names = registry.view.list("namespaces").map(({ metadata }) => metadata.name);
  expect(names).toEqual(["default", "kube-node-lease", "kube-public", "kube-system"]);
  expect(registry.view.get("namespaces", "", "default")?.status?.phase).toBe("Active");
});

test("what was stored is there when the registry is opened again", async () => {
  const first = await openCluster();
  const made = await first.create("configmaps", object);
  first.registry.close();
  const second = await openCluster(first.store);
  expect(second.get("configmaps", "a")).toEqual(made);
  expect(second.registry.revision()).toBe(first.registry.revision());
});

test("the client's writes are visible when they resolve, and told in commit order", async () => {
  const { registry } = await openCluster();
  const client = registry.client();
  const told: string[] = [];
  client.subscribe(({ before, after }) => told.push(`${before?.["data"] ? "before" : ""}>${after ? "after" : ""}`));
  await client.create("configmaps", { ...object, data: { k: "v" } }, by);
  expect(client.view.get("configmaps", "default", "a")?.data).toEqual({ k: "v" });
  await client.update(key, (current) => ({ ...current, data: { k: "w" } }), by);
  await client.update(key, (current) => current, by);
  await client.update(key, () => undefined, by);
  await client.delete(key, {});
  await client.delete(key, {});
  expect(await client.update(key, (current) => current, by)).toBeUndefined();
  expect(told).toEqual([">after", "before>after", "before>"]);
});

test("writers that race for an object all get their turn", async () => {
  const { registry, create, get } = await openCluster();
  const client = registry.client();
  await create("configmaps", { ...object, data: {} });
  const add = (field: string) => client.update(key, (now) => ({ ...now, data: { ...now.data, [field]: "1" } }), by);
  await Promise.all(["a", "b", "c", "d", "e"].map(add));
  expect(Object.keys(get("configmaps", "a")["data"] as object)).toEqual(["a", "b", "c", "d", "e"]);
});

test("objects are found by their controller", async () => {
  const { registry, create, update } = await openCluster();
  const owner = { apiVersion: "v1", kind: "ConfigMap", name: "o", uid: "u1", controller: true };
  await create("configmaps", { ...object, metadata: { name: "a", ownerReferences: [owner] } });
  await create("configmaps", {
    ...object,
    metadata: { name: "b", ownerReferences: [{ ...owner, controller: false }] },
  });
  expect(registry.view.controlledBy("configmaps", "u1").map(({ metadata }) => metadata.name)).toEqual(["a"]);
  await update("configmaps", "a", (now) => ({ ...now, metadata: { ...now.metadata, ownerReferences: [] } }));
  expect(registry.view.controlledBy("configmaps", "u1")).toEqual([]);
});

test("drover's own records are stored and seen, but not served", async () => {
  const { registry } = await openCluster();
  const client = registry.client();
  const launch = { apiVersion: "drover.dev/v1", kind: "Launch", metadata: { name: "l" }, spec: { id: "l" } };
  await client.create("launches.drover.dev", launch as never, by);
  const key = { resource: "launches.drover.dev" as const, namespace: "", name: "l" };
  const status = { done: true, machines: [] };
  await client.update(key, (now) => ({ ...now, status }), { ...by, subresource: "status" });
  expect(client.view.get("launches.drover.dev", "", "l")).toMatchObject({ spec: { id: "l" }, status });
  expect(registry.kinds.find("drover.dev", "v1", "launches")).toBeUndefined();
});

test("JSON carries the revision, the stored bytes do not", async () => {
  const { registry, kindOf, create, store } = await openCluster();
  await create("configmaps", { ...object, data: { k: "ü{}" } });
  const stored = registry.get(kindOf("configmaps"), "default", "a");
  expect(JSON.parse(String(stored?.json))).toEqual(stored?.object);
  const { entries } = await store.range({
    start: "/registry/core/configmaps/",
    end: "/registry/core/configmaps0",
    limit: 1,
  });
  expect(JSON.parse(Buffer.from(entries[0]?.value ?? []).toString()).metadata).not.toHaveProperty("resourceVersion");
});
