import { expect, test } from "vitest";
import { seededRandom } from "../../../src/base/random.ts";
import type { BalancerState } from "../../../src/clouds/balancer.ts";
import { drawnCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { receivingAt } from "../../../src/clouds/sim/aws/target-health.ts";
import { openBalancerParts, service, target } from "./balancer-parts.ts";

const seeds = process.env["SEED"] ? [Number(process.env["SEED"])] : Array.from({ length: 25 }, (_, index) => index + 1);
const steps = 60;

/**
 * Targets come, drain and come back while replies are lost, reads are old and drover dies. What a complete look calls
 * drained, or doesn't list, after the order to drain was carried out, gets no connection: its machine may end.
 */
test.for(seeds)("a target that is called drained gets nothing any more (SEED=%i)", async (seed) => {
  const random = seededRandom(seed);
  let isFaulty = false;
  const chances = { "lost-reply": 0.1, "lost-request": 0.05, duplicate: 0.05, throttle: 0.05, stale: 0.2 };
  const faults = drawnCallFaults(seededRandom(seed + 1_000), chances, () => isFaulty);
  const parts = openBalancerParts({ seed, latencies: ec2Latencies, faults });
  const machines = await parts.launch(4);
  await parts.clock.advance(120_000);
  isFaulty = true;
  let balancers = parts.open();
  const active = new Set(machines);
  let isTold = false;
  const chance = (share: number) => random.next() < share;
  const ensure = async () => {
    isTold = false;
    const targets = machines.map((id) => target(id, { draining: !active.has(id) }));
    await balancers.ensure(
      service(targets, { groups: [{ id: "80-TCP", protocol: "TCP", targets, drainSeconds: 10 }] }),
    );
    isTold = true;
  };
  const check = (states: readonly BalancerState[]) => {
    const shown = new Map(states[0]?.targets.map(({ machineId, state }) => [machineId, state]));
    const nowMs = parts.clock.monotonicMs();
    const receiving = receivingAt(parts.world, nowMs).map(({ instanceId }) => instanceId);
    const targets = [...parts.world.targetGroups.values()].flatMap((group) => [...group.targets.values()]);
    const registered = targets.filter(({ deregisteredAtMs }) => nowMs < deregisteredAtMs).map(({ id }) => id);
    for (const id of machines) {
      if (!active.has(id) && (shown.get(id) ?? "drained") === "drained")
        expect([...receiving, ...registered]).not.toContain(id);
    }
  };
  for (let step = 0; step < steps; step++) {
    if (chance(0.1)) {
      balancers = parts.open();
      isTold = false;
    }
    if (chance(0.3)) {
      const id = machines[Math.floor(random.next() * machines.length)] ?? "";
      if (!active.delete(id)) active.add(id);
      isTold = false;
    }
    if (!isTold) await ensure().catch(() => undefined);
    const wasTold = isTold;
    const looked = await balancers.observe().catch(() => undefined);
    if (wasTold && looked?.complete) check(looked.balancers);
    await parts.clock.advance(random.next() * 20_000);
  }
  isFaulty = false;
  await ensure();
  const isThere = async () => {
    const { balancers: states } = await balancers.observe();
    check(states);
    const shown = new Map(states[0]?.targets.map(({ machineId, state }) => [machineId, state]));
    return machines.every((id) =>
      active.has(id) ? shown.get(id) === "healthy" : (shown.get(id) ?? "drained") === "drained",
    );
  };
  for (let look = 0; look < 400 && !(await isThere()); look++) await parts.clock.advance(3_000);
  expect(await isThere()).toBe(true);
  expect(parts.world.loadBalancers.size).toBe(1);
  expect(parts.world.targetGroups.size).toBe(1);
});
