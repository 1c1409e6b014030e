import { expect, onTestFinished, test } from "vitest";
import { openAwsCluster } from "./cluster.ts";
import { floorOf, rollOut } from "./rollout.ts";

/** Machines that are rolled: `MACHINES=1000 npx vitest run test/aws/scale`; `npm run bench -- aws-rollout` rolls 1,000. */
const machines = Number(process.env["MACHINES"] ?? 100);

test(`${machines} machines are rolled about as fast as AWS can, in few calls, and cost next to none at rest`, async () => {
  const cluster = await openAwsCluster({ machinesMax: 2 * machines });
  onTestFinished(cluster.close);
  const { seconds, leastSeconds, launched, leastReady, calls, writes, largest, rest } = await rollOut(
    cluster,
    machines,
  );
  console.log(JSON.stringify({ machines, seconds, leastSeconds, writes, calls: [...calls], largest: [...largest] }));
  expect(launched).toBe(machines);
  expect(leastReady).toBeGreaterThanOrEqual(floorOf(machines));
  expect(seconds / leastSeconds).toBeLessThanOrEqual(1.2);
  expect(rest.calls).toBeLessThanOrEqual(rest.seconds / 10);
  expect(rest.writes).toBe(0);
  // A wave is what came within four seconds; of each kind of call it takes one, of launches one a zone.
  const waves = seconds / 4 + 8;
  for (const action of ["RegisterTargets", "DeregisterTargets", "TerminateInstances"])
    expect(calls.get(action)).toBeLessThanOrEqual(machines / 100 + waves * 1.4);
  expect(calls.get("RunInstances")).toBeLessThanOrEqual(machines / 100 + waves * cluster.world.account.zones.length);
  for (const action of ["RunInstances", "RegisterTargets", "DeregisterTargets"])
    expect(largest.get(action)).toBeLessThanOrEqual(100);
});
