import { expect, onTestFinished, test } from "vitest";
import type { Ingress, Service } from "../../src/api/types.gen.ts";
import { manager, openAwsCluster } from "./cluster.ts";

/** What the reader of a Service or an Ingress is told of what AWS makes of it. */

const alb = "alb.ingress.kubernetes.io/";
const nlb = "service.beta.kubernetes.io/aws-load-balancer-";

const service = (name: string, annotations: Record<string, string> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", annotations },
  spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});

const ingress = (name: string, annotations: Record<string, string>): Ingress => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name, namespace: "default", annotations },
  spec: {
    rules: [
      {
        http: {
          paths: [
            {
              path: "/gone",
              pathType: "Exact",
              backend: { service: { name: "gone", port: { name: "use-annotation" } } },
            },
            { path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } },
          ],
        },
      },
    ],
  },
});

test("costs, annotations that nothing is done about and those that are refused are Events", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const { client, world } = cluster;
  await client.create("services", service("web", { [`${nlb}target-node-labels`]: "a=b" }) as never, manager);
  const gone = JSON.stringify({ type: "fixed-response", fixedResponseConfig: { statusCode: "410" } });
  const of = "ingresses.networking.k8s.io";
  await client.create(of, ingress("site", { [`${alb}actions.gone`]: gone }) as never, manager);
  await client.create(of, ingress("closed", { [`${alb}wafv2-acl-arn`]: "arn:aws:wafv2:a" }) as never, manager);
  await client.create(of, ingress("secure", { [`${alb}certificate-arn`]: "arn:aws:acm:none" }) as never, manager);
  await cluster.until("all is told", () => cluster.events("LoadBalancerCost").length === 2);
  expect(cluster.events("LoadBalancerCost").join("\n")).toMatch(/3 public IPv4 addresses \$10\.95/);
  expect(cluster.events("LoadBalancerWarning")).toEqual([`Nothing is done about ${nlb}target-node-labels.`]);
  const failed = cluster.events("SyncLoadBalancerFailed").join("\n");
  expect(failed).toContain(`${alb}wafv2-acl-arn: "arn:aws:wafv2:a" is not the ARN of a regional web ACL`);
  expect(failed).toContain(`${alb}certificate-arn: `);
  expect(failed).toContain("Certificate 'arn:aws:acm:none' not found");
  const rules = world.writes.filter(({ action }) => action === "CreateRule").map(({ input }) => input);
  expect(rules).toMatchObject([
    { Priority: 1, Actions: [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "410" } }] },
    { Priority: 2, Actions: [{ Type: "forward" }] },
  ]);
  expect(world.listeners.size).toBe(2);
});
