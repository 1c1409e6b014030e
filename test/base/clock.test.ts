import { expect, test } from "vitest";
import { fasterClock, systemClock } from "../../src/base/clock.ts";

test("nobody is woken early, however fast time passes", async () => {
  const clock = fasterClock(systemClock, 1_000);
  const early = Array.from({ length: 200 }, async (_, index) => {
    const dueMs = clock.monotonicMs() + 1_700 + index * 37;
    await clock.sleep(dueMs - clock.monotonicMs());
    return clock.monotonicMs() < dueMs;
  });
  expect((await Promise.all(early)).filter((isEarly) => isEarly)).toEqual([]);
});

test("a sleep that is aborted rejects with the reason", async () => {
  const stop = new AbortController();
  const sleeping = systemClock.sleep(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(sleeping).rejects.toThrow("enough");
});
