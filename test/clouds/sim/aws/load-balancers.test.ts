import { RunInstancesCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import {
  AddTagsCommand,
  CreateListenerCommand,
  type CreateListenerCommandInput,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ModifyListenerCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  SetRulePrioritiesCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { describe, expect, test } from "vitest";
import { ec2Latencies, noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { receivingAt } from "../../../../src/clouds/sim/aws/target-health.ts";
import { messageOf, openFake, outcome } from "./setup.ts";

type Fake = ReturnType<typeof openFake>;

async function launched(fake: Fake, count: number): Promise<string[]> {
  const ImageId = fake.world.parameters.get("/aws/service/debian/release/12/latest/amd64") ?? "";
  const input = { ImageId, InstanceType: "t3.micro" as const, MinCount: count, MaxCount: count };
  const { Instances } = await fake.ec2(new RunInstancesCommand(input));
  return Instances?.map(({ InstanceId }) => InstanceId ?? "") ?? [];
}

const subnetsOf = (fake: Fake) => [...fake.world.subnets.keys()];
const vpcOf = (fake: Fake) => [...fake.world.vpcs.keys()][0] ?? "";

async function balancer(fake: Fake, Name = "web", Type: "network" | "application" = "network"): Promise<string> {
  const input = { Name, Type, Scheme: "internal" as const, Subnets: subnetsOf(fake) };
  const { LoadBalancers } = await fake.elb(new CreateLoadBalancerCommand(input));
  return LoadBalancers?.[0]?.LoadBalancerArn ?? "";
}

async function group(fake: Fake, Name = "web-80", Protocol: "TCP" | "HTTP" = "TCP"): Promise<string> {
  const { TargetGroups } = await fake.elb(
    new CreateTargetGroupCommand({ Name, Protocol, Port: 80, VpcId: vpcOf(fake), HealthCheckIntervalSeconds: 10 }),
  );
  return TargetGroups?.[0]?.TargetGroupArn ?? "";
}

const forwardTo = (TargetGroupArn: string) => ({ Type: "forward" as const, TargetGroupArn });

async function listener(
  fake: Fake,
  LoadBalancerArn: string,
  TargetGroupArn: string,
  more: Partial<CreateListenerCommandInput> = {},
) {
  const input = { LoadBalancerArn, Protocol: "TCP" as const, Port: 80, DefaultActions: [forwardTo(TargetGroupArn)] };
  const { Listeners } = await fake.elb(new CreateListenerCommand({ ...input, ...more }));
  return Listeners?.[0]?.ListenerArn ?? "";
}

const health = async (fake: Fake, TargetGroupArn: string) => {
  const { TargetHealthDescriptions } = await fake.elb(new DescribeTargetHealthCommand({ TargetGroupArn }));
  return TargetHealthDescriptions?.map(({ TargetHealth }) =>
    [TargetHealth?.State, TargetHealth?.Reason].join(" ").trim(),
  );
};

test("a target goes from unused over initial to healthy, drains for its delay, and is gone", async () => {
  const fake = openFake();
  fake.world.latencies = {
    ...noLatencies,
    networkBalancerActive: { p50Ms: 120_000, p99Ms: 120_000 },
    networkTargetHealthy: { p50Ms: 200_000, p99Ms: 200_000 },
    deregister: { p50Ms: 15_000, p99Ms: 15_000 },
  };
  const [id = ""] = await launched(fake, 1);
  const TargetGroupArn = await group(fake);
  const Attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: "60" }];
  await fake.elb(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
  await fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: id }] }));
  expect(await health(fake, TargetGroupArn)).toEqual(["unused Target.NotInUse"]);
  const arn = await balancer(fake);
  await listener(fake, arn, TargetGroupArn);
  const states: [number, string[] | undefined][] = [];
  for (const atSeconds of [1, 119, 125, 245, 319, 321]) {
    await fake.clock.advance(atSeconds * 1_000 - fake.clock.monotonicMs());
    states.push([atSeconds, await health(fake, TargetGroupArn)]);
  }
  expect(states).toEqual([
    [1, ["initial Elb.RegistrationInProgress"]],
    [119, ["initial Elb.RegistrationInProgress"]],
    [125, ["initial Elb.RegistrationInProgress"]],
    [245, ["initial Elb.InitialHealthChecking"]],
    [319, ["initial Elb.InitialHealthChecking"]],
    [321, ["healthy"]],
  ]);
  const receiving = () => receivingAt(fake.world, fake.clock.monotonicMs()).map(({ instanceId }) => instanceId);
  expect(receiving()).toEqual([id]);
  await fake.elb(new DeregisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: id }] }));
  expect(await health(fake, TargetGroupArn)).toEqual(["draining Target.DeregistrationInProgress"]);
  await fake.clock.advance(14_000);
  expect(receiving()).toEqual([id]);
  await fake.clock.advance(2_000);
  expect(receiving()).toEqual([]);
  await fake.clock.advance(43_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["draining Target.DeregistrationInProgress"]);
  await fake.clock.advance(2_000);
  expect(await health(fake, TargetGroupArn)).toEqual([]);
  const { TargetHealthDescriptions } = await fake.elb(
    new DescribeTargetHealthCommand({ TargetGroupArn, Targets: [{ Id: id }] }),
  );
  expect(TargetHealthDescriptions?.[0]?.TargetHealth?.Reason).toBe("Target.NotRegistered");
});

