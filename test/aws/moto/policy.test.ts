import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { fasterClock, systemClock } from "../../../src/base/clock.ts";
import { openClients } from "../../../src/clouds/aws/clients.ts";
import { openAwsCloud } from "../../../src/clouds/aws/cloud.ts";
import { policyParts, policyText } from "../../../src/clouds/aws/policy.ts";
import type { BalancerSpec } from "../../../src/clouds/balancer.ts";
import { launchOf } from "../../clouds/aws/parts.ts";
import { type Moto, startMoto } from "./server.ts";

/**
 * The generated policies as an IAM enforces them: moto's, by the access key of a user who has them and nothing else.
 * moto compares actions only and takes every condition for unmet, so statements lose their Condition and Resource here;
 * what those do is shown in iam.test.ts.
 */

const clock = fasterClock(systemClock, 20);
const cluster = "test";
const region = "us-east-1";
let moto: Moto;

beforeAll(async () => {
  moto = await startMoto(region);
}, 180_000);
afterAll(() => moto?.close());

/** moto checks nobody's rights while there is no limit to how many calls it lets pass. */
const enforce = (isOn: boolean) =>
  fetch(`${moto.url}/moto-api/reset-auth`, { method: "POST", body: isOn ? "0" : "inf" });

async function iam(Action: string, parameters: Record<string, string>): Promise<string> {
  const scope = `moto/20260101/${region}/iam/aws4_request`;
  const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` };
  const body = new URLSearchParams({ Action, Version: "2010-05-08", ...parameters });
  const answer = await fetch(moto.url, { method: "POST", headers, body });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  return text;
}

type Statement = { Sid: string; Effect: string; Action: string[] };

/** An empty account, and a user of it with both policies but for one action. */
async function login(without?: string): Promise<void> {
  await enforce(false);
  await moto.reset();
  await iam("CreateUser", { UserName: "drover" });
  for (const part of policyParts) {
    const policy = JSON.parse(policyText(part, { partition: "aws", account: "123456789012", region, cluster }, true));
    const statements = policy.Statement.map(({ Sid, Effect, Action }: Statement) => ({
      ...{ Sid, Effect, Resource: "*" },
      Action: Action.filter((action) => action !== without),
    }));
    const Statement = statements.filter(({ Action }: Statement) => Action.length > 0);
    const PolicyDocument = JSON.stringify({ ...policy, Statement });
    await iam("PutUserPolicy", { UserName: "drover", PolicyName: part, PolicyDocument });
  }
  const key = await iam("CreateAccessKey", { UserName: "drover" });
  const words = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(key)?.[1] ?? "";
  for (const [name, value] of Object.entries(moto.env)) vi.stubEnv(name, value);
  vi.stubEnv("AWS_ACCESS_KEY_ID", words("AccessKeyId"));
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", words("SecretAccessKey"));
  await enforce(true);
}

const group = (id: string, protocol: "TCP" | "HTTP", targets: BalancerSpec["groups"][number]["targets"]) => ({
  ...{ id, protocol, targets, drainSeconds: 1 },
});
type Targets = Parameters<typeof group>[2];
const common = { cluster, scheme: "internet-facing", sourceRanges: [], annotations: {} } as const;
/** A Service of type LoadBalancer, and an Ingress with a path. */
const balancers = (targets: Targets): BalancerSpec[] => [
  {
    ...{ ...common, id: "svc-1", kind: "network", name: "default/web" },
    listeners: [{ port: 80, protocol: "TCP", forward: [{ groupId: "80-TCP", weight: 1 }] }],
    groups: [group("80-TCP", "TCP", targets)],
  },
  {
    ...{ ...common, id: "ing-1", kind: "application", name: "default/web" },
    listeners: [
      {
        ...{ port: 80, protocol: "HTTP", forward: [] },
        rules: [{ path: "/", pathType: "Prefix", forward: [{ groupId: "web", weight: 1 }] }],
      },
    ],
    groups: [group("web", "HTTP", targets)],
  },
];

/** What drover does for a Deployment with a Service, an Ingress and a claim: apply, rollout, delete. */
async function life(): Promise<void> {
  const real = openClients();
  const cloud = openAwsCloud({
    clients: real.clients,
    clock,
    cluster,
    region,
    createZone: true,
    onWarning: () => {},
    release: real.close,
  });
  try {
    const image = (await cloud.machines.image("al2023", "amd64")).id;
    const record = (value: string) =>
      ({ name: "web.default.svc.cluster.local", type: "A", values: value ? [value] : [], ttlSeconds: 5 }) as const;
    const launch = async (id: string) => {
      const given = launchOf(id, 1, { cluster, template: { image, ports: [{ port: 80, protocol: "TCP" }] } });
      const [machine] = await cloud.machines.launch(given);
      if (!machine) throw new Error("no machine");
      return machine;
    };
    const target = ({ id = "", address = "" }, draining = false) => ({ machineId: id, address, port: 80, draining });
    const old = await launch("l-1");
    const disk = { id: "pvc-1", cluster, name: "default/data", zone: old.zone, sizeBytes: 2 ** 30, parameters: {} };
    await cloud.volumes.ensure(disk);
    await cloud.volumes.attach(disk.id, old.id);
    for (const spec of balancers([target(old)])) await cloud.balancers.ensure(spec);
    await cloud.names.change([record("10.0.0.1")]);
    const fresh = await launch("l-2");
    for (const spec of balancers([target(old, true), target(fresh)])) await cloud.balancers.ensure(spec);
    expect(await cloud.machines.observe()).toMatchObject({ complete: true });
    expect(await cloud.balancers.observe()).toMatchObject({ complete: true });
    await cloud.volumes.detach(disk.id);
    await cloud.machines.terminate([old.id]);
    for (const { id } of balancers([])) await cloud.balancers.remove(id);
    await cloud.machines.terminate([fresh.id]);
    await cloud.volumes.remove(disk.id);
    await cloud.names.change([record("")]);
    await cloud.removeRest();
    const left = await cloud.balancers.observe();
    expect(left).toMatchObject({ balancers: [], complete: true });
  } finally {
    await cloud.close();
  }
}

test("with the generated policies and nothing else, an apply, a rollout and a delete succeed", {
  timeout: 120_000,
}, async () => {
  await login();
  await life();
});

// Not of those that speak JSON: to them moto answers with XML.
test.for([
  "ec2:AttachVolume",
  "ec2:AuthorizeSecurityGroupIngress",
  "ec2:CreateLaunchTemplate",
  "ec2:CreateSecurityGroup",
  "ec2:CreateVolume",
  "ec2:DescribeSubnets",
  "ec2:RunInstances",
  "elasticloadbalancing:CreateLoadBalancer",
  "elasticloadbalancing:CreateTargetGroup",
  "elasticloadbalancing:RegisterTargets",
  "route53:ChangeResourceRecordSets",
  "route53:CreateHostedZone",
  "route53:GetHostedZone",
  "route53:ListHostedZonesByVPC",
])("without %s in them the failure names exactly it", { timeout: 120_000 }, async (action) => {
  await login(action);
  await expect(life()).rejects.toMatchObject({
    code: "CLOUD_AUTH",
    message: expect.stringMatching(`^AWS does not permit ${action} to \\S.*: grant this action`),
  });
});
