import {
  CreateSecurityGroupCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeVpcsCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { CreateTargetGroupCommand, DescribeTargetGroupsCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { GetProductsCommand } from "@aws-sdk/client-pricing";
import { GetServiceQuotaCommand } from "@aws-sdk/client-service-quotas";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../../../src/base/random.ts";
import { drawnCallFaults } from "../../../../src/clouds/sim/aws/faults.ts";
import { noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { standardRetries } from "../../../../src/clouds/sim/aws/retry.ts";
import { messageOf, openFake, outcome } from "./setup.ts";

type Fake = ReturnType<typeof openFake>;

function run(fake: Fake, count = 1, ClientToken?: string) {
  const ImageId = fake.world.parameters.get("/aws/service/debian/release/12/latest/amd64") ?? "";
  return fake.ec2(
    new RunInstancesCommand({ ImageId, InstanceType: "t3.micro", MinCount: 1, MaxCount: count, ClientToken }),
  );
}

const group = (fake: Fake, GroupName = "web") =>
  fake.ec2(new CreateSecurityGroupCommand({ GroupName, Description: "web" }));
const ids = (fake: Fake) => [...fake.world.instances.keys()];
const terminate = (fake: Fake, InstanceIds: string[]) => fake.ec2(new TerminateInstancesCommand({ InstanceIds }));
/** How many calls in a row go through at once before the first is throttled. */
async function burst(call: () => Promise<unknown>, max = 200): Promise<number> {
  for (let count = 0; count < max; count++) {
    const code = await outcome(call());
    if (code !== "ok") {
      expect(["RequestLimitExceeded", "Throttling"]).toContain(code);
      return count;
    }
  }
  return max;
}

describe("each action's bucket: what goes at once, and what a second brings back", () => {
  const rows: [
    name: string,
    capacity: number,
    perSecond: number,
    call: (fake: Fake, index: number) => Promise<unknown>,
  ][] = [
    ["RunInstances", 5, 2, (fake) => run(fake)],
    ["TerminateInstances", 100, 5, (fake) => terminate(fake, ids(fake).slice(0, 1))],
    ["other changes", 50, 5, (fake, index) => group(fake, `g-${index}`)],
    ["reads with a filter", 100, 20, (fake) => fake.ec2(new DescribeVpcsCommand({ MaxResults: 5 }))],
    ["reads without anything", 50, 10, (fake) => fake.ec2(new DescribeVpcsCommand({}))],
    ["reads of load balancers", 40, 10, (fake) => fake.elb(new DescribeTargetGroupsCommand({}))],
  ];
  test.for(rows)("%s: %d, then %d a second", async ([, capacity, perSecond, call]) => {
    const fake = openFake();
    await run(fake);
    await fake.clock.advance(60_000);
    let index = 0;
    expect(await burst(() => call(fake, index++))).toBe(capacity);
    await fake.clock.advance(1_000);
    expect(await burst(() => call(fake, index++))).toBe(perSecond);
  });
});

test("instances are counted beside requests: 1,000 at once, then two a second", async () => {
  const fake = openFake();
  for (let batch = 0; batch < 4; batch++) await run(fake, 250);
  await fake.clock.advance(500);
  expect(await outcome(run(fake, 2))).toBe("RequestLimitExceeded");
  await fake.clock.advance(500);
  expect(await outcome(run(fake, 2))).toBe("ok");
});

test("the SDK repeats lost connections by itself; the token keeps a launch single", async () => {
  const fake = openFake();
  fake.world.conditions.fail("RunInstances", "lost-reply", 2);
  const { $metadata } = await run(fake, 3);
  expect([$metadata.attempts, ids(fake).length, fake.world.calls.get("RunInstances")]).toEqual([3, 3, 1]);
  expect(fake.world.writes.map(({ action, outcome: said }) => [action, said])).toEqual([
    ["RunInstances", "ok"],
    ["RunInstances", "ok"],
    ["RunInstances", "ok"],
  ]);
});

test("a group whose answer was lost is a duplicate at the SDK's own second attempt", async () => {
  const fake = openFake();
  fake.world.conditions.fail("CreateSecurityGroup", "lost-reply");
  expect(await outcome(group(fake))).toBe("InvalidGroup.Duplicate");
});

test("a request that never arrives does nothing, also if it is given up", async () => {
  const fake = openFake();
  fake.world.conditions.fail("CreateSecurityGroup", "lost-request", 8);
  const thrown = await group(fake).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: "ECONNRESET", $metadata: { attempts: 8 } });
  expect(fake.world.writes).toEqual([]);
  expect(fake.clock.monotonicMs()).toBeGreaterThan(0);
});

test("an answer lost eight times is thrown though the work was done; a duplicate does it twice", async () => {
  const fake = openFake();
  fake.world.conditions.fail("RunInstances", "lost-reply", 8);
  expect(await messageOf(run(fake, 1, "t"))).toBe("socket hang up");
  expect(ids(fake).length).toBe(1);
  fake.world.conditions.fail("RunInstances", "duplicate");
  await run(fake, 1, "t");
  expect(ids(fake).length).toBe(1);
  fake.world.conditions.fail("CreateTargetGroup", "duplicate");
  const VpcId = [...fake.world.vpcs.keys()][0];
  await fake.elb(new CreateTargetGroupCommand({ Name: "a", Protocol: "TCP", Port: 80, VpcId }));
  expect(fake.world.targetGroups.size).toBe(1);
});

test("by default throttles and missing capacity come at once; the SDK's standard mode repeats both", async () => {
  const rows: [retries: typeof standardRetries | undefined, attempts: number][] = [
    [undefined, 1],
    [standardRetries, 3],
  ];
  for (const [retries, attempts] of rows) {
    const fake = openFake({ ...(retries && { retries }) });
    fake.world.pools.set("*", "*", "*", 0);
    const noRoom = await run(fake).catch((error: unknown) => error);
    expect(noRoom).toMatchObject({
      name: "InsufficientInstanceCapacity",
      $metadata: { httpStatusCode: 500, attempts },
    });
    fake.world.conditions.fail("DescribeVpcs", "throttle", 9);
    const throttled = await fake.ec2(new DescribeVpcsCommand({})).catch((error: unknown) => error);
    expect(throttled).toMatchObject({ name: "RequestLimitExceeded", $metadata: { httpStatusCode: 503, attempts } });
  }
});

test("a client that has met too many failures stops repeating; another process has tokens of its own", async () => {
  const fake = openFake();
  fake.world.conditions.fail("DescribeVpcs", "lost-request", 1_000);
  const attempts: number[] = [];
  const send = async (client: Fake["clients"]["ec2"]) => {
    const thrown = await fake.through(client.send(new DescribeVpcsCommand({}))).catch((error: unknown) => error);
    attempts.push((thrown as { $metadata: { attempts: number } }).$metadata.attempts);
  };
  for (let call = 0; call < 7; call++) await send(fake.clients.ec2);
  // 500 tokens, 14 a repetition: 35 repetitions, seven a call.
  expect(attempts).toEqual([8, 8, 8, 8, 8, 1, 1]);
  await send(fake.connect().ec2);
  expect(attempts.at(-1)).toBe(8);
});

describe("a permission that is taken away is named as AWS names it", () => {
  const rows: [permission: string, code: string, call: (fake: Fake) => Promise<unknown>][] = [
    ["ec2:RunInstances", "UnauthorizedOperation", (fake) => run(fake)],
    [
      "elasticloadbalancing:DescribeTargetGroups",
      "AccessDenied",
      (fake) => fake.elb(new DescribeTargetGroupsCommand({})),
    ],
    ["ssm:GetParameter", "AccessDeniedException", (fake) => fake.ssm(new GetParameterCommand({ Name: "/x" }))],
    [
      "servicequotas:GetServiceQuota",
      "AccessDeniedException",
      (fake) => fake.quotas(new GetServiceQuotaCommand({ ServiceCode: "ec2", QuotaCode: "L-1216C47A" })),
    ],
    [
      "ec2:CreateTags",
      "UnauthorizedOperation",
      (fake) => {
        const tags = [{ ResourceType: "security-group" as const, Tags: [{ Key: "a", Value: "b" }] }];
        return fake.ec2(new CreateSecurityGroupCommand({ GroupName: "g", Description: "g", TagSpecifications: tags }));
      },
    ],
  ];
  test.for(rows)("%s", async ([permission, code, call]) => {
    const fake = openFake();
    fake.world.conditions.denied.add(permission);
    const thrown = await call(fake).catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      name: code,
      message: expect.stringContaining(`perform: ${permission} on resource:`),
    });
    expect(fake.world.securityGroups.size + fake.world.instances.size).toBe(1);
  });
});

