import {
  DeleteLoadBalancerCommand,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  ModifyListenerCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { describe, expect, test } from "vitest";
import { noCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { ingress, openBalancerParts, outcomeOf, service, target } from "./balancer-parts.ts";

const creation = [
  "CreateTargetGroup",
  "ModifyTargetGroupAttributes",
  "AddTags",
  "CreateSecurityGroup",
  "AuthorizeSecurityGroupIngress",
  "CreateTags",
  "CreateSecurityGroup",
  "CreateLoadBalancer",
  "AddTags",
  "CreateListener",
];

describe("a Service", () => {
  test("is created, registered, drained and removed with these requests and no others", async () => {
    const parts = openBalancerParts();
    const [one = "", two = ""] = await parts.launch(2);
    const balancers = parts.open();
    await balancers.ensure(service([target(one)]));
    expect(parts.writes()).toEqual([...creation, "RegisterTargets"]);
    await balancers.ensure(service([target(one, { draining: true }), target(two)]));
    expect(parts.writes()).toEqual(["RegisterTargets", "DeregisterTargets"]);
    await balancers.ensure(service([target(one, { draining: true }), target(two)]));
    expect(parts.writes()).toEqual([]);
    await balancers.remove("web");
    expect(parts.writes()).toEqual(["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteSecurityGroup"]);
    expect((await balancers.observe()).balancers).toEqual([]);
    const { loadBalancers, targetGroups, listeners } = parts.world;
    expect([loadBalancers.size, targetGroups.size, listeners.size]).toEqual([0, 0, 0]);
  });

  test("goes from provisioning to healthy, and a target from draining to drained only once AWS says so", async () => {
    const parts = openBalancerParts({ latencies: ec2Latencies });
    const [one = "", two = ""] = await parts.launch(2);
    await parts.clock.advance(120_000);
    const balancers = parts.open();
    await balancers.ensure(service([target(one), target(two)]));
    const before = await balancers.state();
    expect(before?.ready).toBe(false);
    expect(before?.targets.map(({ state }) => state)).toEqual(["initial", "initial"]);
    let state = before;
    for (let look = 0; look < 300 && !state?.targets.every((each) => each.state === "healthy"); look++) {
      await parts.clock.advance(3_000);
      state = await balancers.state();
    }
    expect(state).toMatchObject({
      ready: true,
      name: "default/web",
      addresses: [{ hostname: expect.stringMatching(/elb/) }],
    });
    await balancers.ensure(service([target(one, { draining: true }), target(two)]));
    const startedMs = parts.clock.monotonicMs();
    const seen: (string | undefined)[] = [];
    while (seen.at(-1) !== "drained") {
      state = await balancers.state();
      seen.push(state?.targets.find(({ machineId }) => machineId === one)?.state);
      await parts.clock.advance(3_000);
      expect(parts.clock.monotonicMs() - startedMs).toBeLessThan(300_000);
    }
    expect([...new Set(seen)]).toEqual(["draining", "drained"]);
    expect(parts.clock.monotonicMs() - startedMs).toBeGreaterThan(30_000);
    expect(state?.targets.find(({ machineId }) => machineId === two)?.state).toBe("healthy");
  });

  test("is found again by its tags, without a write", async () => {
    const parts = openBalancerParts();
    const [one = "", two = ""] = await parts.launch(2);
    await parts.open().ensure(service([target(one), target(two)]));
    parts.writes();
    const again = parts.open();
    const { balancers, complete } = await again.observe();
    expect(complete).toBe(true);
    expect(balancers).toMatchObject([{ id: "web", name: "default/web", ready: true }]);
    expect(balancers[0]?.targets.map(({ machineId }) => machineId).sort()).toEqual([one, two].sort());
    await again.ensure(service([target(one), target(two)]));
    expect(parts.writes()).toEqual([]);
    await again.remove("web");
    expect(parts.world.loadBalancers.size).toBe(0);
  });

  test.for([
    "CreateTargetGroup",
    "ModifyTargetGroupAttributes",
    "AddTags",
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "CreateTags",
    "CreateLoadBalancer",
    "CreateListener",
    "RegisterTargets",
  ])("is made once and whole when the answer to %s is lost and drover dies of it", async (action) => {
    const parts = openBalancerParts();
    const [one = ""] = await parts.launch(1);
    parts.failNext(action, "ECONNRESET", { isDone: true });
    expect(await outcomeOf(parts.open().ensure(service([target(one)])))).toMatch(/^CLOUD_UNAVAILABLE/);
    const again = parts.open();
    await again.ensure(service([target(one)]));
    const { loadBalancers, targetGroups, listeners } = parts.world;
    expect([loadBalancers.size, targetGroups.size, listeners.size]).toEqual([1, 1, 1]);
    await parts.clock.advance(10_000);
    expect((await again.state())?.targets).toMatchObject([{ machineId: one, state: "healthy" }]);
    await again.remove("web");
    expect([loadBalancers.size, targetGroups.size, listeners.size]).toEqual([0, 0, 0]);
  });

  test("keeps no client address where it is internal, so that a machine reaches itself", async () => {
    const parts = openBalancerParts();
    await parts.open().ensure(service([], { scheme: "internal" }));
    const [group] = [...parts.world.targetGroups.values()];
    expect(group?.attributes.get("preserve_client_ip.enabled")).toBe("false");
    expect(group?.attributes.get("deregistration_delay.timeout_seconds")).toBe("30");
  });
});

describe("a wave of targets", () => {
  test("goes out in calls of a hundred", async () => {
    const parts = openBalancerParts();
    const ids = await parts.launch(5);
    const targets = Array.from({ length: 250 }, (_, index) => target(ids[index % 5] ?? "", { port: 8_000 + index }));
    const balancers = parts.open();
    await balancers.ensure(service(targets));
    expect(parts.writes().filter((action) => action === "RegisterTargets")).toHaveLength(3);
    await balancers.ensure(service(targets.map((each) => ({ ...each, draining: true }))));
    expect(parts.writes()).toEqual(["DeregisterTargets", "DeregisterTargets", "DeregisterTargets"]);
  });

  test("loses nobody to one machine that does not run: it alone waits, and comes in later", async () => {
    const parts = openBalancerParts({ latencies: { ...ec2Latencies } });
    const running = await parts.launch(4);
    await parts.clock.advance(300_000);
    const balancers = parts.open();
    await balancers.ensure(service(running.map((id) => target(id))));
    const [late = "", later = ""] = await parts.launch(2);
    await balancers.ensure(service([late, ...running, later].map((id) => target(id, { port: 8081 }))));
    const states = (await balancers.state())?.targets ?? [];
    expect(states.find(({ machineId }) => machineId === late)).toMatchObject({
      state: "initial",
      reason: expect.stringMatching(/not run yet/),
    });
    const group = [...parts.world.targetGroups.values()][0];
    const registered = () =>
      [...(group?.targets.values() ?? [])].filter(({ port }) => port === 8081).map(({ id }) => id);
    expect(registered().sort()).toEqual([...running].sort());
    await parts.clock.advance(120_000);
    await balancers.observe();
    expect(registered()).toHaveLength(6);
  });

  test("is deregistered where the answer to its registration was lost", async () => {
    const parts = openBalancerParts();
    const [one = ""] = await parts.launch(1);
    const balancers = parts.open();
    await balancers.ensure(service([]));
    await parts.clock.advance(60_000);
    parts.failNext("RegisterTargets", "ECONNRESET", { isDone: true });
    expect(await outcomeOf(balancers.ensure(service([target(one)])))).toMatch(/^CLOUD_UNAVAILABLE/);
    await balancers.ensure(service([target(one, { draining: true })]));
    expect(parts.writes().at(-1)).toBe("DeregisterTargets");
    expect((await balancers.state())?.targets).toMatchObject([{ machineId: one, state: "draining" }]);
  });

  test("is deregistered where the process before registered it and AWS does not show it yet", async () => {
    let staleMs = 0;
    const parts = openBalancerParts({ faults: { ...noCallFaults, staleMs: () => staleMs } });
    const [one = ""] = await parts.launch(1);
    const before = parts.open();
    await before.ensure(service([]));
    await parts.clock.advance(60_000);
    await before.ensure(service([target(one)]));
    parts.writes();
    staleMs = 5_000;
    const after = parts.open();
    await after.ensure(service([target(one, { draining: true })]));
    expect(parts.writes()).toEqual(["DeregisterTargets"]);
    expect((await after.state())?.targets).toMatchObject([{ machineId: one, state: "draining" }]);
  });
});

describe("observing", () => {
  test("costs less than one call in 10 s at rest, whatever the number of Services", async () => {
    const parts = openBalancerParts();
    const [one = ""] = await parts.launch(1);
    const balancers = parts.open();
    for (let each = 0; each < 12; each++) {
      await balancers.ensure(service([target(one)], { id: `s${each}`, name: `default/s${each}` }));
    }
    for (let second = 0; second < 120; second++) {
      await parts.clock.advance(1_000);
      await balancers.observe();
    }
    parts.calls.length = 0;
    const seconds = 7_200;
    for (let second = 0; second < seconds; second += 2) {
      await parts.clock.advance(2_000);
      expect((await balancers.observe()).complete).toBe(true);
    }
    expect(parts.calls.length).toBeGreaterThan(50);
    expect(parts.calls.length).toBeLessThanOrEqual(seconds / 10);
  });

  test("is not complete when a look fails, and says so once", async () => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    await balancers.ensure(service([]));
    for (let time = 0; time < 2; time++) {
      await parts.clock.advance(30_000);
      parts.failNext("DescribeTargetHealth", "AccessDenied");
      expect((await balancers.observe()).complete).toBe(false);
    }
    expect(parts.warnings).toHaveLength(1);
    await parts.clock.advance(30_000);
    expect((await balancers.observe()).complete).toBe(true);
  });

  test("tells of a load balancer that was deleted by hand; the next ensure makes it again", async () => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    await balancers.ensure(service([]));
    const [LoadBalancerArn = ""] = [...parts.world.loadBalancers.keys()];
    await parts.elb(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
    parts.writes();
    await parts.clock.advance(301_000);
    expect(await balancers.state()).toMatchObject({ ready: false, drift: expect.stringMatching(/was deleted/) });
    expect(parts.writes()).toEqual([]);
    await balancers.ensure(service([]));
    expect(parts.writes()).toContain("CreateLoadBalancer");
    const state = await balancers.state();
    expect(state).toMatchObject({ ready: true });
    expect(state?.drift).toBeUndefined();
  });

  test.for([false, true])("tells of a listener that was edited by hand (repairs: %s)", async (repairDrift) => {
    const parts = openBalancerParts();
    const balancers = parts.open({ repairDrift });
    await balancers.ensure(service([]));
    const [ListenerArn = ""] = [...parts.world.listeners.keys()];
    await parts.elb(new ModifyListenerCommand({ ListenerArn, Protocol: "UDP" })).catch(() => undefined);
    const group = [...parts.world.securityGroups.values()].find(({ name }) => name.startsWith("dr-"));
    group?.ingress.splice(0);
    parts.writes();
    await parts.clock.advance(301_000);
    expect((await balancers.state())?.drift).toMatch(/no longer opens tcp 80 from 0.0.0.0\/0/);
    expect(parts.writes().length > 0).toBe(repairDrift);
    await parts.clock.advance(301_000);
    expect((await balancers.state())?.drift === undefined).toBe(repairDrift);
  });
});

describe("an Ingress", () => {
  const rulesOf = async (parts: ReturnType<typeof openBalancerParts>) => {
    const { LoadBalancers = [] } = await parts.elb(new DescribeLoadBalancersCommand({}));
    const LoadBalancerArn = LoadBalancers.find(({ Type }) => Type === "application")?.LoadBalancerArn;
    const { Listeners = [] } = await parts.elb(new DescribeListenersCommand({ LoadBalancerArn }));
    const { Rules = [] } = await parts.elb(new DescribeRulesCommand({ ListenerArn: Listeners[0]?.ListenerArn }));
    return Rules.filter(({ IsDefault }) => !IsDefault)
      .sort((a, b) => Number(a.Priority) - Number(b.Priority))
      .map(({ Conditions }) =>
        Conditions?.map((each) => (each.HostHeaderConfig ?? each.PathPatternConfig)?.Values?.join(",")).join(" "),
      );
  };
  const group = "shop";

  test("shares a load balancer with its group, in the group's order", async () => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    const a = ingress("a", [{ host: "a.example.org", path: "/x", pathType: "Exact" }, { host: "a.example.org" }], {
      group,
    });
    const order = { "alb.ingress.kubernetes.io/group.order": "-1" };
    const b = ingress("b", [{ path: "/b", pathType: "Prefix" }], { group, annotations: order });
    await balancers.ensure(a);
    await balancers.ensure(b);
    expect(parts.world.loadBalancers.size).toBe(1);
    expect(await rulesOf(parts)).toEqual(["/b,/b/*", "a.example.org /x", "a.example.org"]);
    const again = parts.open();
    parts.writes();
    await again.ensure(b);
    await again.ensure(a);
    expect(parts.writes()).toEqual([]);
    await again.remove("a");
    expect(await rulesOf(parts)).toEqual(["/b,/b/*"]);
    expect(parts.world.loadBalancers.size).toBe(1);
    await again.remove("b");
    expect([parts.world.loadBalancers.size, parts.world.targetGroups.size]).toEqual([0, 0]);
  });

  test("splits by weight without a moment without a rule", async () => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    const spec = (weight: number) => {
      const forward = [
        { groupId: "old", weight: 100 - weight },
        { groupId: "new", weight },
      ];
      const groups = ["old", "new"].map((id) => ({ id, protocol: "HTTP" as const, targets: [], drainSeconds: 30 }));
      const rules = [{ host: "a.example.org", forward }];
      return ingress("a", [], { groups, listeners: [{ port: 80, protocol: "HTTP", forward: [], rules }] });
    };
    await balancers.ensure(spec(0));
    parts.writes();
    await balancers.ensure(spec(20));
    expect(parts.writes()).toEqual(["ModifyRule", "AddTags"]);
  });
});

