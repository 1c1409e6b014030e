import { CreateHostedZoneCommand } from "@aws-sdk/client-route-53";
import { afterEach, expect, test } from "vitest";
import { grantedActions } from "../../../src/clouds/aws/actions.ts";
import { openAwsCloud } from "../../../src/clouds/aws/cloud.ts";
import { type DoctorOptions, examine, type Finding } from "../../../src/clouds/aws/doctor.ts";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { openFake } from "../sim/aws/setup.ts";
import { launchOf } from "./parts.ts";

type Fake = ReturnType<typeof openFake>;
const fakes: Fake[] = [];
afterEach(() => {
  fakes.length = 0;
});

function newFake(options: Parameters<typeof openFake>[0] = { hostedZones: ["cluster.local"] }): Fake {
  const fake = openFake(options);
  fakes.push(fake);
  return fake;
}

const cloudOn = ({ clients, clock }: Fake, repeat: Partial<Parameters<typeof openAwsCloud>[0]> = {}) =>
  openAwsCloud({ clients, clock, cluster: "test", region: "us-east-1", onWarning: () => undefined, ...repeat });

function diagnose(fake: Fake, more: Partial<DoctorOptions> = {}): Promise<Finding[]> {
  const { clock } = fake;
  return fake.through(
    examine({
      ...{ cloud: cloudOn(fake), clock, cluster: "test", region: "us-east-1", domain: "cluster.local" },
      ...{ createZone: false, image: "debian-12", demands: [], reach: "public", operatorCidrs: ["203.0.113.7/32"] },
      awsTimeMs: async () => clock.wallMs(),
      ...more,
    }),
  );
}

const fixes = (findings: readonly Finding[]) => findings.filter(({ state }) => state === "fix");
/** What has the form of an action, anywhere in the lines. */
const actionsIn = (findings: readonly Finding[]) => [
  ...new Set(
    findings.flatMap(
      ({ text }) =>
        text.match(/\b(?:ec2|elasticloadbalancing|route53|ssm|iam|pricing|servicequotas|sts|acm|wafv2):[A-Z]\w+/g) ??
        [],
    ),
  ),
];

test("in a sound account nothing is to be fixed, and nothing is changed", async () => {
  const fake = newFake();
  const findings = await diagnose(fake);
  expect(fixes(findings)).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual(
    expect.arrayContaining([
      "clock",
      "credentials",
      "region",
      "permissions",
      "network",
      "subnet",
      "names",
      "ssh",
      "image",
      "quotas",
    ]),
  );
  const { world } = fake;
  const made = [world.instances, world.loadBalancers, world.targetGroups, world.volumes, world.launchTemplates];
  expect(made.map(({ size }) => size)).toEqual([0, 0, 0, 0, 0]);
  // To delete a load balancer that is not there is a success.
  const done = world.writes.filter(({ outcome }) => outcome === "ok").map(({ action }) => action);
  expect(done.filter((action) => !/^Delete(LoadBalancer|TargetGroup)$/.test(action))).toEqual([]);
});

/** Nobody can be told by trying that one of these lacks. */
const untriable = ["cognito-idp:DescribeUserPoolClient", "iam:CreateServiceLinkedRole"];

test.for(grantedActions().filter((action) => !untriable.includes(action)))(
  "without %s exactly that is to be fixed",
  async (action) => {
    const fake = newFake();
    fake.world.conditions.denied.add(action);
    const findings = await diagnose(fake, { createZone: true });
    const told = fixes(findings);
    expect(told.length).toBeGreaterThan(0);
    expect(actionsIn(told)).toEqual([action]);
  },
);

test("a policy that asks for tags of things there are none of is no reason for an alarm", async () => {
  const fake = newFake();
  for (const action of grantedActions().filter((name) =>
    /^elasticloadbalancing:(Delete|Modify|Set|Register|Deregister|Remove|AddListener)/.test(name),
  ))
    fake.world.conditions.denied.add(action);
  const findings = await diagnose(fake);
  expect(fixes(findings)).toEqual([]);
  const note = findings.find(({ text }) => text.includes("elasticloadbalancing:DeleteLoadBalancer"));
  expect(note?.state).toBe("note");
});

