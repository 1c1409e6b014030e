import { isWrite } from "../../src/clouds/sim/aws/buckets.ts";
import type { Instance } from "../../src/clouds/sim/aws/instances.ts";
import type { AwsCluster } from "./cluster.ts";
import { change, deploy, isDone, readyPods } from "./web.ts";

/** A Deployment's defaults: a quarter more, and a quarter missing. */
export const floorOf = (machines: number): number => Math.ceil(machines * 0.75);
const underWayMax = (machines: number): number => Math.ceil(machines * 1.25) - floorOf(machines);

type RolloutFigures = {
  seconds: number;
  /** The least time that this rollout could have taken, see `leastSeconds`. */
  leastSeconds: number;
  /** Machines that were launched. */
  launched: number;
  /** Pods that were ready when fewest were. */
  leastReady: number;
  /** Calls of the rollout, by action. */
  calls: ReadonlyMap<string, number>;
  writes: number;
  /** The most machines that one call of an action was about. */
  largest: ReadonlyMap<string, number>;
  /** Of the rest before it. */
  rest: { seconds: number; calls: number; writes: number };
};

const settleMs = 900_000;
const restMs = 600_000;
const rolloutMaxMs = 3_600_000;

/** Deploys machines, lets them rest and rolls them. */
export async function rollOut(cluster: AwsCluster, machines: number): Promise<RolloutFigures> {
  const { world, clock } = cluster;
  await deploy(cluster, machines);
  const before = new Set(world.instances.keys());
  await clock.advance(settleMs);
  world.calls.clear();
  await clock.advance(restMs);
  const rest = { seconds: restMs / 1_000, calls: sum(world.calls, () => true), writes: sum(world.calls, isWrite) };

  world.calls.clear();
  const writesBefore = world.writes.length;
  let leastReady = machines;
  const startMs = clock.monotonicMs();
  await change(cluster, "web:2", machines);
  while (!isDone(cluster, machines)) {
    if (clock.monotonicMs() - startMs > rolloutMaxMs) throw new Error("the rollout does not end");
    await clock.advance(1_000);
    leastReady = Math.min(leastReady, readyPods(cluster).length);
  }
  const launched = [...world.instances.values()].filter(({ id }) => !before.has(id));
  return {
    seconds: (clock.monotonicMs() - startMs) / 1_000,
    leastSeconds: leastSeconds(cluster, launched, underWayMax(machines)),
    launched: launched.length,
    leastReady,
    calls: new Map(world.calls),
    writes: sum(world.calls, isWrite),
    largest: largest(world.writes.slice(writesBefore)),
    rest,
  };
}

/**
 * The least time that a rollout can take: every machine takes as long as AWS and its own inside took, from the launch
 * until it serves and from its registration until the balancer calls it healthy; `underWay` of them are on their way
 * at once, each next one begins when one is done, and no call and no look takes any time. The token buckets are full at
 * the start and hold more than all launches: they add nothing.
 */
function leastSeconds({ world }: AwsCluster, instances: readonly Instance[], underWay: number): number {
  const originMs = world.clock.wallMs() - world.clock.monotonicMs();
  const healthyMs = new Map(
    [...world.targetGroups.values()].flatMap(({ targets }) =>
      [...targets.values()].map(({ id, healthyAfterMs }) => [id, healthyAfterMs] as const),
    ),
  );
  const slots = Array.from({ length: underWay }, () => 0);
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

type Input = { MaxCount?: number; Targets?: unknown[]; InstanceIds?: unknown[] };

function largest(writes: readonly { action: string; input: object }[]): Map<string, number> {
  const most = new Map<string, number>();
  for (const { action, input } of writes) {
    const { MaxCount, Targets, InstanceIds }: Input = input;
    const size = MaxCount ?? Targets?.length ?? InstanceIds?.length ?? 1;
    most.set(action, Math.max(size, most.get(action) ?? 0));
  }
  return most;
}