test("a target that stops answering is unhealthy after its checks, and healthy again after as many good ones", async () => {
  const fake = openFake();
  let serving = { serves: true, sinceMs: 0 };
  fake.world.bodies = { ...fake.world.bodies, serving: () => serving };
  const [id = ""] = await launched(fake, 1);
  const TargetGroupArn = await group(fake);
  await listener(fake, await balancer(fake), TargetGroupArn);
  await fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: id }] }));
  await fake.clock.advance(1_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["healthy"]);
  serving = { serves: false, sinceMs: fake.clock.monotonicMs() };
  await fake.clock.advance(19_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["healthy"]);
  await fake.clock.advance(2_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["unhealthy Target.FailedHealthChecks"]);
  serving = { serves: true, sinceMs: fake.clock.monotonicMs() };
  await fake.clock.advance(49_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["unhealthy Target.FailedHealthChecks"]);
  await fake.clock.advance(2_000);
  expect(await health(fake, TargetGroupArn)).toEqual(["healthy"]);
  await fake.ec2(new TerminateInstancesCommand({ InstanceIds: [id] }));
  expect(await health(fake, TargetGroupArn)).toEqual(["unused Target.InvalidState"]);
});

test("creating twice with the same settings gives the same thing; with others it is a duplicate", async () => {
  const fake = openFake();
  const arn = await balancer(fake);
  expect(await balancer(fake)).toBe(arn);
  const other = { Name: "web", Type: "network" as const, Scheme: "internet-facing" as const, Subnets: subnetsOf(fake) };
  expect(await outcome(fake.elb(new CreateLoadBalancerCommand(other)))).toBe("DuplicateLoadBalancerNameException");
  const TargetGroupArn = await group(fake);
  expect(await group(fake)).toBe(TargetGroupArn);
  expect(await outcome(group(fake, "web-80", "HTTP"))).toBe("DuplicateTargetGroupNameException");
  const listenerArn = await listener(fake, arn, TargetGroupArn);
  expect(await listener(fake, arn, TargetGroupArn)).toBe(listenerArn);
  const second = await group(fake, "web-81");
  expect(await outcome(listener(fake, arn, second))).toBe("DuplicateListenerException");
  expect(fake.world.listeners.size).toBe(1);
});

