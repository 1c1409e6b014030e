import { describe, expect, test } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { type CrashPoint, crash } from "./crash.ts";

/** More of them: `SEEDS=1000 npx vitest run test/aws/crash`. */
const seeds = Number(process.env["SEEDS"] ?? 60);
const callsMax = 400;

describe.for(["kept", "lost"] as const)("drover dies during a rollout, its store is %s", (store) => {
  test.for(["before", "after"] as const)("%s every call to AWS in turn", async (moment) => {
    const found: string[] = [];
    let call = 0;
    for (let isReached = true; isReached && call < callsMax; call++) {
      const outcome = await crash({ seed: 1, call, moment, store });
      isReached = outcome.action !== "";
      found.push(...outcome.problems.map((problem) => `call ${call} (${outcome.action}): ${problem}`));
    }
    expect(found).toEqual([]);
    expect(call).toBeGreaterThan(20);
  });
});

test("at any call, by any seed", async () => {
  const found: string[] = [];
  for (let seed = 100; seed < 100 + seeds; seed++) {
    const random = seededRandom(seed);
    const point: CrashPoint = {
      seed,
      call: Math.floor(random.next() * 45),
      moment: random.next() < 0.5 ? "before" : "after",
      store: random.next() < 0.5 ? "kept" : "lost",
    };
    const { problems, action } = await crash(point);
    found.push(...problems.map((problem) => `${JSON.stringify(point)} (${action}): ${problem}`));
  }
  expect(found).toEqual([]);
});