describe("a group of Services", () => {
  const of = (id: string, port: number) =>
    service([], {
      id,
      name: `default/${id}`,
      group: "shared",
      listeners: [{ port, protocol: "TCP", forward: [{ groupId: "g", weight: 1 }] }],
      groups: [{ id: "g", protocol: "TCP", targets: [], drainSeconds: 30 }],
    });

  test("has one load balancer, which goes with the last member", async () => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    await balancers.ensure(of("a", 80));
    await balancers.ensure(of("b", 81));
    expect([parts.world.loadBalancers.size, parts.world.listeners.size]).toEqual([1, 2]);
    expect(await outcomeOf(balancers.ensure(of("c", 81)))).toMatch(
      /^CLOUD_INVALID spec.ports: port 81 of shared is taken by/,
    );
    await balancers.remove("c");
    await balancers.remove("a");
    expect([parts.world.loadBalancers.size, parts.world.listeners.size]).toEqual([1, 1]);
    // A process that knows only one member leaves the other's port alone.
    const again = parts.open();
    await again.ensure(of("d", 82));
    const group = [...parts.world.securityGroups.values()].find(({ name }) => name.startsWith("dr-"));
    expect(group?.ingress.map(({ from }) => from).sort()).toEqual([81, 82]);
    await again.remove("d");
    await again.remove("b");
    expect([parts.world.loadBalancers.size, parts.world.targetGroups.size]).toEqual([0, 0]);
  });
});

