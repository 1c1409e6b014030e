import { AuthorizeSecurityGroupIngressCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { DeleteLoadBalancerCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { expect, onTestFinished, test } from "vitest";
import { stop } from "../../src/clouds/sim/aws/accidents.ts";
import { webDeployment, webService } from "../controllers/cluster.ts";
import { type AwsCluster, type AwsClusterOptions, manager, openAwsCluster } from "./cluster.ts";
import { ended, serving as openServing, unscheduled, warned } from "./trouble.ts";
import { apply, living, readyPods } from "./web.ts";

async function serving(...given: Parameters<typeof openServing>) {
  const shown = await openServing(...given);
  onTestFinished(shown.cluster.close);
  return shown;
}

/** What somebody does beside drover, in the console. */
async function byHand({ fake, clock }: AwsCluster, service: "ec2" | "elb", command: { input: object }): Promise<void> {
  const done = fake.connect()[service].send(command);
  await clock.advance(10_000);
  await done;
}

test("an instance terminated by hand is replaced, and its Pod says by whose hand it ended", async () => {
  const { cluster, before, launched } = await serving(3);
  const [victim] = before;
  await byHand(cluster, "ec2", new TerminateInstancesCommand({ InstanceIds: [victim?.id ?? ""] }));
  await cluster.until("another has taken its place", () => launched().length === 1 && readyPods(cluster).length === 3);
  expect(warned(cluster)).toContainEqual(
    `Pod MachineLost: Machine ${victim?.id} ended by itself: Client.UserInitiatedShutdown: User initiated shutdown`,
  );
  expect(ended(before, cluster)).toEqual([victim]);
});

test("an instance stopped by hand is not ready, and replaced after five minutes", async () => {
  const { cluster, before, pass, launched } = await serving(3);
  const [victim] = before;
  if (victim) stop(cluster.world, victim);
  await pass(240);
  const reason = "Client.UserInitiatedShutdown: User initiated shutdown";
  expect(warned(cluster)).toContainEqual(
    `Pod MachineStopped: Machine ${victim?.id} was stopped (${reason}); the Pod is replaced when it is not started again within 5 minutes`,
  );
  expect(readyPods(cluster)).toHaveLength(2);
  expect(launched()).toEqual([]);
  await cluster.until("another has taken its place", () => readyPods(cluster).length === 3, 600);
  expect(warned(cluster)).toContainEqual(
    `Pod MachineLost: Machine ${victim?.id} was stopped (${reason}) and not started again: the Pod is replaced`,
  );
  expect(launched()).toHaveLength(1);
  await cluster.until("the stopped one is ended", () => living(cluster).length === 3, 1_200);
});

test("an instance that is started again in time keeps its Pod", async () => {
  const { cluster, before, pass, launched } = await serving(3);
  const [victim] = before;
  if (!victim) return;
  stop(cluster.world, victim);
  await pass(120);
  victim.stoppedAtMs = Number.POSITIVE_INFINITY;
  delete victim.stateReason;
  await pass(600);
  expect(launched()).toEqual([]);
  expect(ended(before, cluster)).toEqual([]);
});

test("all instances stopped by hand, for the night: nothing is launched in their place", async () => {
  const { cluster, before, pass, launched } = await serving(5);
  for (const each of before) stop(cluster.world, each);
  await pass(1_800);
  expect(launched()).toEqual([]);
  expect(ended(before, cluster)).toEqual([]);
  expect(cluster.events("MachineStopped")).toHaveLength(5);
});

test("a load balancer deleted by hand is made again", async () => {
  const { cluster, before } = await serving(2);
  const [arn = ""] = cluster.world.loadBalancers.keys();
  await byHand(cluster, "elb", new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  await cluster.until("it is there again", () => cluster.world.loadBalancers.size === 1, 900);
  expect(warned(cluster).join("\n")).toMatch(/^Service LoadBalancerDrift: The load balancer \S+ was deleted\.$/m);
  await cluster.until("all serve", () => readyPods(cluster).length === 2, 900);
  expect(ended(before, cluster)).toEqual([]);
});

test("a load balancer deleted while drover is stopped is told of, too", async () => {
  const { cluster, before, pass } = await serving(2);
  const [arn = ""] = cluster.world.loadBalancers.keys();
  const [address] = cluster.view.get("services", "default", "web")?.status?.loadBalancer?.ingress ?? [];
  await cluster.restart();
  await pass(600);
  expect(warned(cluster)).toEqual([]);
  await byHand(cluster, "elb", new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  await cluster.restart();
  await cluster.until("it is there again", () => cluster.world.loadBalancers.size === 1, 900);
  await cluster.until("all serve", () => readyPods(cluster).length === 2, 900);
  await pass(600);
  expect(warned(cluster)).toEqual([
    `Service LoadBalancerDrift: Nothing is behind ${address?.hostname} any more: the load balancer of web, or its target groups, went while drover was stopped. It is made again.`,
  ]);
  expect(ended(before, cluster)).toEqual([]);
});

test.for([false, true])("a security group edited by hand is told in an Event; put back: %s", async (repairDrift) => {
  const { cluster, pass } = await serving(2, { cloud: { repairDrift } });
  const group = [...cluster.world.securityGroups.values()].find(({ name }) => name.includes("ports-"));
  const IpPermissions = [{ IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }];
  await byHand(cluster, "ec2", new AuthorizeSecurityGroupIngressCommand({ GroupId: group?.id, IpPermissions }));
  await pass(1_500);
  const wayOut = repairDrift ? "drover has put it back" : "`drover serve --repair-drift` puts it back";
  expect(warned(cluster)).toEqual([
    `Namespace NetworkDrift: The security group ${group?.name} (${group?.id}) also opens tcp 22 from 0.0.0.0/0: ${wayOut}.`,
  ]);
  const told = cluster.view.list("events").find(({ reason }) => reason === "NetworkDrift");
  expect(told?.metadata.namespace).toBe("default");
  if (repairDrift) expect(told?.count).toBe(1);
  else expect(told?.count).toBeGreaterThan(1);
});

async function opened(options: AwsClusterOptions = {}): Promise<AwsCluster> {
  const cluster = await openAwsCluster(options);
  onTestFinished(cluster.close);
  return cluster;
}

const launches = ({ world }: AwsCluster): number => world.calls.get("RunInstances") ?? 0;

test("without a default VPC the Pods say which flag or tag is missing, and nothing is launched", async () => {
  const cluster = await opened({ defaultVpc: false, hostedZones: [] });
  await apply(cluster, 2);
  await cluster.clock.advance(600_000);
  const said = [...warned(cluster), ...unscheduled(cluster)].join("\n");
  expect(said).toMatch(/^Pod FailedScheduling: .*no default VPC in this region.*--vpc/m);
  expect(launches(cluster)).toBe(0);
});

test("without credentials there is one message, and no call but one in ten seconds", async () => {
  const cluster = await opened();
  cluster.world.conditions.expired.push({ fromMs: 0, untilMs: Number.POSITIVE_INFINITY, sso: true });
  await cluster.clock.advance(30_000);
  await apply(cluster, 2);
  cluster.world.calls.clear();
  await cluster.clock.advance(600_000);
  expect(cluster.warnings).toEqual([expect.stringMatching(/^AWS does not accept the credentials .*aws sso login/)]);
  expect([...cluster.world.calls.values()].reduce((sum, each) => sum + each)).toBeLessThanOrEqual(61);
  expect(launches(cluster)).toBe(0);
});

test.for([
  ["amd64", 0],
  [undefined, 1],
] as const)("an AMI for arm64, the Pod's architecture: %s", async ([architecture, machines]) => {
  const cluster = await opened();
  const ami = [...cluster.world.images.values()].find((image) => image.architecture === "arm64");
  const object = webDeployment(1, ami?.id ?? "");
  const { template } = object.spec as { template: { spec: object } };
  const nodeSelector = { "kubernetes.io/arch": architecture };
  const spec = { ...template.spec, ...(architecture && { nodeSelector }) };
  const chosen = { ...object, spec: { ...(object.spec as object), template: { ...template, spec } } };
  await cluster.client.create("deployments.apps", chosen as never, manager);
  await cluster.clock.advance(600_000);
  const said = [...warned(cluster), ...unscheduled(cluster)].join("\n");
  if (architecture) expect(said).toContain(`The machine image ${ami?.id} is made for arm64, the Pod for amd64: `);
  else expect(said).not.toMatch(/arm64/);
  expect(cluster.world.instances.size).toBe(machines);
});

test("a certificate that doesn't exist is named on the Service", async () => {
  const cluster = await opened();
  const arn = "arn:aws:acm:us-east-1:123456789012:certificate/none";
  const service = webService();
  const annotations = { "service.beta.kubernetes.io/aws-load-balancer-ssl-cert": arn };
  const object = { ...service, metadata: { ...service.metadata, annotations } };
  await cluster.client.create("services", object as never, manager);
  await cluster.clock.advance(600_000);
  expect(warned(cluster).join("\n")).toMatch(new RegExp(`^Service SyncLoadBalancerFailed: .*${arn}`, "m"));
});

test("an account that gives tags to the metadata address refuses none of drover's keys", async () => {
  const cluster = await opened();
  cluster.world.instanceMetadataTags = "enabled";
  await apply(cluster, 2);
  await cluster.until("all serve", () => readyPods(cluster).length === 2);
});

test.for([
  ["a b/c", /tag/i],
  ["aws:mine", /aws:/],
] as const)("the user's own tag %s: refused at the start or taken", async ([key, expected]) => {
  const tags = { [key]: "x" };
  if (key.startsWith("aws:")) return expect(openAwsCluster({ cloud: { tags } })).rejects.toThrow(expected);
  const cluster = await opened({ cloud: { tags } });
  cluster.world.instanceMetadataTags = "enabled";
  await apply(cluster, 1);
  await cluster.until("it serves", () => readyPods(cluster).length === 1);
  expect([...cluster.world.instances.values()].map((each) => each.tags.get(key))).toEqual(["x"]);
});
