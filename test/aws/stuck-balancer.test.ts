import { expect, onTestFinished, test } from "vitest";
import { receivingAt } from "../../src/clouds/sim/aws/target-health.ts";
import type { AwsCluster } from "./cluster.ts";
import { serving as openServing, warned } from "./trouble.ts";
import { change, living, losing, remove } from "./web.ts";

const replicas = 3;
const service = { resource: "services", namespace: "default", name: "web" };

async function serving() {
  const shown = await openServing(replicas);
  onTestFinished(shown.cluster.close);
  return shown;
}

const annotate = (cluster: AwsCluster, annotations: Readonly<Record<string, string>>, spec: object = {}) =>
  cluster.client.update(
    service,
    (current) => ({
      ...current,
      metadata: { ...current.metadata, annotations: { ...annotations } },
      spec: { ...(current["spec"] as object), ...spec },
    }),
    { manager: "test" },
  );

const prefix = "service.beta.kubernetes.io/aws-load-balancer";
/** A change of a load balancer that serves, which nothing but another manifest or another policy makes possible. */
const refused = [
  [
    "an action that is not permitted",
    { [`${prefix}-attributes`]: "load_balancing.cross_zone.enabled=true" },
    /not permit elasticloadbalancing:ModifyLoadBalancerAttributes/,
  ],
  ["an annotation without meaning", { [`${prefix}-healthcheck-interval`]: "soon" }, /healthcheck-interval/],
  [
    "a certificate that there is not",
    { [`${prefix}-ssl-cert`]: "arn:aws:acm:us-east-1:123456789012:certificate/no" },
    /ertificate/,
  ],
] as const;

test.for(refused)(
  "%s: the Service says so, Pods are rolled all the same, and everything can go",
  async ([_, annotations, sentence]) => {
    const { cluster, before, pass, finish } = await serving();
    cluster.world.conditions.denied.add("elasticloadbalancing:ModifyLoadBalancerAttributes");
    await annotate(cluster, annotations);
    await pass(60);
    expect(warned(cluster).join()).toMatch(sentence);
    await change(cluster, "web:2", replicas);
    await finish(900);
    await cluster.until("the former machines have ended", () => living(cluster).length === replicas, 300);
    expect(living(cluster).filter((each) => before.includes(each))).toEqual([]);
    await remove(cluster);
    await cluster.until(
      "nothing is left",
      () => living(cluster).length === 0 && cluster.world.loadBalancers.size === 0,
      600,
    );
    expect(cluster.pods()).toEqual([]);
  },
);

test("while it is to serve another port and can't, what serves stays where it is", async () => {
  const { cluster, before, pass, finish } = await serving();
  const annotations = { [`${prefix}-ssl-cert`]: "arn:aws:acm:us-east-1:123456789012:certificate/no" };
  await annotate(cluster, annotations, { ports: [{ port: 443, targetPort: "http" }] });
  await change(cluster, "web:2", replicas);
  for (let minute = 0; minute < 10; minute++) {
    await pass(60);
    expect(losing(cluster)).toEqual([]);
  }
  const receiving = receivingAt(cluster.world, cluster.clock.monotonicMs()).map(({ instanceId }) => instanceId);
  expect(receiving.toSorted()).toEqual(before.map(({ id }) => id).toSorted());
  await annotate(cluster, {});
  await finish(900);
  expect(losing(cluster)).toEqual([]);
});
