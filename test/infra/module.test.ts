import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, type TestContext, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { listRest } from "../../src/clouds/aws/rest.ts";
import { openAccount } from "../aws/moto/account.ts";
import { type Moto, startMoto } from "../aws/moto/server.ts";
import { findTerraform, Terraform } from "./terraform.ts";

const program = findTerraform();
const text = (file: string) => readFileSync(`infra/${file}`, "utf8");

test("Terraform is here, or it is said that the module's tests are left out", () => {
  if (program === undefined) console.warn("no terraform on the PATH: the tests of infra/ are left out");
  if (process.env["CI"]) expect(program, "CI must have terraform").toBeDefined();
});

test("the policy's words are those that the module fills in", () => {
  const used = ["look", "change"].flatMap((part) => [...text(`policy-${part}.json.tftpl`).matchAll(/\$\{(\w+)\}/g)]);
  const filled = /words = \{([^}]*)\}/.exec(text("iam.tf"))?.[1] ?? "";
  const names = [...filled.matchAll(/^ *(\w+) /gm)].map(([, name]) => name);
  expect([...new Set(used.map(([, name]) => name))].sort()).toEqual(names.sort());
});

const prior = { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x", AWS_REGION: "eu-central-1" };

/** moto shows neither the security groups of an instance whose interface was spelled out, nor a private zone's VPC. */
const forgottenByMoto = ["aws_instance.server[0] updated", "aws_route53_zone.names updated"];

/** The cluster's security groups as `drover serve`, started with the module's flags, sees to them. */
function openGroups(moto: Moto, operatorCidrs: string[], onTestFinished: TestContext["onTestFinished"]) {
  for (const [name, value] of Object.entries(moto.env)) vi.stubEnv(name, value);
  let aheadMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const account = openAccount({ cluster: "web", clock, operatorCidrs });
  onTestFinished(() => {
    account.close();
    vi.unstubAllEnvs();
  });
  const skip = (ms: number) => {
    aheadMs += ms;
  };
  return { ...account, skip };
}

/** Terraform says of all variables of one run what is wrong with them. */
const wrongValues = [
  ["cluster=Web", "lower-case letters"],
  ['operator_cidrs=["0.0.0.0/0"]', "the whole internet is not accepted"],
  ["vpc_id=vpc-0123456789abcdef0", "belong together"],
  ["private_subnets=true", "an existing one has its own"],
  ["server=true", "needs server_package"],
  ['tags={"drover.dev/cluster":"x"}', "set by others"],
  ["vpc_cidr=10.64.0.0/24", "a network of /16 to /20"],
  ["zone_count=5", "zone_count is 1, 2, 3 or 4"],
  ["domain=Local", "a name such as cluster.local"],
  ['trusted_principals=["me"]', "are ARNs of users or roles"],
  ['pod_roles={"s 3":[]}', "Names of pod_roles have"],
  ["server_instance_type=t3.small", "is an arm64 type"],
] as const;

// What AWS' provider waits for while it makes and ends things is time for the others.
describe.skipIf(program === undefined).concurrent("with terraform", () => {
  let moto: Moto;
  let terraform: Terraform;
  beforeAll(async () => {
    moto = await startMoto("eu-central-1", { MOTO_IAM_LOAD_MANAGED_POLICIES: "true" });
    terraform = new Terraform(program ?? "", { ...prior, ...moto.env });
    await terraform.init();
  }, 300_000);
  afterAll(async () => {
    terraform?.close();
    await moto?.close();
  });

  test("the module is valid and formatted", async () => {
    await terraform.do("validate");
    await terraform.do("fmt", "-check", "-diff");
  }, 120_000);

  test("it is applied, once and for all, and destroyed without a rest", async ({ expect, onTestFinished }) => {
    const variables = [
      ...["-var=cluster=web", '-var=operator_cidrs=["203.0.113.7/32"]', "-var=private_subnets=true"],
      ...[
        "-var=server=true",
        "-var=server_package=https://example.org/drover.tgz",
        '-var=pod_roles={"s3":["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]}',
      ],
    ];
    await terraform.do("apply", "-auto-approve", "-input=false", ...variables);
    const outputs = JSON.parse(await terraform.do("output", "-json"));
    const flags: string = outputs.flags.value;
    expect(flags).toMatch(/^--cloud aws --cluster web --region eu-central-1 --vpc vpc-\w+ --subnets subnet-\w+,/);
    expect(outputs.subnet_ids.value.length).toBe(4);
    expect(outputs.policy_arns.value.length).toBe(2);
    expect(outputs.pod_instance_profiles.value).toEqual({ s3: "drover-pod-s3" });
    expect(outputs.server_id.value).toMatch(/^i-/);
    const { send, groups, skip } = openGroups(moto, ["203.0.113.7/32", "10.64.0.0/16"], onTestFinished);
    const made = outputs.security_group_ids.value;
    expect(await groups.forMachine([])).toEqual([made.machines, expect.stringMatching(/^sg-/)]);
    expect(await groups.forBalancers()).toBe(made.balancers);
    skip(60_000);
    expect(await groups.drift()).toEqual([]);
    const ports = [{ port: 80, protocol: "TCP" }] as const;
    expect((await groups.forMachine(ports)).length).toBe(3);
    const rest = [expect.stringMatching(/^drover-web-ports-/), expect.stringMatching(/^drover-web-redirects/)];
    expect((await listRest(send, "web")).securityGroups.toSorted()).toEqual(rest);
    await groups.remove();
    expect((await listRest(send, "web")).securityGroups).toEqual([]);
    const again = await terraform.run("plan", "-detailed-exitcode", "-input=false", ...variables);
    const changed = [...again.out.matchAll(/# (\S+) (?:will|must) be (\w+)/g)].map(([, name, how]) => `${name} ${how}`);
    expect(changed.filter((change) => !forgottenByMoto.includes(change))).toEqual([]);
    // The plan has just looked at everything.
    await terraform.do("destroy", "-auto-approve", "-input=false", "-refresh=false", ...variables);
    expect(await terraform.do("state", "list")).toBe("");
  }, 900_000);

  test("each wrong variable is refused with a sentence that says what is right", async ({ expect }) => {
    const variables = wrongValues.map(([variable]) => `-var=${variable}`);
    // It doesn't come as far as the state, which the other test may have locked.
    const { code, out, err } = await terraform.run("plan", "-input=false", "-lock=false", ...variables);
    expect(code).toBe(1);
    const said = (out + err).replace(/[\s│]+/g, " ");
    for (const [variable, sentence] of wrongValues) expect(said, variable).toContain(sentence);
    expect(said.match(/Invalid value for variable/g)).toHaveLength(wrongValues.length);
  }, 600_000);
});
