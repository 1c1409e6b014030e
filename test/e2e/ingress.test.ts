import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DroverHome } from "./drover.ts";

// An Ingress over two Services with real kubectl, oldest and newest, against `drover serve --cloud sim`.
const home = new DroverHome();
beforeAll(() => home.serve("--cloud", "sim", "--speed", "100"));
afterAll(() => home.close());

const app = (name: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: 1
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {name: web, image: "${name}:1", ports: [{containerPort: 8080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  selector: {app: ${name}}
  ports: [{port: 80, targetPort: http, name: web}]
---`;
const site = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  ingressClassName: drover
  tls: [{hosts: [www.example.org], secretName: absent}]
  rules:
  - host: www.example.org
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 80}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {name: web}}}}
`;

const answer = (address: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ host: address, port: 80, path, headers: { host: "www.example.org" }, agent: false }, (response) =>
      response.toArray().then((chunks) => resolve(`${response.statusCode} ${chunks.join("")}`), reject),
    ).on("error", reject);
  });

describe.for(["1.27", "1.36"] as const)("kubectl %s", { timeout: 90_000 }, (version) => {
  const namespace = `site-${version.replace(".", "-")}`;
  const k = async (words: string, input?: string): Promise<string> => {
    const { code, out, err } = await home.kubectl(version, `--namespace ${namespace} ${words}`, input);
    expect(code, `kubectl ${words}: ${err}`).toBe(0);
    return out;
  };

  test("shows where an Ingress is and what it lacks, and requests go by its paths", async () => {
    await k(`create namespace ${namespace}`);
    await k("apply -f -", app("front") + app("api") + site);
    for (const name of ["front", "api"]) await k(`rollout status deployment/${name} --timeout=80s`);
    await k("wait --for=jsonpath={.status.loadBalancer.ingress[0].ip} ingress/site --timeout=60s").catch(() => "");
    const address = await k("get ingress site -o jsonpath={.status.loadBalancer.ingress[0].ip}");
    expect(await k("get ingress site")).toMatch(/site\s+drover\s+www\.example\.org\s+127\.77\.[\d.]+\s+80, 443/);
    const text = await k("describe ingress site");
    expect(text).toMatch(/\/api\s+api:web \(10\.90\.\d+\.\d+:8080\)/);
    expect(text).toMatch(/Warning\s+SecretNotFound/);
    // Pods that were there before the Ingress are not gated by it: they are registered while it has its address already.
    await expect.poll(() => answer(address, "/x"), { timeout: 20_000 }).toMatch(/^200 front-.* front:1/);
    await expect.poll(() => answer(address, "/api/x"), { timeout: 20_000 }).toMatch(/^200 api-.* api:1/);
    await k("delete ingress site");
    expect(await k("get events")).not.toContain("SyncLoadBalancerFailed");
    await k(`delete namespace ${namespace} --timeout=60s`);
  });
});
