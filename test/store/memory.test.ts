import { describe, expect, test } from "vitest";
import { VirtualClock } from "../../src/base/virtual.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { storeContract } from "../contract/store.ts";

describe("memory", () => storeContract(async () => memoryStore()));

const put = (key: string, size = 1) => [{ put: key, value: new Uint8Array(size), expect: "absent" as const }];
const at = (revision: number) => ({ start: "/", end: "0", limit: 1, at: revision });

test("history over its bound in bytes is forgotten", async () => {
  const store = memoryStore({ history: { bytesMax: 10_000, ageMaxMs: 1e9 } });
  for (let i = 0; i < 20; i++) await store.commit(put(`/${i}`, 1000));
  await expect(store.range(at(1))).rejects.toMatchObject({ code: "STORE_COMPACTED" });
  expect((await store.range(at(19))).revision).toBe(19);
});

test("history over its bound in time is forgotten", async () => {
  const clock = new VirtualClock();
  const store = memoryStore({ clock, history: { bytesMax: 1e9, ageMaxMs: 1000 } });
  await store.commit(put("/a"));
  await clock.advance(1001);
  await store.commit(put("/b"));
  await expect(store.range(at(0))).rejects.toMatchObject({ code: "STORE_COMPACTED" });
  expect((await store.range(at(1))).revision).toBe(1);
});
