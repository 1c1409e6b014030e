import { expect, onTestFinished, test, vi } from "vitest";
import { failHost } from "../../src/clouds/sim/aws/accidents.ts";
import { typeNamed } from "../../src/clouds/sim/aws/type-table.ts";
import { ended, serving as openServing, outage, unscheduled, warned } from "./trouble.ts";
import { change, readyPods } from "./web.ts";

/** Hours of virtual time take a busy computer more than the default. */
vi.setConfig({ testTimeout: 120_000 });

const replicas = 4;
/** A Deployment's default: a quarter may be missing during a rollout. */
const floor = 3;

async function serving(...[count = replicas, ...given]: Partial<Parameters<typeof openServing>>) {
  const shown = await openServing(count, ...given);
  onTestFinished(shown.cluster.close);
  return shown;
}

test("Rate exceeded for ten minutes: said on Pods and Service, nothing ended, done soon after", async () => {
  const { cluster, before, pass, least, finish, callsOf, launched } = await serving();
  for (const service of ["ec2", "elb"] as const) outage(cluster, service, "*", "throttle", 600);
  await change(cluster, "web:2", replicas);
  await pass(600);
  expect(warned(cluster)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(
        /^Pod LaunchDelayed: The machine could not be asked for yet: ec2:\w+ failed with RequestLimitExceeded: Request limit exceeded; drover slows down by itself\.$/,
      ),
      expect.stringMatching(
        /^Service SyncLoadBalancerFailed: Error syncing load balancer: elasticloadbalancing:DeregisterTargets failed with Throttling: Rate exceeded; drover slows down by itself\.$/,
      ),
    ]),
  );
  expect(cluster.warnings.filter((each) => each.startsWith("Balancers can't be observed"))).toHaveLength(1);
  expect(cluster.warnings.filter((each) => each.startsWith("Machines can't be listed"))).toHaveLength(1);
  expect(ended(before, cluster)).toEqual([]);
  expect(readyPods(cluster)).toHaveLength(replicas);
  expect([...cluster.world.calls.values()].reduce((sum, calls) => sum + calls)).toBeLessThan(900);
  await finish(900);
  expect(least()).toBeGreaterThanOrEqual(floor);
  expect(launched()).toHaveLength(replicas);
  expect(callsOf("RunInstances")).toBeLessThan(10);
});

test("a zone without capacity: the other zones give the machines", async () => {
  const { cluster, before, pass, least, finish, callsOf, launched } = await serving();
  const zone = "us-east-1a";
  cluster.world.pools.set("*", zone, "*", 0);
  await change(cluster, "web:2", replicas);
  await finish(900);
  expect(least()).toBeGreaterThanOrEqual(floor);
  expect(launched()).toHaveLength(replicas);
  expect(launched().filter((each) => each.zone === zone)).toEqual([]);
  expect(cluster.events("MachineChosen")).toContainEqual(
    expect.stringMatching(/^\S+ in us-east-1[b-f], on demand, .*; \S+ in us-east-1a had no capacity lately$/),
  );
  expect(warned(cluster)).toEqual([]);
  expect(callsOf("RunInstances")).toBeLessThan(12);
  const others = before.filter((each) => each.zone !== zone);
  await pass(300);
  expect(ended(before, cluster).length).toBeGreaterThanOrEqual(others.length);
});

test("no zone has capacity: the Pod says so, pools rest, nothing that serves is ended", async () => {
  const { cluster, before, pass, finish, callsOf, launched, least } = await serving();
  cluster.world.pools.set("*", "*", "*", 0);
  await change(cluster, "web:2", replicas);
  await pass(900);
  expect(unscheduled(cluster).join()).toMatch(
    /\d+ had no capacity lately, .* The last launch failed: ec2:RunInstances failed with InsufficientInstanceCapacity: .*\S+\.\S+ .*us-east-1[a-f]/,
  );
  expect(least()).toBeGreaterThanOrEqual(floor);
  expect(ended(before, cluster).length).toBeLessThanOrEqual(1);
  expect(callsOf("RunInstances")).toBeLessThan(400);
  cluster.world.pools.clear();
  await finish(900);
  expect(launched()).toHaveLength(replicas);
});

