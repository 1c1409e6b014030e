import { expect, test } from "vitest";
import { isSettled, leastFar, type SeenTarget, stateOf, type Told } from "../../../src/clouds/aws/target-states.ts";
import type { TargetState } from "../../../src/clouds/balancer.ts";

const saw = (text: string): SeenTarget | undefined => {
  const [state = "", reason] = text.split(" ");
  return state === "nothing" ? undefined : { machineId: "i-1", port: 80, state, ...(reason && { reason }) };
};
const toldAt = (what: "in" | "out"): Told => ({ what, atMs: 0, isSure: true });

const states: [is: string, told: "in" | "out" | "", wanted: "active" | "draining", expected: TargetState][] = [
  ["nothing", "", "active", "initial"],
  ["nothing", "in", "active", "initial"],
  ["initial", "", "active", "initial"],
  ["healthy", "", "active", "healthy"],
  ["healthy", "in", "active", "healthy"],
  ["unhealthy", "", "active", "unhealthy"],
  ["unavailable", "", "active", "initial"],
  ["unused Target.NotInUse", "", "active", "initial"],
  ["unused Target.InvalidState", "", "active", "unhealthy"],
  ["draining", "in", "active", "initial"],
  ["healthy", "", "draining", "draining"],
  ["healthy", "out", "draining", "draining"],
  ["draining", "", "draining", "draining"],
  ["unhealthy.draining", "", "draining", "draining"],
  // Nothing is seen any more, but the look may be older than the order, or the order to come in still under way.
  ["nothing", "out", "draining", "draining"],
  ["nothing", "in", "draining", "draining"],
  ["nothing", "", "draining", "drained"],
  ["unused Target.InvalidState", "", "draining", "drained"],
];

test.for(states)("%s, told %s, wanted %s: %s", ([is, told, wanted, expected]) => {
  const target = { machineId: "i-1", draining: wanted === "draining" };
  const known = { seen: saw(is), told: told === "" ? undefined : toldAt(told), isWaiting: false };
  expect(stateOf(target, known).state).toBe(expected);
});

const looks: [told: Told, lookedMs: number, is: string, expected: boolean][] = [
  [toldAt("in"), 0, "healthy", false],
  [toldAt("in"), 1, "initial", true],
  [toldAt("in"), 1, "nothing", false],
  [toldAt("in"), 1, "draining", false],
  [toldAt("in"), 60_001, "nothing", true],
  [toldAt("out"), 0, "nothing", false],
  [toldAt("out"), 1, "nothing", false],
  [toldAt("out"), 10_001, "nothing", true],
  [toldAt("out"), 1, "draining", false],
  [toldAt("out"), 10_001, "draining", true],
  [toldAt("out"), 10_001, "healthy", false],
  [toldAt("out"), 60_001, "healthy", true],
];

test.for(looks)("%o is settled by a look after %i ms that shows %s: %s", ([told, lookedMs, is, expected]) => {
  expect(isSettled(told, saw(is), lookedMs)).toBe(expected);
});

test("a machine is as far as the least far of its groups", () => {
  const of = (...all: TargetState[]) =>
    leastFar(all.map((state) => ({ machineId: "i-1", state }))).map(({ state }) => state);
  expect(of("healthy", "initial", "unhealthy")).toEqual(["unhealthy"]);
  expect(of("healthy", "draining")).toEqual(["draining"]);
  expect(of("drained", "healthy")).toEqual(["healthy"]);
  expect(of("drained", "drained")).toEqual(["drained"]);
});
