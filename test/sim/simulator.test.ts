import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { Simulation } from "./simulation.ts";

/** `SEED=17` replays one run. */
const seeds = process.env["SEED"]
  ? [Number(process.env["SEED"])]
  : Array.from({ length: 200 }, (_, index) => index + 1);

// Goal: no fault makes drover break a rule (safety); once faults stop, everything comes to rest (liveness).
// Method: each seed draws faults, crashes and what people do; every rule is looked at after every tick.
test.for(seeds)("every rule holds, then the world comes to rest (SEED=%i)", { timeout: 60_000 }, async (seed) => {
  expect(await new Simulation(seed).run()).toEqual([]);
});

test.for(Object.keys(bugs))("the rules catch %s", { timeout: 120_000 }, async (name) => {
  const caught: string[] = [];
  for (let seed = 1; seed <= 30 && caught.length === 0; seed++)
    caught.push(...(await new Simulation(seed, bugs[name]).run()));
  expect(caught).not.toEqual([]);
});