test("DescribeInstances failing for an hour: nothing is believed to be gone, calls stay few", async () => {
  const { cluster, before, pass, finish, callsOf, launched, least } = await serving();
  outage(cluster, "ec2", "DescribeInstances", "unavailable", 3_600);
  await change(cluster, "web:2", replicas);
  await pass(3_600);
  expect(cluster.warnings).toContainEqual(
    "Machines can't be listed: ec2:DescribeInstances failed with ServiceUnavailable: The service is unavailable. Try again later; drover repeats the call.",
  );
  expect(cluster.warnings.filter((each) => each.startsWith("Machines can't be listed"))).toHaveLength(1);
  expect(warned(cluster).join("\n")).toMatch(/^Pod LaunchDelayed: .*ec2:DescribeInstances failed/m);
  expect(ended(before, cluster).length).toBeLessThanOrEqual(replicas - floor);
  expect(callsOf("DescribeInstances")).toBeLessThan(600);
  expect(callsOf("TerminateInstances")).toBeLessThan(20);
  await finish(900);
  expect(least()).toBeGreaterThanOrEqual(floor);
  expect(launched()).toHaveLength(replicas);
});

test("an NLB that needs 200 s per target: each Pod says that it waits for it, the floor is kept", async () => {
  const { cluster, pass, finish, least, launched } = await serving();
  cluster.world.latencies = { ...cluster.world.latencies, networkTargetHealthy: { p50Ms: 200_000, p99Ms: 200_001 } };
  await change(cluster, "web:2", replicas);
  await pass(120);
  const waiting = cluster
    .pods()
    .filter(({ status }) => status?.conditions?.some(({ reason }) => reason === "TargetInitial"));
  expect(waiting).toHaveLength(2);
  for (const { status } of waiting) {
    const message = status?.conditions?.find(({ reason }) => reason === "TargetInitial")?.message;
    expect(message).toBe("The balancer's target is initial (Target registration is in progress).");
    expect(status?.conditions?.find(({ type }) => type === "drover.dev/Stage")?.reason).toBe("Registering");
  }
  await finish(900);
  expect(least()).toBeGreaterThanOrEqual(floor);
  expect(launched()).toHaveLength(replicas);
});

test("a vCPU quota of 5: what fits runs, the rest says which quota is used up", async () => {
  const { cluster, before, pass, callsOf, launched, least } = await serving(2, {}, ({ world }) =>
    world.quotas.set("L-1216C47A", 5),
  );
  await change(cluster, "web:1", 8);
  await pass(600);
  expect(unscheduled(cluster).join()).toMatch(
    /\d+ with only [01] vCPU left of the quota Running On-Demand Standard \(A, C, D, H, I, M, R, T, Z\) instances \(L-1216C47A\)/,
  );
  expect(ended(before, cluster)).toEqual([]);
  expect(least()).toBe(2);
  const vcpus = [...before, ...launched()].reduce((sum, { type }) => sum + typeNamed(type).vcpus, 0);
  expect(vcpus).toBeGreaterThanOrEqual(4);
  expect(vcpus).toBeLessThanOrEqual(5);
  expect(callsOf("RunInstances")).toBeLessThan(40);
  cluster.world.quotas.set("L-1216C47A", 32);
  await cluster.until("all serve", () => readyPods(cluster).length === 8, 900);
});

