import { expect, test } from "vitest";
import { Simulation } from "./simulation.ts";

// Goal: no fault makes drover break a rule (safety); once faults stop, everything comes to rest (liveness).
// Method: each seed draws faults, crashes and what people do; every rule is looked at after every tick.

/** Runs the seeds from `first` to `last`; with `SEED=17` in the environment that one alone. */
export function testSeeds(first: number, last: number): void {
  const one = process.env["SEED"];
  const seeds =
    one === undefined ? Array.from({ length: last - first + 1 }, (_, index) => first + index) : [Number(one)];
  test.for(seeds)("every rule holds, then the world comes to rest (SEED=%i)", async (seed) => {
    expect(await new Simulation(seed).run()).toEqual([]);
  });
}
