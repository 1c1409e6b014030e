import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openLmdb } from "../../src/store/lmdb.ts";
import { storeContract } from "../contract/store.ts";

const home = mkdtempSync(join(tmpdir(), "drover-lmdb-"));
let count = 0;
const fresh = () => join(home, String(count++));
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("lmdb", () => storeContract(() => openLmdb(fresh())));

const everything = { start: "/", end: "0", limit: 100 };
const put = (key: string) => ({ put: key, value: Buffer.from("v"), expect: "absent" as const });

test("what was written is there after the store is opened again", async () => {
  const dir = fresh();
  const first = await openLmdb(dir);
  await first.commit([put("/a"), put("/b")]);
  await first.commit([{ delete: "/a", expect: 1 }]);
  await first.close();
  const second = await openLmdb(dir);
  const page = await second.range(everything);
  expect([page.revision, ...page.entries.map(({ key, created, value }) => `${key} ${created} ${value}`)]).toEqual([
    2,
    "/b 1 v",
  ]);
  expect((await second.commit([put("/a")])).revision).toBe(3);
  await second.close();
});

test("history from before the store was opened is STORE_COMPACTED", async () => {
  const dir = fresh();
  const first = await openLmdb(dir);
  await first.commit([put("/a")]);
  await first.close();
  const second = await openLmdb(dir);
  await expect(second.range({ ...everything, at: 0 })).rejects.toMatchObject({ code: "STORE_COMPACTED" });
  await second.close();
});

test("the directory is for its owner alone", async () => {
  const dir = fresh();
  const store = await openLmdb(dir);
  await store.commit([put("/a")]);
  const modes = [".", "data.mdb", "lock.mdb", "holder.json"].map((file) => statSync(join(dir, file)).mode & 0o777);
  expect(modes.map((mode) => mode.toString(8))).toEqual(["700", "600", "600", "600"]);
  await store.close();
});

test("a store in use is STORE_LOCKED, and the message names the process", async () => {
  const dir = fresh();
  const store = await openLmdb(dir);
  await expect(openLmdb(dir)).rejects.toMatchObject({
    code: "STORE_LOCKED",
    message: expect.stringContaining(String(process.pid)),
  });
  await store.commit([put("/a")]);
  await store.close();
});

test.for([
  ["of a process that is gone", { pid: 2 ** 22 + 1, epoch: 1 }],
  ["of an earlier process with our id", { pid: process.pid, epoch: 1, started: "an earlier boot 1" }],
  ["cut short by a power failure", "{"],
] as const)("a lock %s is taken over", async ([, holder]) => {
  const dir = fresh();
  await (await openLmdb(dir)).close();
  writeFileSync(join(dir, "holder.json"), typeof holder === "string" ? holder : JSON.stringify(holder));
  const store = await openLmdb(dir);
  expect(JSON.parse(readFileSync(join(dir, "holder.json"), "utf8")).pid).toBe(process.pid);
  await store.close();
});

test("a holder that was taken over cannot write any more", async () => {
  const dir = fresh();
  const slept = await openLmdb(dir);
  await slept.commit([put("/a")]);
  rmSync(join(dir, "holder.json"));
  const next = await openLmdb(dir);
  await expect(slept.commit([put("/b")])).rejects.toMatchObject({ code: "STORE_LOCKED" });
  await expect(slept.commit([put("/c")])).rejects.toMatchObject({ code: "STORE_LOCKED" });
  expect((await next.commit([put("/b")])).ok).toBe(true);
  await slept.close();
  expect(readFileSync(join(dir, "holder.json"), "utf8")).toContain(`"pid":${process.pid}`);
  await next.close();
});