test("expired credentials in the middle of a rollout: one message, a pause, and on within 15 s of the new login", async () => {
  const { cluster, before, pass, finish, callsOf, launched, least } = await serving();
  const { clock, world } = cluster;
  await change(cluster, "web:2", replicas);
  await pass(20);
  const spell = { fromMs: clock.monotonicMs(), untilMs: Number.POSITIVE_INFINITY };
  world.conditions.expired.push(spell);
  const endedBefore = ended(before, cluster).length;
  await pass(1_200);
  const said =
    "AWS does not accept the credentials (RequestExpired: Request has expired): log in again, for example with `aws sso login`.";
  const also = said.replace(
    "RequestExpired: Request has expired",
    "ExpiredToken: The security token included in the request is expired",
  );
  const messages = cluster.warnings.filter((each) => each.includes("credentials"));
  expect(messages).toHaveLength(1);
  expect([said, also]).toContain(
    messages[0]?.replace(" Nothing is launched or ended until then; what serves goes on.", ""),
  );
  expect(cluster.logged.filter((each) => each.includes("credentials"))).toEqual([]);
  const told = warned(cluster).map((each) => each.replace(/^.*?: (Error syncing load balancer: )?/, ""));
  expect(new Set(told).size).toBeLessThanOrEqual(1);
  expect(ended(before, cluster)).toHaveLength(endedBefore);
  expect(launched().length).toBeLessThanOrEqual(2);
  spell.untilMs = clock.monotonicMs();
  world.calls.clear();
  await pass(15);
  expect(callsOf("RegisterTargets") + callsOf("RunInstances") + callsOf("DeregisterTargets")).toBeGreaterThan(0);
  await finish(900);
  expect(least()).toBeGreaterThanOrEqual(floor);
  // One that was launched and could not be seen nor bound has ended itself after a quarter of an hour.
  const unbound = launched().filter(({ stateReason }) => stateReason?.code === "Client.InstanceInitiatedShutdown");
  expect(launched()).toHaveLength(replicas + unbound.length);
  expect(cluster.events("LoadBalancerDrift")).toEqual([]);
});

test("a laptop asleep for 8 hours in the middle of a rollout: machines serve on, and it ends as if nothing were", async () => {
  const { cluster, before, pass, finish, launched } = await serving();
  const { clock, world, laptop } = cluster;
  await change(cluster, "web:2", replicas);
  await pass(45);
  laptop.close();
  const calls = [...world.calls.values()].reduce((sum, each) => sum + each);
  const alive = [...world.instances.values()].filter(({ shuttingDownAtMs }) => shuttingDownAtMs > clock.monotonicMs());
  await clock.advance(3 * 3_600_000);
  const lost = before.find((each) => !ended([each], cluster).includes(each));
  if (lost) failHost(world, lost);
  await clock.advance(5 * 3_600_000);
  expect([...world.calls.values()].reduce((sum, each) => sum + each)).toBe(calls);
  // Nobody else's end: machines that were bound serve, and those that never were have switched themselves off.
  const unbound = alive.filter(({ stateReason }) => stateReason?.code === "Client.InstanceInitiatedShutdown");
  expect(ended(alive, cluster).filter((each) => each !== lost && !unbound.includes(each))).toEqual([]);
  world.conditions.expired.push({ fromMs: 0, untilMs: clock.monotonicMs() + 60_000 });
  laptop.open();
  await pass(30);
  expect(cluster.warnings.filter((each) => each.includes("log in again"))).toHaveLength(1);
  expect(warned(cluster)).toContainEqual(expect.stringMatching(/NotLoggedIn: AWS does not accept .*`aws sso login`/));
  expect(ended(alive, cluster).filter((each) => each !== lost && !unbound.includes(each))).toEqual([]);
  await finish(900);
  expect(launched().length).toBeLessThanOrEqual(replicas + unbound.length + 1);
});

test("a limit on dollars an hour stops the launches, by name and with its numbers", async () => {
  const { cluster, pass, launched } = await serving(2, { usdPerHourMax: 0.3 });
  await change(cluster, "web:1", 50);
  await pass(300);
  expect(unscheduled(cluster).join()).toMatch(
    /^the limit of \$0\.30\/h of this cluster is reached: its machines cost \$0\.2\d+\/h, and \w+\.\w+ in us-east-1\w costs \$0\.0\d+\/h more \(--max-usd-per-hour\)$/,
  );
  expect(launched().length).toBeLessThan(20);
});
