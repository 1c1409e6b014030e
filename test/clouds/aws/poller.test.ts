import { expect, test } from "vitest";
import { noCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { openFake } from "../sim/aws/setup.ts";
import { type Fake, launchOf, openParts } from "./parts.ts";

const described = ({ world }: Fake): number => world.calls.get("DescribeInstances") ?? 0;

test("a machine is listed with its claim, its addresses and its state from the first second on", async () => {
  const fake = openFake({ latencies: ec2Latencies, seed: 3 });
  const { machines } = openParts(fake);
  const launch = launchOf("l-1", 2);
  const launched = await fake.through(machines.launch(launch));
  const { machines: first, complete } = await fake.through(machines.observe());
  expect(complete).toBe(true);
  expect(first.map(({ id }) => id).sort()).toEqual(launched.map(({ id }) => id).sort());
  await fake.clock.advance(120_000);
  const { machines: later } = await fake.through(machines.observe());
  expect(later).toEqual(
    launch.slots.map((podUid, slot) => ({
      id: expect.stringMatching(/^i-[0-9a-f]{17}$/),
      launchId: "l-1",
      slot,
      state: "running",
      type: "t3.micro",
      zone: "us-east-1a",
      capacityType: "on-demand",
      address: expect.stringMatching(/^172\.31\./),
      publicAddress: expect.stringMatching(/^203\.0\./),
      claim: { owner: launch.owner, templateHash: launch.template.hash, podName: launch.names[slot], podUid },
    })),
  );
});

test("a machine that no list shows is awaited for a minute, then absent", async () => {
  const fake = openFake();
  const { machines } = openParts(fake, {});
  fake.world.bodies.launched = (instance) => {
    instance.visibleAtMs = Number.POSITIVE_INFINITY;
    instance.runningAtMs = Number.POSITIVE_INFINITY;
  };
  const [launched] = await fake.through(machines.launch(launchOf("l-1", 1)));
  await fake.clock.advance(55_000);
  expect(await fake.through(machines.observe())).toEqual({ machines: [launched], complete: true });
  await fake.clock.advance(10_000);
  expect(await fake.through(machines.observe())).toEqual({ machines: [], complete: true });
});

test("machines of other clusters, and what drover didn't launch, are not listed", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 2)));
  const [first, second] = fake.world.instances.values();
  first?.tags.set("drover.dev/cluster", "other");
  second?.tags.delete("drover.dev/launch");
  await fake.clock.advance(120_000);
  expect((await fake.through(openParts(fake).machines.observe())).machines).toEqual([]);
});

test("an end says its reason", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  const [machine] = await fake.through(machines.launch(launchOf("l-1", 1)));
  await fake.through(machines.terminate([machine?.id ?? ""]));
  await fake.clock.advance(60_000);
  expect((await fake.through(machines.observe())).machines).toEqual([
    expect.objectContaining({ id: machine?.id, state: "gone", cause: expect.stringMatching(/^Client\.User/) }),
  ]);
});

test("a thousand machines at rest are listed every ten seconds at most, however often somebody asks", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  for (let batch = 0; batch < 10; batch++) await fake.through(machines.launch(launchOf(`l-${batch}`, 100)));
  await fake.clock.advance(120_000);
  await fake.through(machines.observe());
  const before = described(fake);
  for (let time = 0; time < 240; time++) {
    await fake.clock.advance(500);
    const { machines: seen, complete } = await fake.through(machines.observe());
    expect([seen.length, complete]).toEqual([1_000, true]);
  }
  expect(described(fake) - before).toBeLessThanOrEqual(12);
});

test("while something is under way lists are two seconds old at most", async () => {
  const fake = openFake({ latencies: ec2Latencies });
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 10)));
  const before = described(fake);
  for (let time = 0; time < 40; time++) {
    await fake.clock.advance(500);
    await fake.through(machines.observe());
  }
  expect(described(fake) - before).toBeGreaterThanOrEqual(8);
  expect(described(fake) - before).toBeLessThanOrEqual(11);
});

test("askers at the same time share one list", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  await fake.through(Promise.all(Array.from({ length: 20 }, () => machines.observe())));
  expect(described(fake)).toBe(1);
});

test("a list that fails is no list, and says so once", async () => {
  let failing = false;
  const faults = { ...noCallFaults, ofAttempt: () => (failing ? ("unavailable" as const) : undefined) };
  const fake = openFake({ faults });
  const { machines, warnings } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 3)));
  await fake.clock.advance(120_000);
  failing = true;
  for (let time = 0; time < 60; time++) {
    await fake.clock.advance(60_000);
    expect((await fake.through(machines.observe())).complete).toBe(false);
  }
  expect(warnings).toEqual([expect.stringMatching(/^Machines can't be listed: ec2:DescribeInstances failed/)]);
  failing = false;
  await fake.clock.advance(10_000);
  expect(await fake.through(machines.observe())).toMatchObject({ complete: true, machines: [{}, {}, {}] });
});

test("a list that breaks off in the middle tells what it has and that it isn't whole", async () => {
  let page = 0;
  const faults = {
    ...noCallFaults,
    ofAttempt: ({ action, input }: { action: string; input: object }) =>
      action === "DescribeInstances" && "NextToken" in input && input.NextToken && page++ < 8
        ? ("unavailable" as const)
        : undefined,
  };
  const fake = openFake({ faults });
  const { machines } = openParts(fake);
  for (let batch = 0; batch < 11; batch++) await fake.through(machines.launch(launchOf(`l-${batch}`, 100)));
  await fake.clock.advance(120_000);
  const broken = await fake.through(machines.observe());
  expect([broken.complete, broken.machines.length]).toEqual([false, 1_000]);
  await fake.clock.advance(10_000);
  const whole = await fake.through(machines.observe());
  expect([whole.complete, whole.machines.length]).toEqual([true, 1_100]);
});

test("the console is text, and empty before there is one", async () => {
  const fake = openFake({ latencies: ec2Latencies });
  const { machines } = openParts(fake);
  const [machine] = await fake.through(machines.launch(launchOf("l-1", 1)));
  expect(await fake.through(machines.console(machine?.id ?? ""))).toBe("");
  await fake.clock.advance(300_000);
  expect(await fake.through(machines.console(machine?.id ?? ""))).toContain("END SSH HOST KEY KEYS");
  expect(await fake.through(machines.console("i-0123456789abcdef0"))).toBe("");
});
