import { expect, test } from "vitest";
import { seededRandom } from "../../../../src/base/random.ts";
import { drawnCallFaults } from "../../../../src/clouds/sim/aws/faults.ts";
import { apply, duplicates, isDone, living, remove } from "./deeds.ts";
import { openDrover } from "./drover.ts";

/** Faults for so long, then none. */
const faultyMs = 15 * 60_000;

test.for([1, 2, 3, 4, 5, 6])(
  "lost, doubled, throttled and stale calls: a rollout ends rightly all the same (seed %d)",
  { timeout: 120_000 },
  async (seed) => {
    const chances = {
      "lost-request": 0.05,
      "lost-reply": 0.05,
      duplicate: 0.05,
      throttle: 0.1,
      unavailable: 0.05,
      stale: 0.3,
      partialLaunch: 0.3,
      failsToStart: 0.1,
    };
    let isFaulty = true;
    const drover = await openDrover({ seed, faults: drawnCallFaults(seededRandom(seed), chances, () => isFaulty) });
    await apply(drover, 3, "web:1");
    await drover.clock.advance(faultyMs / 2);
    await apply(drover, 3, "web:2");
    await drover.clock.advance(faultyMs / 2);
    isFaulty = false;
    await drover.until("three of the new ones serve", () => isDone(drover, 3));
    expect(duplicates(drover)).toEqual([]);
    await drover.until("nothing is left over", () => living(drover).length === 3, 3_600);
    await remove(drover);
    const { world } = drover;
    await drover.until("all of it is gone", () => living(drover).length + world.loadBalancers.size === 0, 3_600);
    await drover.until("no target group is left", () => world.targetGroups.size === 0, 3_600);
    await drover.close();
  },
);
