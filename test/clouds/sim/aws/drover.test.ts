import { expect, test } from "vitest";
import { failHost, stop } from "../../../../src/clouds/sim/aws/accidents.ts";
import { receivingAt } from "../../../../src/clouds/sim/aws/target-health.ts";
import { apply, duplicates, isDone, living, losing, remove } from "./deeds.ts";
import { openDrover } from "./drover.ts";

test("a Deployment behind a load balancer comes up on the fake, rolls without a lost connection, and goes", async () => {
  const drover = await openDrover();
  await apply(drover, 4, "web:1");
  await drover.until("four serve", () => isDone(drover, 4));
  expect(living(drover).length).toBe(4);
  expect(receivingAt(drover.world, drover.clock.monotonicMs()).length).toBe(4);
  await apply(drover, 4, "web:2");
  await drover.clock.advance(1_000);
  const lost = new Set<string>();
  await drover.until("four new ones serve", () => {
    for (const id of losing(drover)) lost.add(id);
    return isDone(drover, 4);
  });
  expect([...lost]).toEqual([]);
  await drover.until("the old ones are gone", () => living(drover).length === 4);
  await remove(drover);
  await drover.until("nothing is left", () => living(drover).length === 0 && drover.world.loadBalancers.size === 0);
  await drover.until("no target group is left", () => drover.world.targetGroups.size === 0);
  const many = ["RunInstances", "TerminateInstances", "RegisterTargets", "DeregisterTargets"];
  for (const action of many) expect(drover.world.calls.get(action), action).toBeLessThanOrEqual(8);
  expect(drover.warnings).toEqual([]);
  await drover.close();
}, 120_000);

test("a machine whose host dies is replaced; one that somebody stops may come back, so its Pod only is not ready", async () => {
  const drover = await openDrover({ seed: 4 });
  await apply(drover, 2, "web:1");
  await drover.until("two serve", () => isDone(drover, 2));
  const [first, second] = living(drover);
  if (first) failHost(drover.world, first);
  await drover.clock.advance(60_000);
  await drover.until("another one serves", () => isDone(drover, 2) && living(drover).length === 2);
  if (second) stop(drover.world, second);
  await drover.clock.advance(600_000);
  expect(isDone(drover, 2)).toBe(false);
  expect(living(drover).length).toBe(1);
  expect(drover.world.instances.size).toBe(3);
  await drover.close();
}, 120_000);

test("a machine that nobody binds ends itself after a quarter of an hour", async () => {
  const drover = await openDrover({ seed: 5 });
  await apply(drover, 1, "web:1");
  await drover.until("one is launched", () => living(drover).length === 1);
  drover.crash();
  await drover.clock.advance(14 * 60_000);
  expect(living(drover).length).toBe(1);
  await drover.clock.advance(3 * 60_000);
  expect(living(drover).length).toBe(0);
  const [instance] = drover.world.instances.values();
  expect(instance?.stateReason?.code).toBe("Client.InstanceInitiatedShutdown");
  await drover.close();
}, 120_000);

/** Every fifteenth call of coming up and of a rollout, before it and after it, with and without the store. */
const deaths = [2, 17, 32, 47, 62, 77, 92, 107].flatMap((call) => [
  { call, moment: "before", withStore: call % 2 === 0 } as const,
  { call, moment: "after", withStore: call % 2 === 1 } as const,
]);

test.for(deaths)(
  "drover dies $moment its call $call to AWS; another one goes on (its store kept: $withStore)",
  { timeout: 120_000 },
  async ({ call, moment, withStore }) => {
    const drover = await openDrover({ seed: call, death: { call, moment } });
    const applied = (image: string) => apply(drover, 2, image).catch(() => {}); // It died over it.
    void applied("web:1");
    await drover.until("two serve, or nobody is there", () => drover.isDead() || isDone(drover, 2));
    if (!drover.isDead()) void applied("web:2");
    await drover.until("drover dies", () => drover.isDead());
    const serving = receivingAt(drover.world, drover.clock.monotonicMs()).length;
    await drover.clock.advance(30_000);
    await drover.restart({ withStore });
    if (!withStore) {
      // Once it has looked at AWS it is told everything anew, in the old order: machines of a manifest that nobody
      // applies again are left alone.
      await drover.clock.advance(60_000);
      await apply(drover, 2, "web:1");
      await drover.until("two serve again", () => isDone(drover, 2));
    }
    await apply(drover, 2, "web:2");
    await drover.until("two of the new ones serve", () => {
      expect(duplicates(drover)).toEqual([]);
      if (serving > 0) expect(receivingAt(drover.world, drover.clock.monotonicMs()).length).toBeGreaterThan(0);
      return isDone(drover, 2);
    });
    await drover.until("nothing is left over", () => living(drover).length === 2, 3_600);
    await remove(drover);
    const { world } = drover;
    await drover.until("all of it is gone", () => living(drover).length + world.loadBalancers.size === 0, 3_600);
    await drover.until("no target group is left", () => world.targetGroups.size === 0, 3_600);
    await drover.close();
  },
);
