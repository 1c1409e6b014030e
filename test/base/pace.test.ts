import { expect, test } from "vitest";
import { openPace } from "../../src/base/pace.ts";
import { VirtualClock } from "../../src/base/virtual.ts";

test("a burst of rounds goes through at once, then one in each span; a rest fills it up again", async () => {
  const clock = new VirtualClock();
  const pace = openPace(clock.monotonicMs, { burst: 3, everyMs: 1_000 });
  const roundsWithin = async (durationMs: number): Promise<number> => {
    const untilMs = clock.monotonicMs() + durationMs;
    let rounds = 0;
    while (clock.monotonicMs() + pace.leftMs() < untilMs) {
      await clock.advance(pace.leftMs());
      pace.take();
      rounds++;
    }
    await clock.advance(untilMs - clock.monotonicMs());
    return rounds;
  };
  expect(await roundsWithin(10)).toBe(3);
  expect(await roundsWithin(10_000)).toBe(10);
  await clock.advance(60_000);
  expect(await roundsWithin(10)).toBe(3);
});
