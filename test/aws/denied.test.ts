import { expect, test } from "vitest";
import { grantedActions } from "../../src/clouds/aws/actions.ts";
import { life } from "./life.ts";

/** What such a life comes by. The others are tried by doctor's test. */
const called: readonly string[] = await (async () => {
  const { calls } = await life(() => {});
  return grantedActions().filter((action) => calls.has(action.replace(/.*:/, "")));
})();

test("most of what is granted is called in a cluster's life", () => {
  expect(called.length).toBeGreaterThan(45);
});

test.for(called)("without %s the log and an Event name exactly that", { timeout: 60_000 }, async (action) => {
  const { events, logged, told, looks } = await life(({ world }) => world.conditions.denied.add(action));
  expect(logged).toEqual([action]);
  expect(events).toEqual([action]);
  // Once for each object that is concerned: a repeat is counted by the first.
  expect(told).toEqual([...new Set(told)]);
  expect(looks.length).toBeLessThanOrEqual(1);
});
