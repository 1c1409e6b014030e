import { afterAll, beforeAll, expect, test } from "vitest";
import { serve, type TestServer } from "./serve.ts";

let server: TestServer;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());

const warnings = async (method: string, path: string, body: unknown, type = "application/json") => {
  const { headers, status } = await server.request(method, path, body, { headers: { "content-type": type } });
  expect(status).toBeLessThan(300);
  return headers["warning"] ?? "";
};

const template = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image: "web:1" }], hostPID: true },
};
const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: { selector: { matchLabels: { app: "web" } }, template },
};
const told = '299 - "spec.template.spec.hostPID: drover ignores it: each container sees its own processes only"';
const path = "/apis/apps/v1/namespaces/default/deployments";

test("a field that drover ignores is warned of when it is created, changed and applied", async () => {
  expect(await warnings("POST", `${path}?dryRun=All`, deployment)).toBe(told);
  expect(await warnings("POST", path, deployment)).toBe(told);
  const merge = "application/merge-patch+json";
  expect(await warnings("PATCH", `${path}/web`, { spec: { replicas: 2 } }, merge)).toBe(told);
  expect(await warnings("PATCH", `${path}/web/scale`, { spec: { replicas: 3 } }, merge)).toBe("");
  const applied = `${path}/web?fieldManager=me&force=true`;
  expect(await warnings("PATCH", applied, deployment, "application/apply-patch+yaml")).toBe(told);
  const cured = { spec: { template: { spec: { hostPID: null } } } };
  expect(await warnings("PATCH", `${path}/web`, cured, merge)).toBe("");
});
