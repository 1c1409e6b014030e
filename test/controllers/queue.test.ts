import { expect, onTestFinished, test } from "vitest";
import { VirtualClock } from "../../src/base/virtual.ts";
import { backoffMs, type Outcome, type Pause, WorkQueue } from "../../src/controllers/queue.ts";
import { openSightings } from "../../src/controllers/sightings.ts";

const key = (name: string) => ({ resource: "pods", namespace: "default", name });

function openQueue(
  work: (name: string) => Outcome | Promise<Outcome>,
  options: { concurrency?: number; pauseMs?: Pause } = {},
) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const log: string[] = [];
  const queue = new WorkQueue({
    clock,
    signal: stop.signal,
    concurrency: options.concurrency ?? 1,
    pauseMs: options.pauseMs ?? 0,
    work: async ({ name }) => {
      log.push(`${clock.monotonicMs()} ${name}`);
      return work(name);
    },
  });
  return { clock, queue, log, stop };
}
const fine: Outcome = { failed: false };

test("keys are looked at in order of arrival, each once however often it was asked for", async () => {
  const { queue, clock, log } = openQueue(() => fine);
  for (const name of ["a", "b", "a", "a"]) queue.add(key(name));
  await clock.advance(0);
  expect(log).toEqual(["0 a", "0 b"]);
  expect(queue.idle()).toBe(true);
});

test("a key asked for while it is worked on is looked at again", async () => {
  const { queue, clock, log } = openQueue(async () => {
    await clock.sleep(10);
    return fine;
  });
  queue.add(key("a"));
  await clock.advance(5);
  queue.add(key("a"));
  await clock.advance(100);
  expect(log).toEqual(["0 a", "10 a"]);
});

test("a failing key is repeated after 1, 2, 4 seconds; the others go on", async () => {
  const { queue, clock, log } = openQueue((name) => ({ failed: name === "bad" }));
  queue.add(key("bad"));
  await clock.advance(3_500);
  queue.add(key("good"));
  await clock.advance(4_000);
  expect(log).toEqual(["0 bad", "1000 bad", "3000 bad", "3500 good", "7000 bad"]);
});

test("once what stood in the way is over, failing keys are looked at at once, whatever their backoff", async () => {
  let failed = true;
  const { queue, clock, log } = openQueue(() => ({ failed }));
  queue.add(key("a"));
  await clock.advance(40_000);
  expect(log.at(-1)).toBe("31000 a");
  failed = false;
  queue.retry();
  await clock.advance(600_000);
  expect(log.at(-1)).toBe("40000 a");
});

test("a change wakes a failing key sooner, but not at once", async () => {
  let failed = true;
  const { queue, clock, log } = openQueue(() => ({ failed }));
  queue.add(key("a"));
  await clock.advance(3_100);
  failed = false;
  queue.add(key("a"));
  await clock.advance(10_000);
  expect(log).toEqual(["0 a", "1000 a", "3000 a", "4100 a"]);
});

test("a key rests between two looks", async () => {
  const { queue, clock, log } = openQueue(() => fine, { pauseMs: 100 });
  queue.add(key("a"));
  await clock.advance(10);
  for (let times = 0; times < 5; times++) queue.add(key("a"));
  await clock.advance(500);
  expect(log).toEqual(["0 a", "100 a"]);
});

test("a key rests as long as is said after each look", async () => {
  const pauses = [100, 300];
  const { queue, clock, log } = openQueue(() => fine, { pauseMs: () => pauses.shift() ?? 0 });
  queue.add(key("a"));
  for (const ms of [10, 100, 500]) {
    await clock.advance(ms);
    queue.add(key("a"));
  }
  await clock.advance(500);
  expect(log).toEqual(["0 a", "100 a", "400 a", "610 a"]);
});

test("a key looks again when it said so, unless a change comes first", async () => {
  const { queue, clock, log } = openQueue(() => ({ failed: false, againInMs: 1_000 }));
  queue.add(key("a"));
  await clock.advance(1_500);
  queue.add(key("a"));
  await clock.advance(900);
  expect(log).toEqual(["0 a", "1000 a", "1500 a"]);
});

test("no more than so many keys at once", async () => {
  let [now, most] = [0, 0];
  const { queue, clock } = openQueue(
    async () => {
      most = Math.max(most, ++now);
      await clock.sleep(10);
      now--;
      return fine;
    },
    { concurrency: 3 },
  );
  for (let index = 0; index < 10; index++) queue.add(key(`${index}`));
  await clock.advance(1_000);
  expect([now, most]).toEqual([0, 3]);
});

test("nothing begins after the end", async () => {
  const { queue, clock, log, stop } = openQueue(() => ({ failed: false, againInMs: 10 }));
  queue.add(key("a"));
  await clock.advance(5);
  stop.abort();
  queue.add(key("b"));
  await clock.advance(1_000);
  await queue.drained();
  expect(log).toEqual(["0 a"]);
});

test("backoff ends at five minutes", () => {
  expect([1, 2, 9, 10, 99].map(backoffMs)).toEqual([1_000, 2_000, 256_000, 300_000, 300_000]);
});

const machine = (id: string, state: "pending" | "running" | "gone" = "running") => ({
  id,
  launchId: "l",
  slot: 0,
  state,
  type: "t",
  zone: "a",
});

test("a machine is gone when the provider says so, and stays so", () => {
  const sightings = openSightings();
  sightings.take([machine("a", "gone")], true, ["a"], 0);
  sightings.take([machine("a", "running")], true, ["a"], 1);
  expect(sightings.sight("a", 1).gone).toBe(true);
});

test("absence counts after two minutes of complete polls, and not at all in incomplete ones", () => {
  const sightings = openSightings();
  const expected = ["a", "b", "c"];
  sightings.take(
    expected.map((id) => machine(id)),
    true,
    expected,
    0,
  );
  sightings.take([machine("b"), machine("c")], false, expected, 1_000);
  expect(sightings.sight("a", 900_000).gone).toBe(false);
  sightings.take([machine("b"), machine("c")], true, expected, 2_000);
  expect(sightings.sight("a", 121_000).gone).toBe(false);
  expect(sightings.take([machine("b"), machine("c")], true, expected, 122_000)).toEqual(["a"]);
  expect(sightings.sight("a", 122_000).gone).toBe(true);
});

test("many machines missing at once are unknown, not gone", () => {
  const sightings = openSightings();
  const expected = Array.from({ length: 10 }, (_, index) => `m${index}`);
  for (const atMs of [0, 200_000]) sightings.take([machine("m0")], true, expected, atMs);
  expect(sightings.massAbsence()).toBe(true);
  expect(sightings.sight("m5", 200_000).gone).toBe(false);
});