test("where the cluster has a machine, calls on machines are tried on it", async () => {
  const fake = newFake();
  const { machines } = cloudOn(fake);
  await fake.through(machines.launch({ ...launchOf("l-1", 1), cluster: "test" }));
  fake.world.conditions.denied.add("ec2:TerminateInstances");
  expect(actionsIn(fixes(await diagnose(fake)))).toEqual(["ec2:TerminateInstances"]);
  const tried = fake.world.writes.filter(({ action }) => action === "TerminateInstances").at(-1);
  expect(tried?.input["InstanceIds"]).toEqual([...fake.world.instances.keys()]);
});

test("credentials that are no good end the look with one line about them", async () => {
  const fake = newFake();
  fake.world.conditions.expired.push({ fromMs: 0, untilMs: Number.POSITIVE_INFINITY });
  const findings = await diagnose(fake);
  expect(fixes(findings).map(({ check }) => check)).toEqual(["credentials"]);
  expect(fixes(findings)[0]?.text).toMatch(/does not accept the credentials.*log in/i);
});

test("a region that there is not is called so, and not a matter of credentials", async () => {
  const fake = newFake();
  const lost = Object.assign(new Error("getaddrinfo ENOTFOUND sts.eu-nowhere-1.amazonaws.com"), { code: "ENOTFOUND" });
  const send = () => Promise.reject(awsError(lost, "sts:GetCallerIdentity"));
  const told = fixes(await diagnose(fake, { cloud: { ...cloudOn(fake), send } }));
  expect(told).toEqual([
    { check: "region", state: "fix", text: expect.stringMatching(/eu-nowhere-1.*name of the region/) },
  ]);
});

test("a clock that is off, a zone that is missing, SSH that is open to nobody, each with the way out", async () => {
  const fake = newFake({});
  const findings = await diagnose(fake, { awsTimeMs: async () => fake.clock.wallMs() - 400_000, operatorCidrs: [] });
  const told = Object.fromEntries(fixes(findings).map(({ check, text }) => [check, text]));
  expect(Object.keys(told).sort()).toEqual(["clock", "names", "ssh"]);
  expect(told["clock"]).toContain("400 s ahead of");
  expect(told["names"]?.match(/--create-zone/g)).toHaveLength(1);
  expect(told["ssh"]).toContain("--operator-cidr");
});

test("a zone of another cluster, and one that drover may make", async () => {
  const fake = newFake({});
  expect(fixes(await diagnose(fake, { createZone: true }))).toEqual([]);
  const [vpcId = ""] = fake.world.vpcs.keys();
  const VPC = { VPCId: vpcId, VPCRegion: "us-east-1" as const };
  await fake.route53(new CreateHostedZoneCommand({ Name: "cluster.local", CallerReference: "x", VPC }));
  expect(fixes(await diagnose(fake))).toEqual([]);
});

test("quotas are compared with what is wanted, demands together", async () => {
  const fake = newFake();
  const demand = { machines: 3, cpuMillis: 500, memoryBytes: 512 * 2 ** 20, gpus: 0 };
  const quota = fake.world.quotas.values.get("L-1216C47A");
  if (quota) quota.value = 5;
  const one = await diagnose(fake, { demands: [{ ...demand, name: "web", machines: 1 }] });
  expect(one.filter(({ check }) => check === "quota").map(({ state }) => state)).toEqual(["ok"]);
  const many = await diagnose(fake, {
    demands: [
      { ...demand, name: "web", machines: 1 },
      { ...demand, name: "worker", machines: 5 },
    ],
  });
  const told = many.filter(({ check }) => check === "quota");
  expect(told.map(({ state }) => state)).toEqual(["ok", "fix"]);
  expect(told[1]?.text).toMatch(/worker: 5 × .*vCPUs of \S+ are needed.*L-1216C47A.*Service Quotas/);
  const huge = await diagnose(fake, { demands: [{ ...demand, name: "huge", cpuMillis: 10_000_000 }] });
  expect(huge.find(({ check }) => check === "quota")?.text).toContain("no instance type");
});
