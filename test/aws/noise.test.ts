import { expect, test } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { drawnCallFaults } from "../../src/clouds/sim/aws/faults.ts";
import { openAwsCluster } from "./cluster.ts";
import { duplicates } from "./crash.ts";
import { apply, isDone, living, remove } from "./web.ts";

/** Faults for so long, then none. */
const faultyMs = 15 * 60_000;
const chances = {
  "lost-request": 0.05,
  "lost-reply": 0.05,
  duplicate: 0.05,
  throttle: 0.1,
  unavailable: 0.05,
  stale: 0.3,
  partialLaunch: 0.5,
  failsToStart: 0.1,
};

test.for([1, 2, 3, 4, 5, 6])(
  "lost, doubled, throttled and stale calls: a rollout ends rightly all the same (seed %d)",
  async (seed) => {
    let elapsedMs = () => 0;
    const faults = drawnCallFaults(seededRandom(seed + 100), chances, () => elapsedMs() < faultyMs);
    const cluster = await openAwsCluster({ seed, faults });
    elapsedMs = cluster.clock.monotonicMs;
    await apply(cluster, 3);
    await cluster.until("three serve", () => isDone(cluster, 3), 3_600);
    await apply(cluster, 3, "web:2");
    await cluster.until("three new ones serve", () => isDone(cluster, 3), 3_600);
    expect(duplicates(cluster)).toEqual([]);
    await cluster.until("nothing is left over", () => living(cluster).length === 3, 3_600);
    await remove(cluster);
    const { loadBalancers } = cluster.world;
    await cluster.until("all of it is gone", () => living(cluster).length + loadBalancers.size === 0, 3_600);
    await cluster.close();
  },
);
