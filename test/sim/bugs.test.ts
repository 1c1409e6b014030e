import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { Simulation } from "./simulation.ts";

test.for(Object.keys(bugs))("the rules catch %s", { timeout: 120_000 }, async (name) => {
  const caught: string[] = [];
  for (let seed = 1; seed <= 30 && caught.length === 0; seed++) {
    caught.push(...(await new Simulation(seed, bugs[name]).run()));
  }
  expect(caught).not.toEqual([]);
});