describe("refusals", () => {
  type Row = [name: string, code: string, call: (fake: Fake, arn: string, group: string) => Promise<unknown>];
  const rows: Row[] = [
    [
      "a target that isn't running yet",
      "InvalidTargetException",
      async (fake, _, TargetGroupArn) => {
        fake.world.latencies = ec2Latencies;
        const [Id = ""] = await launched(fake, 1);
        return fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id }] }));
      },
    ],
    [
      "a target that nobody knows",
      "InvalidTargetException",
      (fake, _, TargetGroupArn) =>
        fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "i-0123456789abcdef0" }] })),
    ],
    [
      "a target group that nobody knows",
      "TargetGroupNotFoundException",
      (fake, _, arn) =>
        fake.elb(new RegisterTargetsCommand({ TargetGroupArn: `${arn}0`, Targets: [{ Id: "i-0123456789abcdef0" }] })),
    ],
    [
      "deleting a target group in use",
      "ResourceInUseException",
      async (fake, arn, TargetGroupArn) => {
        await listener(fake, arn, TargetGroupArn);
        return fake.elb(new DeleteTargetGroupCommand({ TargetGroupArn }));
      },
    ],
    [
      "a target group at two load balancers",
      "TargetGroupAssociationLimitException",
      async (fake, arn, TargetGroupArn) => {
        await listener(fake, arn, TargetGroupArn);
        return listener(fake, await balancer(fake, "other"), TargetGroupArn);
      },
    ],
    [
      "HTTP at a network load balancer",
      "ValidationError",
      (fake, arn, TargetGroupArn) => listener(fake, arn, TargetGroupArn, { Protocol: "HTTP" }),
    ],
    [
      "TLS without certificate",
      "ValidationError",
      (fake, arn, TargetGroupArn) => listener(fake, arn, TargetGroupArn, { Protocol: "TLS" }),
    ],
    [
      "a certificate that doesn't exist",
      "CertificateNotFoundException",
      (fake, arn, TargetGroupArn) =>
        listener(fake, arn, TargetGroupArn, { Protocol: "TLS", Certificates: [{ CertificateArn: "arn:aws:acm:x" }] }),
    ],
    [
      "a UDP listener before a TCP group",
      "IncompatibleProtocolsException",
      (fake, arn, TargetGroupArn) => listener(fake, arn, TargetGroupArn, { Protocol: "UDP" }),
    ],
    [
      "six groups in one forward",
      "ValidationError",
      async (fake, LoadBalancerArn) => {
        const names = ["a", "b", "c", "d", "e", "f"];
        const groups = await Promise.all(names.map((name) => group(fake, name)));
        const ForwardConfig = { TargetGroups: groups.map((TargetGroupArn) => ({ TargetGroupArn, Weight: 1 })) };
        const DefaultActions = [{ Type: "forward" as const, ForwardConfig }];
        return fake.elb(new CreateListenerCommand({ LoadBalancerArn, Protocol: "TCP", Port: 1, DefaultActions }));
      },
    ],
    [
      "one network load balancer more than the quota",
      "TooManyLoadBalancersException",
      (fake) => {
        fake.world.quotas.set("L-69A177A2", 1);
        return balancer(fake, "second");
      },
    ],
    [
      "an application load balancer in one zone",
      "ValidationError",
      (fake) =>
        fake.elb(
          new CreateLoadBalancerCommand({ Name: "app", Type: "application", Subnets: subnetsOf(fake).slice(0, 1) }),
        ),
    ],
    [
      "a subnet that doesn't exist",
      "SubnetNotFoundException",
      (fake) => fake.elb(new CreateLoadBalancerCommand({ Name: "n", Type: "network", Subnets: ["subnet-1"] })),
    ],
    [
      "a subnet without room",
      "InvalidSubnetException",
      (fake) => {
        for (const subnet of fake.world.subnets.values()) subnet.reserved = 4_085;
        return balancer(fake, "n");
      },
    ],
    ["a name of 33 characters", "ValidationError", (fake) => balancer(fake, "x".repeat(33))],
    [
      "tags of 21 things at once",
      "ValidationError",
      (fake, arn) => fake.elb(new DescribeTagsCommand({ ResourceArns: Array.from({ length: 21 }, () => arn) })),
    ],
    [
      "a load balancer that nobody knows",
      "LoadBalancerNotFoundException",
      (fake) => fake.elb(new DescribeLoadBalancersCommand({ Names: ["nobody"] })),
    ],
  ];
  test.for(rows)("%s: %s", async ([, code, call]) => {
    const fake = openFake();
    const arn = await balancer(fake);
    expect(await outcome(call(fake, arn, await group(fake)))).toBe(code);
  });
});

test("the SDK's name and the wire's code of an error are both there", async () => {
  const fake = openFake();
  const error = await fake.elb(new DescribeTargetGroupsCommand({ Names: ["none"] })).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    name: "TargetGroupNotFoundException",
    Code: "TargetGroupNotFound",
    message: "One or more target groups not found",
    $metadata: { httpStatusCode: 400, attempts: 1 },
  });
});

