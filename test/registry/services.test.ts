import { expect, test } from "vitest";
import type { ServiceSpec } from "../../src/api/types.gen.ts";
import { openCluster, refusal } from "./cluster.ts";

const service = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { selector: { app: "x" }, ports: [{ port: 80 }], ...spec },
});
const specOf = (object: { spec?: unknown }) => object.spec as ServiceSpec;

test("every Service has a cluster address of its own", async () => {
  const { create } = await openCluster();
  const names = Array.from({ length: 50 }, (_, i) => `s${i}`);
  const specs = (await Promise.all(names.map((name) => create("services", service(name))))).map(specOf);
  for (const { clusterIP, clusterIPs } of specs) {
    expect(clusterIP).toMatch(/^10\.96\.\d+\.\d+$/);
    expect(clusterIPs).toEqual([clusterIP]);
  }
  expect(new Set(specs.map(({ clusterIP }) => clusterIP)).size).toBe(50);
});

test("an address that is asked for is given once, and again when it is free", async () => {
  const { create, remove } = await openCluster();
  const asked = { clusterIP: "10.96.0.10" };
  expect(specOf(await create("services", service("a", asked)))).toMatchObject({ clusterIPs: ["10.96.0.10"] });
  expect(await refusal(create("services", service("b", asked)))).toBe(
    '422 Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: ' +
      "failed to allocate IP 10.96.0.10: provided IP is already allocated",
  );
  await remove("services", "a");
  expect(specOf(await create("services", service("b", asked)))).toMatchObject(asked);
  expect(await refusal(create("services", service("c", { clusterIP: "1.2.3.4" })))).toContain(
    "does not match the current range",
  );
});

test("headless and external Services get none", async () => {
  const { create } = await openCluster();
  expect(specOf(await create("services", service("a", { clusterIP: "None" })))).toMatchObject({ clusterIPs: ["None"] });
  const external = await create("services", {
    metadata: { name: "b" },
    spec: { type: "ExternalName", externalName: "x.example" },
  });
  expect(specOf(external)).not.toHaveProperty("clusterIP");
});

test("node ports are given, kept, checked and let go with the type", async () => {
  const { create, update } = await openCluster();
  const nodePort = (object: { spec?: unknown }) => specOf(object).ports?.[0]?.nodePort;
  const made = await create("services", service("a", { type: "NodePort" }));
  expect(nodePort(made)).toBeGreaterThanOrEqual(30_000);
  expect(nodePort(made)).toBeLessThanOrEqual(32_767);
  const again = await update("services", "a", () => service("a", { type: "LoadBalancer" }));
  expect(nodePort(again)).toBe(nodePort(made));
  const taken = { type: "NodePort", ports: [{ port: 80, nodePort: nodePort(made) }] };
  expect(await refusal(create("services", service("b", taken)))).toContain("provided port is already allocated");
  expect(nodePort(await update("services", "a", () => service("a")))).toBeUndefined();
  expect(nodePort(await create("services", service("b", taken)))).toBe(nodePort(made));
});

test("a dry run and a refusal leave the address free", async () => {
  const { create } = await openCluster();
  const asked = { clusterIP: "10.96.0.20" };
  await create("services", service("a", asked), { dryRun: true });
  expect(
    await refusal(
      create("services", service("b", { ...asked, type: "NodePort", ports: [{ port: 80, nodePort: 80 }] })),
    ),
  ).toContain("The range of valid ports is 30000-32767");
  expect(specOf(await create("services", service("c", asked)))).toMatchObject(asked);
});

test("addresses given before the registry was opened stay taken", async () => {
  const first = await openCluster();
  await first.create("services", service("a", { clusterIP: "10.96.0.30" }));
  first.registry.close();
  const { create } = await openCluster(first.store);
  expect(await refusal(create("services", service("b", { clusterIP: "10.96.0.30" })))).toContain("already allocated");
});
