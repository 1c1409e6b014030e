import { expect, test } from "vitest";
import { exchanges } from "../oracle/recorded.ts";
import { masked, Road } from "./road.ts";

/** Exchanges that need more than the object itself, by sequence and step; the registry or the server answers them. */
const elsewhere: Readonly<Record<string, readonly number[] | "all">> = {
  "apply odd requests": [0, 1, 3, 4, 7, 10],
  "apply migrate by json patch": [1],
  "apply scale conflict and shared ownership": [2],
  "create reviews": "all",
  "create token": "all",
  "refuse method": "all",
  "refuse exists": [1, 3],
  "refuse namespace mismatch": [0],
  "refuse no kind": [1, 2],
  "refuse media types": [2, 4],
  "refuse metadata odd": [4],
  "refuse Pod misc": [0, 1],
  "refuse Service": [5, 6],
  "refuse Job update indexed": [3],
  "refuse CRD": "all",
  "refuse custom resource": "all",
  "refuse namespace absent": "all",
  "refuse quota exceeded": "all",
  "refuse limit range exceeded": "all",
  "refuse pod security baseline": "all",
  "refuse request parameters": "all",
  "refuse unknown path": "all",
  "update PUT": [2, 3, 4, 6, 7, 8],
  "update create on PUT": [0, 1, 2, 3, 4, 7],
  "update server-owned metadata": [0, 1, 3, 4, 5],
  "update generation": [4, 5],
  "field validation nested": [6, 7, 8],
  warnings: [4],
};

const sequences = exchanges(/^(create|refuse|update|field validation|warnings|apply)/);

test("there are recordings", () => expect(sequences.length).toBeGreaterThan(90));

test.for(sequences)("$name is answered as recorded", ({ name, exchanges: steps }) => {
  const road = new Road();
  const left = elsewhere[name] ?? [];
  for (const [index, step] of steps.entries()) {
    const reply = road.answer(step);
    if (reply === undefined || left === "all" || left.includes(index)) continue;
    const got = JSON.parse(JSON.stringify({ ...reply, body: masked(reply.body) }));
    expect(got, `step ${index}`).toEqual(masked(step.answer));
  }
});
