import { expect, test } from "vitest";
import { configMap, openCluster, pod, refusal } from "./cluster.ts";

test.for<[string, object, object, number | "gone"]>([
  ["a Pod that runs has its own grace", { nodeName: "n" }, {}, 30],
  ["the request's grace comes first", { nodeName: "n" }, { gracePeriodSeconds: 5 }, 5],
  ["no grace means gone", { nodeName: "n" }, { gracePeriodSeconds: 0 }, "gone"],
  ["a Pod that was never placed is gone at once", {}, {}, "gone"],
  ["a negative grace is a second", { nodeName: "n" }, { gracePeriodSeconds: -1 }, 1],
])("%s", async ([, spec, deletion, grace]) => {
  const { create, get, remove } = await openCluster();
  await create("pods", pod("a", spec));
  const { stored, deleted } = await remove("pods", "a", deletion);
  expect(deleted).toBe(grace === "gone");
  expect(stored.object.metadata.deletionGracePeriodSeconds).toBe(grace === "gone" ? 0 : grace);
  expect(get("pods", "a")?.metadata.deletionGracePeriodSeconds).toBe(grace === "gone" ? undefined : grace);
});

test("grace can only be taken away, and counts from the first request", async () => {
  const { clock, create, get, remove } = await openCluster();
  await create("pods", pod("a", { nodeName: "n" }));
  const seconds = () => get("pods", "a").metadata.deletionGracePeriodSeconds;
  await remove("pods", "a");
  await clock.advance(2000);
  await remove("pods", "a", { gracePeriodSeconds: 10 });
  expect(get("pods", "a").metadata).toMatchObject({ deletionTimestamp: "2026-01-01T00:00:10Z", generation: 2 });
  await remove("pods", "a", { gracePeriodSeconds: 20 });
  expect(seconds()).toBe(10);
  expect((await remove("pods", "a", { gracePeriodSeconds: 0 })).deleted).toBe(true);
});

test("finalizers hold an object until the last is gone", async () => {
  const { create, get, remove, update } = await openCluster();
  await create("configmaps", { metadata: { name: "a", finalizers: ["x.io/a", "x.io/b"] } });
  expect((await remove("configmaps", "a")).deleted).toBe(false);
  expect(get("configmaps", "a").metadata).toMatchObject({ deletionGracePeriodSeconds: 0 });
  const leave = (...finalizers: string[]) =>
    update("configmaps", "a", (now) => ({ ...now, metadata: { ...now.metadata, finalizers } }));
  expect(await refusal(leave("x.io/a", "x.io/c"))).toContain("no new finalizers can be added");
  await leave("x.io/a");
  expect(get("configmaps", "a")).toBeDefined();
  expect(await refusal(create("configmaps", configMap("a")))).toBe(
    '409 object is being deleted: configmaps "a" already exists',
  );
  await leave();
  expect(get("configmaps", "a")).toBeUndefined();
});

test.for<[string, string, object, string[] | undefined]>([
  ["by default dependents go in the background", "configmaps", {}, undefined],
  ["in the foreground the owner waits", "configmaps", { propagationPolicy: "Foreground" }, ["foregroundDeletion"]],
  ["orphans are let go first", "configmaps", { propagationPolicy: "Orphan" }, ["orphan"]],
  ["the older option says the same", "configmaps", { orphanDependents: true }, ["orphan"]],
  ["a Job leaves its Pods alone", "jobs.batch", {}, ["orphan"]],
  ["unless it is told not to", "jobs.batch", { propagationPolicy: "Background" }, undefined],
])("%s", async ([, resource, deletion, finalizers]) => {
  const { create, remove } = await openCluster();
  const template = { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "nginx" }] } };
  await create(resource, { metadata: { name: "a" }, ...(resource === "jobs.batch" && { spec: { template } }) });
  const { stored, deleted } = await remove(resource, "a", deletion);
  expect(deleted).toBe(finalizers === undefined);
  expect(stored.object.metadata.finalizers).toEqual(finalizers);
});

test("preconditions and options are checked", async () => {
  const { create, remove } = await openCluster();
  await create("configmaps", configMap("a"));
  expect(await refusal(remove("configmaps", "nope"))).toBe('404 configmaps "nope" not found');
  expect(await refusal(remove("configmaps", "a", { preconditions: { uid: "x" } }))).toContain(
    '409 Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does not match',
  );
  expect(await refusal(remove("configmaps", "a", { preconditions: { resourceVersion: "1" } }))).toContain("409 ");
  expect(await refusal(remove("configmaps", "a", { propagationPolicy: "Nope" }))).toContain("Unsupported value");
  expect(await refusal(remove("configmaps", "a", { propagationPolicy: "Orphan", orphanDependents: true }))).toContain(
    "422 ",
  );
});

test("a dry run deletes nothing", async () => {
  const { create, get, remove } = await openCluster();
  await create("configmaps", configMap("a"));
  expect((await remove("configmaps", "a", {}, { dryRun: true })).deleted).toBe(true);
  expect(get("configmaps", "a")).toBeDefined();
});

test("a Namespace ends when its finalizers are gone", async () => {
  const { create, get, remove, update } = await openCluster();
  await create("namespaces", { metadata: { name: "n" } });
  await remove("namespaces", "n");
  expect(get("namespaces", "n")).toMatchObject({
    status: { phase: "Terminating" },
    spec: { finalizers: ["kubernetes"] },
  });
  expect(get("namespaces", "n").metadata).not.toHaveProperty("deletionGracePeriodSeconds");
  await update("namespaces", "n", (now) => ({ ...now, spec: { finalizers: [] } }), { subresource: "finalize" });
  expect(get("namespaces", "n")).toBeUndefined();
});

test.each(["default", "kube-system", "kube-public"])("the namespace %s may not be deleted", async (name) => {
  const { get, remove } = await openCluster();
  const refused = `403 namespaces "${name}" is forbidden: this namespace may not be deleted`;
  expect(await refusal(remove("namespaces", name))).toBe(refused);
  expect(await refusal(remove("namespaces", name, {}, { dryRun: true }))).toBe(refused);
  expect(get("namespaces", name).metadata).not.toHaveProperty("deletionTimestamp");
});

test("a collection is deleted as far as it is selected", async () => {
  const { create, registry, kindOf } = await openCluster();
  for (const name of ["a", "b", "c"]) await create("configmaps", configMap(name, {}, { odd: String(name !== "b") }));
  const labels = (own: Record<string, string> = {}) => own["odd"] === "true";
  const query = { namespace: "default", labels };
  const gone = await registry.deleteCollection(kindOf("configmaps"), query, {}, { manager: "test" });
  expect(gone.map(({ object }) => object.metadata.name)).toEqual(["a", "c"]);
  expect(registry.view.list("configmaps", "default").map(({ metadata }) => metadata.name)).toEqual(["b"]);
});