test("rules have priorities of their own, which may change places, and a default one comes last", async () => {
  const fake = openFake();
  const arn = await balancer(fake, "app", "application");
  const TargetGroupArn = await group(fake, "app-80", "HTTP");
  const ListenerArn = await listener(fake, arn, TargetGroupArn, { Protocol: "HTTP" });
  const rule = async (Priority: number, path: string) => {
    const Conditions = [{ Field: "path-pattern", PathPatternConfig: { Values: [path] } }];
    const input = { ListenerArn, Priority, Conditions, Actions: [forwardTo(TargetGroupArn)] };
    return (await fake.elb(new CreateRuleCommand(input))).Rules?.[0]?.RuleArn ?? "";
  };
  const first = await rule(1, "/a");
  const second = await rule(2, "/b");
  expect(await messageOf(rule(2, "/c"))).toBe("Priority '2' is currently in use");
  const swap = [
    { RuleArn: first, Priority: 2 },
    { RuleArn: second, Priority: 1 },
  ];
  await fake.elb(new SetRulePrioritiesCommand({ RulePriorities: swap }));
  const { Rules } = await fake.elb(new DescribeRulesCommand({ ListenerArn }));
  expect(Rules?.map(({ Priority, RuleArn }) => [Priority, RuleArn === first])).toEqual([
    ["1", false],
    ["2", true],
    ["default", false],
  ]);
  await fake.elb(new AddTagsCommand({ ResourceArns: [first], Tags: [{ Key: "k", Value: "v" }] }));
  const { TagDescriptions } = await fake.elb(new DescribeTagsCommand({ ResourceArns: [first, arn] }));
  expect(TagDescriptions?.map(({ Tags }) => Tags)).toEqual([[{ Key: "k", Value: "v" }], []]);
});

test("a switched listener takes the old group out of use; deleting the load balancer frees its groups later", async () => {
  const fake = openFake();
  fake.world.latencies = { ...noLatencies, interfacesLinger: { p50Ms: 60_000, p99Ms: 60_000 } };
  const arn = await balancer(fake);
  const [one, two] = [await group(fake, "one"), await group(fake, "two")];
  const ListenerArn = await listener(fake, arn, one);
  await fake.elb(new ModifyListenerCommand({ ListenerArn, DefaultActions: [forwardTo(two)] }));
  const { TargetGroups } = await fake.elb(new DescribeTargetGroupsCommand({}));
  expect(TargetGroups?.map(({ LoadBalancerArns }) => LoadBalancerArns)).toEqual([[], [arn]]);
  await fake.elb(new DeleteTargetGroupCommand({ TargetGroupArn: one }));
  await fake.elb(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  await fake.elb(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  expect(await outcome(fake.elb(new DeleteListenerCommand({ ListenerArn })))).toBe("ListenerNotFoundException");
  await fake.elb(new DeleteTargetGroupCommand({ TargetGroupArn: two }));
  expect(fake.world.targetGroups.size).toBe(0);
});

test("targets become healthy as fast as the facts say: half within 45 s, all but few within 200 s", async () => {
  const fake = openFake();
  fake.world.latencies = { ...noLatencies, networkTargetHealthy: ec2Latencies.networkTargetHealthy };
  const ids = await launched(fake, 501);
  const TargetGroupArn = await group(fake);
  await listener(fake, await balancer(fake), TargetGroupArn);
  const Targets = ids.map((Id) => ({ Id }));
  const all = fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets }));
  await expect(all, "more than a zone may have").rejects.toThrow("The maximum number of targets");
  await fake.elb(new RegisterTargetsCommand({ TargetGroupArn, Targets: Targets.slice(1) }));
  const healthy = async () => (await health(fake, TargetGroupArn))?.filter((state) => state === "healthy").length;
  await fake.clock.advance(45_000);
  expect(Math.abs(((await healthy()) ?? 0) - 250)).toBeLessThan(40);
  await fake.clock.advance(155_000);
  expect(Math.abs(((await healthy()) ?? 0) - 495)).toBeLessThan(6);
});
