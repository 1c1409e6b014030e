import { expect, test } from "vitest";
import { configMap, openCluster, pod, refusal } from "./cluster.ts";

test("the server owns identity, time and generation", async () => {
  const { create } = await openCluster();
  const { metadata } = await create("configmaps", {
    metadata: {
      name: "a",
      uid: "mine",
      creationTimestamp: "2001-01-01T00:00:00Z",
      deletionTimestamp: "2001-01-01T00:00:00Z",
    },
  });
  expect(metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(metadata.creationTimestamp).toBe("2026-01-01T00:00:00Z");
  expect(metadata).not.toHaveProperty("deletionTimestamp");
  expect((await create("pods", pod("a"))).metadata.generation).toBe(1);
});

test("a generated name is cut to leave room for its suffix", async () => {
  const { create } = await openCluster();
  const { metadata } = await create("configmaps", { metadata: { generateName: `${"x".repeat(80)}-` } });
  expect(metadata.name).toMatch(/^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
});

test("a dry run answers what would be and stores nothing", async () => {
  const { create, get, registry } = await openCluster();
  const before = registry.revision();
  const answer = await create("configmaps", configMap("a"), { dryRun: true });
  expect(answer.metadata).toMatchObject({ name: "a", uid: expect.any(String) });
  expect(answer.metadata).not.toHaveProperty("resourceVersion");
  expect(get("configmaps", "a")).toBeUndefined();
  expect(registry.revision()).toBe(before);
});

test("what cannot be created is refused in Kubernetes' words", async () => {
  const { create, registry, kindOf, remove } = await openCluster();
  await create("configmaps", configMap("a"));
  expect(await refusal(create("configmaps", configMap("a")))).toBe('409 configmaps "a" already exists');
  const elsewhere = registry.create(kindOf("configmaps"), "none", configMap("a"), { manager: "test" });
  expect(await refusal(elsewhere)).toBe('404 namespaces "none" not found');
  const revised = { metadata: { name: "b", resourceVersion: "5" } };
  expect(await refusal(create("configmaps", revised))).toBe(
    "500 resourceVersion should not be set on objects to be created",
  );
  const misplaced = { metadata: { name: "b", namespace: "other" } };
  expect(await refusal(create("configmaps", misplaced))).toContain(
    "400 the namespace of the provided object does not match",
  );
  expect(await refusal(create("pods", { metadata: { name: "p" }, spec: {} }))).toContain("422 ");
  await create("namespaces", { metadata: { name: "ending" } });
  await remove("namespaces", "ending");
  const late = registry.create(kindOf("configmaps"), "ending", configMap("a"), { manager: "test" });
  expect(await refusal(late)).toBe(
    '403 configmaps "a" is forbidden: unable to create new content in namespace ending because it is being terminated',
  );
});

test("an unknown field is a warning, or with Strict a refusal", async () => {
  const { registry, kindOf } = await openCluster();
  const body = { ...configMap("a"), nope: 1 };
  const create = (fieldValidation: "Strict" | "Warn" | "Ignore") =>
    registry.create(kindOf("configmaps"), "default", body, { manager: "test", fieldValidation, dryRun: true });
  expect((await create("Warn")).warnings).toEqual(['unknown field "nope"']);
  expect((await create("Ignore")).warnings).toEqual([]);
  expect(await refusal(create("Strict"))).toBe(
    '400 ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "nope"',
  );
});

test("a Pod gets the token of its service account unless either says no", async () => {
  const { create } = await openCluster();
  const mounts = ({ spec }: { spec?: unknown }) => (spec as { volumes?: { name: string }[] }).volumes ?? [];
  expect(mounts(await create("pods", pod("a")))).toEqual([
    expect.objectContaining({ name: expect.stringMatching(/^kube-api-access-.{5}$/) }),
  ]);
  expect(mounts(await create("pods", pod("b", { automountServiceAccountToken: false })))).toEqual([]);
  await create("serviceaccounts", { metadata: { name: "mute" }, automountServiceAccountToken: false });
  expect(mounts(await create("pods", pod("c", { serviceAccountName: "mute" })))).toEqual([]);
  expect(await refusal(create("pods", pod("d", { serviceAccountName: "nobody" })))).toBe(
    '403 pods "d" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
  );
});

test("a Pod gets the pull secrets of its service account and the value of its priority class", async () => {
  const { create } = await openCluster();
  await create("serviceaccounts", { metadata: { name: "puller" }, imagePullSecrets: [{ name: "s" }] });
  await create("priorityclasses.scheduling.k8s.io", { metadata: { name: "high" }, value: 7 });
  const made = await create("pods", pod("a", { serviceAccountName: "puller", priorityClassName: "high" }));
  expect(made.spec).toMatchObject({ imagePullSecrets: [{ name: "s" }], priority: 7 });
  expect(await refusal(create("pods", pod("b", { priorityClassName: "nope" })))).toContain(
    "no PriorityClass with name nope",
  );
  expect(await refusal(create("pods", pod("b", { priorityClassName: "high", priority: 8 })))).toContain("computed 7");
  expect(await refusal(create("pods", pod("b", { priority: 8 })))).toContain("computed 0");
});

test("a claim without a class gets the newest default one", async () => {
  const { create, clock } = await openCluster();
  const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  for (const name of ["older", "newer"]) {
    await create("storageclasses.storage.k8s.io", { metadata: { name, annotations }, provisioner: "x" });
    await clock.advance(1000);
  }
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
  expect((await create("persistentvolumeclaims", { metadata: { name: "a" }, spec })).spec).toMatchObject({
    storageClassName: "newer",
  });
});