test("a balancer of another scheme replaces the old one once it is active", async () => {
  const parts = openBalancerParts();
  const [one = ""] = await parts.launch(1);
  const balancers = parts.open();
  await balancers.ensure(service([target(one)]));
  await balancers.ensure(service([target(one)], { scheme: "internal" }));
  expect(parts.world.loadBalancers.size).toBe(2);
  await parts.clock.advance(5_000);
  await balancers.observe();
  await balancers.observe();
  expect([...parts.world.loadBalancers.values()].map(({ scheme }) => scheme)).toEqual(["internal"]);
  expect(parts.world.targetGroups.size).toBe(1);
});

const certificate = "service.beta.kubernetes.io/aws-load-balancer-ssl-cert";
const cases: [action: string, awsCode: string, expected: RegExp, annotations?: Record<string, string>][] = [
  ["CreateLoadBalancer", "TooManyLoadBalancers", /^CLOUD_QUOTA .*"Load balancers per Region"/],
  ["CreateTargetGroup", "TooManyTargetGroups", /^CLOUD_QUOTA .*"Target groups per Region"/],
  ["CreateListener", "TooManyListeners", /^CLOUD_QUOTA .*"Listeners per load balancer"/],
  ["AuthorizeSecurityGroupIngress", "RulesPerSecurityGroupLimitExceeded", /^CLOUD_QUOTA .*"Inbound or outbound rules/],
  ["RegisterTargets", "TooManyTargets", /^CLOUD_QUOTA .*"Targets per load balancer"/],
  [
    "CreateListener",
    "CertificateNotFound",
    /^CLOUD_INVALID .*aws-load-balancer-ssl-cert:/,
    { [certificate]: "arn:aws:acm:x" },
  ],
  ["CreateListener", "SSLPolicyNotFound", /^CLOUD_INVALID .*ssl-negotiation-policy:/],
  ["CreateLoadBalancer", "InvalidSubnet", /^CLOUD_INVALID .*aws-load-balancer-subnets:/],
  ["CreateLoadBalancer", "InvalidSecurityGroup", /^CLOUD_INVALID .*aws-load-balancer-security-groups:/],
  ["CreateLoadBalancer", "AccessDenied", /^CLOUD_AUTH/],
];
test.for(cases)("%s failing with %s names what to change", async ([action, awsCode, expected, annotations = {}]) => {
  const parts = openBalancerParts();
  const [one = ""] = await parts.launch(1);
  parts.failNext(action, awsCode);
  expect(await outcomeOf(parts.open().ensure(service([target(one)], { annotations })))).toMatch(expected);
});

test("a target group that is still in use is deleted a little later", async () => {
  const parts = openBalancerParts();
  const balancers = parts.open();
  await balancers.ensure(service([]));
  parts.failNext("DeleteTargetGroup", "ResourceInUse");
  const startedMs = parts.clock.monotonicMs();
  await balancers.remove("web");
  expect(parts.world.targetGroups.size).toBe(0);
  expect(parts.clock.monotonicMs() - startedMs).toBe(5_000);
});

test("a balancer that goes back while its old load balancer is about to end keeps that one", async () => {
  const parts = openBalancerParts();
  const [one = ""] = await parts.launch(1);
  const balancers = parts.open();
  const of = (group: string) => service([target(one)], { group });
  await balancers.ensure(of("one"));
  await balancers.ensure(of("two"));
  await parts.clock.advance(5_000);
  // It sees that the second one is active, and so may end the first.
  await Promise.all([balancers.ensure(of("one")), balancers.observe()]);
  expect(await balancers.state()).toMatchObject({ ready: true, targets: [{ machineId: one }] });
  await balancers.observe();
  expect([parts.world.loadBalancers.size, parts.world.targetGroups.size]).toEqual([1, 1]);
  expect(await balancers.state()).toMatchObject({ ready: true, targets: [{ machineId: one }] });
});

test.for([undefined, "shared"])(
  "what AWS holds for minutes stays in sight until it is gone (group: %s)",
  async (group) => {
    const parts = openBalancerParts();
    const balancers = parts.open();
    await balancers.ensure(service([], group === undefined ? {} : { group }));
    for (let time = 0; time < 4; time++) parts.failNext("DeleteSecurityGroup", "DependencyViolation");
    await balancers.remove("web");
    await balancers.remove("web");
    expect(await balancers.state()).toMatchObject({ id: "web", name: "default/web", ready: false, targets: [] });
    expect(parts.writes().filter((action) => action === "DeleteSecurityGroup")).toHaveLength(1);
    await parts.clock.advance(10_000);
    expect(await balancers.state()).toMatchObject({ ready: false });
    const again = parts.open();
    expect(await again.state()).toMatchObject({ id: "web", ready: false });
    await again.remove("web");
    for (let time = 0; time < 2; time++) {
      await parts.clock.advance(10_000);
      await again.observe();
    }
    expect((await parts.open().observe()).balancers).toEqual([]);
  },
);

test("a group that comes back before its remains are gone takes them over", async () => {
  const parts = openBalancerParts();
  const balancers = parts.open();
  await balancers.ensure(service([], { group: "shared" }));
  parts.failNext("DeleteSecurityGroup", "DependencyViolation");
  await balancers.remove("web");
  await balancers.ensure(service([], { id: "next", group: "shared" }));
  await parts.clock.advance(10_000);
  await balancers.observe();
  expect((await balancers.observe()).balancers).toMatchObject([{ id: "next", ready: true }]);
  await balancers.remove("next");
  expect((await parts.open().observe()).balancers).toEqual([]);
});

test("annotations that nothing is done about are shown", async () => {
  const parts = openBalancerParts();
  const balancers = parts.open();
  const annotations = { "service.beta.kubernetes.io/aws-load-balancer-target-node-labels": "x=y" };
  await balancers.ensure(service([], { annotations }));
  const said = "Nothing is done about service.beta.kubernetes.io/aws-load-balancer-target-node-labels.";
  expect((await balancers.state())?.warnings).toEqual([said]);
  await balancers.ensure(service([]));
  expect((await balancers.state())?.warnings).toBeUndefined();
});
