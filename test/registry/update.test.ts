import { expect, test } from "vitest";
import { configMap, openCluster, pod, refusal } from "./cluster.ts";

const template = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "c", image: "nginx" }] } };
const deployment = { metadata: { name: "d" }, spec: { selector: { matchLabels: { app: "x" } }, template } };

test("a write that changes nothing keeps the revision", async () => {
  const { create, update, registry } = await openCluster();
  const made = await create("configmaps", configMap("a", { k: "v" }));
  const same = await update("configmaps", "a", () => configMap("a", { k: "v" }));
  expect(same).toEqual(made);
  expect(String(registry.revision())).toBe(made.metadata.resourceVersion);
});

test("a revision in the body must be the present one", async () => {
  const { create, update } = await openCluster();
  const { metadata } = await create("configmaps", configMap("a"));
  const write = (resourceVersion: string, data: Record<string, string>) =>
    update("configmaps", "a", () => ({ metadata: { name: "a", resourceVersion }, data }));
  await write(metadata.resourceVersion ?? "", { k: "1" });
  expect(await refusal(write(metadata.resourceVersion ?? "", { k: "2" }))).toBe(
    '409 Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
      "please apply your changes to the latest version and try again",
  );
  expect((await write("", { k: "3" }))["data"]).toEqual({ k: "3" });
});

test("status and spec are written each at its own place", async () => {
  const { create, update } = await openCluster();
  await create("deployments.apps", deployment);
  const both = (now: object) => ({ ...now, spec: { ...deployment.spec, replicas: 5 }, status: { replicas: 3 } });
  const spec = await update("deployments.apps", "d", both);
  expect([spec.spec, spec.status]).toEqual([expect.objectContaining({ replicas: 5 }), {}]);
  const lower = (now: object) => ({ ...both(now), spec: { ...deployment.spec, replicas: 1 } });
  const status = await update("deployments.apps", "d", lower, { subresource: "status" });
  expect([status.spec, status.status]).toEqual([expect.objectContaining({ replicas: 5 }), { replicas: 3 }]);
  expect(status.metadata.generation).toBe(2);
});

test("every writer owns the fields that it changed", async () => {
  const { create, update } = await openCluster();
  await create("configmaps", configMap("a", { k: "v" }), { manager: "first" });
  const { metadata } = await update("configmaps", "a", () => configMap("a", { k: "w", l: "x" }), { manager: "second" });
  const owned = (metadata.managedFields ?? []).map(({ manager, fieldsV1 }) => [manager, fieldsV1]);
  expect(owned).toContainEqual(["second", { "f:data": { "f:k": {}, "f:l": {} } }]);
});

test("a Pod is bound to its Node without counting as a new generation", async () => {
  const { create, update } = await openCluster();
  await create("pods", pod("a"));
  const bind = (now: { spec?: unknown }) => ({ ...now, spec: { ...(now.spec as object), nodeName: "n" } });
  const bound = await update("pods", "a", bind, { subresource: "binding" });
  expect(bound.spec).toMatchObject({ nodeName: "n" });
  expect(bound.metadata.generation).toBe(1);
});

test("what may not change is refused", async () => {
  const { create, update } = await openCluster();
  await create("configmaps", configMap("a"));
  const uid = (patched: boolean) =>
    update("configmaps", "a", (now) => ({ ...now, metadata: { ...now.metadata, uid: "other" } }), { patched });
  expect(await refusal(uid(true))).toContain("422 ");
  expect(await refusal(uid(false))).toContain("409 ");
  expect(await refusal(update("configmaps", "a", () => configMap("b")))).toBe(
    "400 the name of the object (b) does not match the name on the URL (a)",
  );
  expect(await refusal(update("configmaps", "nope", () => configMap("nope")))).toBe('404 configmaps "nope" not found');
  await create("deployments.apps", deployment);
  const selector = { matchLabels: { app: "y" } };
  expect(
    await refusal(update("deployments.apps", "d", () => ({ ...deployment, spec: { ...deployment.spec, selector } }))),
  ).toContain("422 ");
});

test("an absent object is created by an update that may", async () => {
  const { registry, kindOf } = await openCluster();
  const lease = { metadata: { name: "l" }, spec: { holderIdentity: "me" } };
  const options = { manager: "test", createAllowed: true };
  const kind = kindOf("leases.coordination.k8s.io");
  expect(await registry.update(kind, "default", "l", () => lease, options)).toMatchObject({ created: true });
});

test("an autoscaler and an event are one object in two versions", async () => {
  const { registry, create } = await openCluster();
  const kind = (group: string, version: string, plural: string) => {
    const found = registry.kinds.find(group, version, plural);
    if (found === undefined) throw new Error(plural);
    return found;
  };
  const target = { apiVersion: "apps/v1", kind: "Deployment", name: "x" };
  const spec = { maxReplicas: 3, scaleTargetRef: target, targetCPUUtilizationPercentage: 50 };
  const v1 = kind("autoscaling", "v1", "horizontalpodautoscalers");
  await registry.create(v1, "default", { metadata: { name: "a" }, spec }, { manager: "test" });
  const v2 = registry.get(kind("autoscaling", "v2", "horizontalpodautoscalers"), "default", "a")?.object;
  expect(v2?.spec).toMatchObject({
    metrics: [{ type: "Resource", resource: { name: "cpu", target: { averageUtilization: 50 } } }],
  });
  expect(registry.get(v1, "default", "a")?.object.spec).toMatchObject({ targetCPUUtilizationPercentage: 50 });
  await create("events", {
    metadata: { name: "e" },
    involvedObject: { namespace: "default", name: "p" },
    message: "hello",
  });
  const events = registry.get(kind("events.k8s.io", "v1", "events"), "default", "e")?.object;
  expect(events).toMatchObject({ apiVersion: "events.k8s.io/v1", note: "hello", regarding: { name: "p" } });
  expect(events).not.toHaveProperty("message");
});
