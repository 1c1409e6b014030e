import { expect, onTestFinished, test } from "vitest";
import { isWrite } from "../../src/clouds/sim/aws/buckets.ts";
import type { Instance } from "../../src/clouds/sim/aws/instances.ts";
import { type AwsCluster, openAwsCluster } from "./cluster.ts";
import { change, deploy, isDone, readyPods } from "./web.ts";

/** Machines that are rolled: `MACHINES=1000 npx vitest run test/aws/scale`. */
const machines = Number(process.env["MACHINES"] ?? 100);
/** A Deployment's defaults: a quarter more, and a quarter missing. */
const floor = Math.ceil(machines * 0.75);
const underWayMax = Math.ceil(machines * 1.25) - floor;

/**
 * The least time that a rollout can take: every machine takes as long as AWS and its own inside took, from the launch
 * until it serves and from its registration until the balancer calls it healthy; `underWayMax` of them are on their way
 * at once, each next one begins when one is done, and no call and no look takes any time. The token buckets are full at
 * the start and hold more than all launches: they add nothing.
 */
function leastSeconds({ world }: AwsCluster, instances: readonly Instance[]): number {
  const originMs = world.clock.wallMs() - world.clock.monotonicMs();
  const healthyMs = new Map(
    [...world.targetGroups.values()].flatMap(({ targets }) =>
      [...targets.values()].map(({ id, healthyAfterMs }) => [id, healthyAfterMs] as const),
    ),
  );
  const slots = Array.from({ length: underWayMax }, () => 0);
  for (const instance of instances) {
    const launchedMs = instance.launchedWallMs - originMs;
    const ownMs = world.bodies.serving(instance, 8_080).sinceMs - launchedMs + (healthyMs.get(instance.id) ?? 0);
    slots.sort((a, b) => a - b);
    slots[0] = (slots[0] ?? 0) + ownMs;
  }
  return Math.max(...slots) / 1_000;
}

const sum = (calls: ReadonlyMap<string, number>, counts: (action: string) => boolean): number =>
  [...calls].reduce((total, [action, times]) => total + (counts(action) ? times : 0), 0);

test(`${machines} machines are rolled about as fast as AWS can, in few calls, and cost next to none at rest`, {
  timeout: 900_000,
}, async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const { world, clock } = cluster;
  await deploy(cluster, machines);
  const before = new Set(world.instances.keys());
  await clock.advance(900_000);

  world.calls.clear();
  await clock.advance(600_000);
  expect(sum(world.calls, () => true)).toBeLessThanOrEqual(60);
  expect(sum(world.calls, isWrite)).toBe(0);

  world.calls.clear();
  let least = machines;
  const startMs = clock.monotonicMs();
  await change(cluster, "web:2", machines);
  while (!isDone(cluster, machines)) {
    expect(clock.monotonicMs() - startMs).toBeLessThan(3_600_000);
    await clock.advance(1_000);
    least = Math.min(least, readyPods(cluster).length);
  }
  const seconds = (clock.monotonicMs() - startMs) / 1_000;
  expect(least).toBeGreaterThanOrEqual(floor);
  const launched = [...world.instances.values()].filter(({ id }) => !before.has(id));
  expect(launched).toHaveLength(machines);
  const ratio = seconds / leastSeconds(cluster, launched);
  console.log(JSON.stringify({ machines, seconds, ratio, writes: sum(world.calls, isWrite), calls: [...world.calls] }));
  expect(ratio).toBeLessThanOrEqual(1.2);
  // A wave is what came within four seconds; of each kind of call it takes one, of launches one a zone.
  const waves = seconds / 4 + 8;
  for (const action of ["RegisterTargets", "DeregisterTargets", "TerminateInstances"])
    expect(world.calls.get(action)).toBeLessThanOrEqual(machines / 100 + waves * 1.4);
  expect(world.calls.get("RunInstances")).toBeLessThanOrEqual(machines / 100 + waves * world.account.zones.length);
});
