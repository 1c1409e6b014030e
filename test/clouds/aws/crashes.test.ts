import { expect, test } from "vitest";
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
      expect(fake.world.securityGroups.size).toBe(4);
      await fake.through(groups.forMachine(template.ports));
      await fake.clock.advance(60_000);
      expect(await fake.through(groups.drift())).toEqual([]);
    }
    // As many calls as a first launch takes.
    expect(at).toBeGreaterThan(10);
    expect(at).toBeLessThan(25);
  },
);
