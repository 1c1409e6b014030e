import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { Simulation } from "./simulation.ts";

/** The words of the rule that must catch it; where several may, any will do. */
const words: Readonly<Record<string, RegExp>> = { "an answer before the sync": /acknowledged/ };

test.for(Object.keys(bugs))("the rules catch %s", async (name) => {
  const { [name]: said = /./ } = words;
  let caught = "";
  for (let seed = 1; seed <= 30 && !said.test(caught); seed++) {
    caught = (await new Simulation(seed, bugs[name]).run()).join("\n");
  }
  expect(caught).toMatch(said);
});