test("a dry run says whether it would do, and does nothing", async () => {
  const fake = openFake();
  const dry = () => fake.ec2(new CreateSecurityGroupCommand({ GroupName: "g", Description: "g", DryRun: true }));
  expect(await dry().catch((error: unknown) => error)).toMatchObject({
    name: "DryRunOperation",
    message: "Request would have succeeded, but DryRun flag is set.",
    $metadata: { httpStatusCode: 412 },
  });
  fake.world.conditions.denied.add("ec2:CreateSecurityGroup");
  expect(await outcome(dry())).toBe("UnauthorizedOperation");
  expect(fake.world.securityGroups.size).toBe(1);
});

test("credentials are refused while they are expired, each service in its own words", async () => {
  const fake = openFake();
  fake.world.conditions.expired.push({ fromMs: 1_000, untilMs: 2_000 }, { fromMs: 3_000, untilMs: 4_000, sso: true });
  const calls = () =>
    Promise.all([
      outcome(fake.ec2(new DescribeVpcsCommand({}))),
      outcome(fake.elb(new DescribeTargetGroupsCommand({}))),
      outcome(fake.ssm(new GetParameterCommand({ Name: "/x" }))),
      outcome(fake.sts(new GetCallerIdentityCommand({}))),
    ]);
  expect(await calls()).toEqual(["ok", "ok", "ParameterNotFound", "ok"]);
  await fake.clock.advance(1_500);
  expect(await calls()).toEqual(["RequestExpired", "ExpiredToken", "ExpiredTokenException", "ExpiredToken"]);
  await fake.clock.advance(1_000);
  expect((await calls())[0]).toBe("ok");
  await fake.clock.advance(1_000);
  expect(await calls()).toEqual(Array.from({ length: 4 }, () => "CredentialsProviderError"));
});

