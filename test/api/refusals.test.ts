import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Exchange } from "../oracle/recorded.ts";
import { masked, Road } from "./road.ts";

/** What kube-apiserver 1.36.3 answered to more requests than a road of its own needs; null where it takes a registry. */
type Recorded = { name: string; steps: Exchange[]; expect: (Exchange["answer"] | null)[] };
const recorded: Recorded[] = JSON.parse(readFileSync(new URL("../oracle/refusals.json", import.meta.url), "utf8"));

test("there are recordings", () => expect(recorded.flatMap(({ steps }) => steps).length).toBeGreaterThan(250));

test.for(recorded)("$name are answered as recorded", ({ steps, expect: answers }) => {
  const road = new Road();
  for (const [index, step] of steps.entries()) {
    const reply = road.answer(step);
    const answer = answers[index];
    if (reply === undefined || !answer) continue;
    const got = JSON.parse(JSON.stringify({ ...reply, body: masked(reply.body) }));
    expect(got, `${step.path} ${JSON.stringify(step.body)}`).toEqual(masked(answer));
  }
});
