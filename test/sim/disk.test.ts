import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { Store } from "../../src/store/store.ts";
import { storeContract } from "../contract/store.ts";
import { Disk } from "./disk.ts";

describe("simulated", () => storeContract(async () => new Disk(systemClock, seededRandom(1)).open(() => true)));

const put = (key: string) => [{ put: key, value: new Uint8Array(1), expect: "absent" as const }];
const keysOf = async (store: Store) =>
  (await store.range({ start: "/", end: "0", limit: 100 })).entries.map(({ key }) => key);

/** A process commits `/told`, then `/a` and `/b` at once and dies over them. What was answered, and what the next finds. */
async function dieOverCommits(seed: number, answersEarly: boolean): Promise<{ answered: string[]; found: string[] }> {
  const clock = new VirtualClock();
  const disk = new Disk(clock, seededRandom(seed));
  disk.answersEarly = answersEarly;
  let alive = true;
  const store = disk.open(() => alive);
  const answered: string[] = [];
  const commit = (key: string) => void store.commit(put(key)).then(() => answered.push(key));
  commit("/told");
  await clock.advance(1_000);
  commit("/a");
  commit("/b");
  await clock.advance(0);
  alive = false;
  await clock.advance(1_000);
  return { answered, found: await keysOf(disk.open(() => true)) };
}

test("a crash keeps what was answered, and the rest as a whole or not at all", async () => {
  const fates = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const { answered, found } = await dieOverCommits(seed, false);
    expect(answered).toEqual(["/told"]);
    fates.add(found.join(" "));
  }
  expect([...fates].sort()).toEqual(["/a /b /told", "/told"]);
});

test("a store that answers before its sync loses what was answered", async () => {
  const lost: string[] = [];
  for (let seed = 1; seed <= 20; seed++) {
    const { answered, found } = await dieOverCommits(seed, true);
    lost.push(...answered.filter((key) => !found.includes(key)));
  }
  expect(new Set(lost)).toEqual(new Set(["/a", "/b"]));
});
