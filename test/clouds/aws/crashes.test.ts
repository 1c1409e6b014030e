import { expect, test } from "vitest";
import { seededRandom } from "../../../src/base/random.ts";
import { drawnCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { openFake } from "../sim/aws/setup.ts";
import { launchOf, openParts } from "./parts.ts";

const template = { ports: [{ port: 80, protocol: "TCP" }] } as const;
const launch = launchOf("l-1", 7, { template });

/** A fake where the process that is opened first dies at its `at`th call, before or after AWS carries it out. */
async function crashed(at: number, moment: "before" | "after", seed: number) {
  const fake = openFake({ seed, latencies: ec2Latencies });
  let calls = 0;
  const die = (isNow: boolean) => {
    if (isNow || calls > at) throw Object.assign(new Error("the process is gone"), { code: "ECONNRESET" });
  };
  fake.world.hooks.beforeCall = () => {
    calls++;
    die(moment === "before" && calls === at);
  };
  fake.world.hooks.afterCall = () => die(moment === "after" && calls === at);
  const { machines } = openParts(fake, { groups: { operatorCidrs: ["203.0.113.7/32"] } });
  const survived = await fake.through(
    machines.launch(launch).then(
      () => true,
      () => false,
    ),
  );
  fake.world.hooks.beforeCall = () => {};
  fake.world.hooks.afterCall = () => {};
  return { fake, survived };
}

test.for(["before", "after"] as const)(
  "a process that dies %s any call of a launch leaves nothing double",
  async (moment) => {
    let at = 1;
    for (; at < 100; at++) {
      const { fake, survived } = await crashed(at, moment, at);
      if (survived) break;
      await fake.clock.advance((at % 3) * 4_000);
      const { machines, groups } = openParts(fake, { groups: { operatorCidrs: ["203.0.113.7/32"] } });
      const launched = await fake.through(machines.launch(launch));
      expect(launched.map(({ slot }) => slot)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(fake.world.instances.size).toBe(7);
      expect(fake.world.launchTemplates.size).toBe(1);
      expect(fake.world.securityGroups.size).toBe(5);
      await fake.through(groups.forMachine(template.ports));
      await fake.clock.advance(60_000);
      expect(await fake.through(groups.drift())).toEqual([]);
    }
    // As many calls as a first launch takes.
    expect(at).toBeGreaterThan(10);
    expect(at).toBeLessThan(25);
  },
);

const chances = {
  "lost-request": 0.05,
  "lost-reply": 0.05,
  duplicate: 0.05,
  throttle: 0.1,
  unavailable: 0.05,
  stale: 0.2,
  partialLaunch: 0.2,
};

test.for(Array.from({ length: 40 }, (_, seed) => seed + 1))(
  "with every fault at once, launches of seed %i give each slot one machine at most, and all end",
  async (seed) => {
    let faulty = true;
    const random = seededRandom(seed);
    const faults = drawnCallFaults(seededRandom(seed * 7), chances, () => faulty);
    const fake = openFake({ seed, latencies: ec2Latencies, faults });
    const launches = Array.from({ length: 4 }, (_, index) => launchOf(`l-${index}`, 12, { template }));
    let { machines } = openParts(fake);
    for (const each of launches) {
      for (let tries = 0; tries < 30; tries++) {
        if (random.next() < 0.3) machines = openParts(fake).machines;
        const launched = await fake.through(machines.launch(each).catch(() => undefined));
        if (launched && random.next() < 0.7) break;
      }
    }
    const made = [...fake.world.instances.values()];
    const places = made.map(({ clientToken, launchIndex }) => `${clientToken} ${launchIndex}`);
    expect(new Set(places).size).toBe(places.length);
    for (const each of launches) expect(places).toContain(`${each.id} 0`);
    faulty = false;
    await fake.clock.advance(120_000);
    const { machines: seen } = await fake.through(machines.observe());
    expect(seen).toHaveLength(made.length);
    expect(seen.every(({ claim }) => claim !== undefined)).toBe(true);
    await fake.through(machines.terminate(seen.map(({ id }) => id)));
    await fake.clock.advance(1_800_000);
    const { machines: ended } = await fake.through(machines.observe());
    expect(ended.filter(({ state }) => state !== "gone")).toEqual([]);
  },
);