test("an action fails for a while and the others don't; a service fails whole", async () => {
  const fake = openFake();
  const outage = { service: "ec2" as const, fault: "unavailable" as const };
  fake.world.conditions.outages.push({ ...outage, action: "DescribeInstances", fromMs: 0, untilMs: 3_600_000 });
  expect(await outcome(fake.ec2(new DescribeInstancesCommand({})))).toBe("ServiceUnavailable");
  expect(await outcome(fake.ec2(new DescribeVpcsCommand({})))).toBe("ok");
  fake.world.conditions.outages.push({ ...outage, action: "*", fromMs: 0, untilMs: 3_600_000 });
  expect(await outcome(fake.ec2(new DescribeVpcsCommand({})))).toBe("ServiceUnavailable");
  await fake.clock.advance(3_600_000);
  expect(await outcome(fake.ec2(new DescribeInstancesCommand({})))).toBe("ok");
});

test("hooks are before and after every call; one that never answers holds the call up for ever", async () => {
  const fake = openFake();
  const told: string[] = [];
  fake.world.hooks.beforeCall = ({ service, action }) => void told.push(`before ${service}:${action}`);
  fake.world.hooks.afterCall = ({ action }, said) => void told.push(`after ${action} ${said}`);
  await group(fake);
  await outcome(group(fake));
  expect(told).toEqual([
    "before ec2:CreateSecurityGroup",
    "after CreateSecurityGroup ok",
    "before ec2:CreateSecurityGroup",
    "after CreateSecurityGroup InvalidGroup.Duplicate",
  ]);
  let answered = false;
  fake.world.hooks.afterCall = () => new Promise(() => {});
  void fake.clients.ec2
    .send(new CreateSecurityGroupCommand({ GroupName: "late", Description: "late" }))
    .then(() => (answered = true));
  await fake.clock.advance(3_600_000);
  expect([answered, [...fake.world.securityGroups.values()].some(({ name }) => name === "late")]).toEqual([
    false,
    true,
  ]);
});

test("a read may show what was, a launch may give less, and an instance may never start", async () => {
  const chances = { stale: 1, partialLaunch: 1, failsToStart: 1 };
  const fake = openFake({ faults: drawnCallFaults(seededRandom(3), chances) });
  fake.world.latencies = {
    ...noLatencies,
    pendingToRunning: [{ share: 1, latency: { p50Ms: 60_000, p99Ms: 60_000 } }],
  };
  const { Instances = [] } = await run(fake, 50);
  expect(Instances.length).toBeGreaterThan(0);
  expect(Instances.length).toBeLessThan(50);
  const list = async () => {
    const answer = await fake.ec2(new DescribeInstancesCommand({ MaxResults: 1_000 }));
    return answer.Reservations?.flatMap((one) => one.Instances ?? []) ?? [];
  };
  expect(await list()).toEqual([]);
  await fake.clock.advance(10_000);
  expect((await list()).map(({ State }) => State?.Name)).toEqual(Instances.map(() => "pending"));
  await fake.clock.advance(60_000);
  for (const { State, StateReason } of await list()) {
    expect(State?.Name).toBe("terminated");
    expect(StateReason?.Code).toMatch(/^(Server|Client)\./);
  }
});

test("an aborted call ends at once, in the SDK's way", async () => {
  const fake = openFake();
  fake.world.latencies = { ...noLatencies, calls: { default: { p50Ms: 10_000, p99Ms: 10_000 } } };
  const stop = new AbortController();
  const call = outcome(fake.clients.ec2.send(new DescribeVpcsCommand({}), { abortSignal: stop.signal }));
  await fake.clock.advance(1_000);
  stop.abort(new Error("enough"));
  expect(await call).toBe("AbortError");
});

test("a command that the fake doesn't know is a mistake of the test", async () => {
  const fake = openFake();
  const call = messageOf(fake.ec2(new DescribeInstanceStatusCommand({})));
  expect(await call).toBe("the fake of AWS does not know ec2:DescribeInstanceStatus");
});

test("who am I, quotas, prices and parameters", async () => {
  const fake = openFake();
  expect(await fake.sts(new GetCallerIdentityCommand({}))).toMatchObject({ Account: "123456789012" });
  const quota = new GetServiceQuotaCommand({ ServiceCode: "ec2", QuotaCode: "L-1216C47A" });
  fake.world.quotas.set("L-1216C47A", 5);
  expect((await fake.quotas(quota)).Quota?.Value).toBe(5);
  const Filters = [{ Type: "TERM_MATCH" as const, Field: "instanceType", Value: "m7g.large" }];
  const { PriceList } = await fake.pricing(new GetProductsCommand({ ServiceCode: "AmazonEC2", Filters }));
  expect(PriceList?.length).toBe(1);
  expect(JSON.stringify(PriceList)).toContain("0.0816000000");
});
