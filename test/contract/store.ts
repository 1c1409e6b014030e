import { afterEach, beforeEach, expect, test } from "vitest";
import { prefixEnd } from "../../src/store/keys.ts";
import type { Commit, Store, Write } from "../../src/store/store.ts";

const everything = { start: "/", end: "0" };
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : new TextDecoder().decode(value));
const create = (key: string, value = "v"): Write => ({ put: key, value: bytes(value), expect: "absent" });

/** What every Store promises. `open` gives an empty one. */
export function storeContract(open: () => Promise<Store>): void {
  let store: Store;
  const stop = new AbortController();
  const put = async (key: string, value: string, expect: number | "absent" = "absent") =>
    (await store.commit([{ put: key, value: bytes(value), expect }])).revision;
  const keys = async (query: Partial<Parameters<Store["range"]>[0]> = {}) =>
    (await store.range({ ...everything, limit: 100, ...query })).entries.map(({ key }) => key);
  const take = async (from: number, count: number, range = everything) => {
    const commits: Commit[] = [];
    for await (const commit of store.watch({ ...range, from }, stop.signal)) {
      commits.push(commit);
      if (commits.length === count) break;
    }
    return commits;
  };

  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  test("a new store is empty at revision 0", async () => {
    expect(await store.range({ ...everything, limit: 1 })).toEqual({ revision: 0, entries: [], more: false });
  });

  test("every commit is one revision, whatever it writes", async () => {
    const { ok, revision, changes } = await store.commit([create("/a"), create("/b")]);
    expect([ok, revision, changes.length]).toEqual([true, 1, 2]);
    expect(await put("/c", "v")).toBe(2);
  });

  test("an entry tells when it was created and when it was written last", async () => {
    await put("/a", "1");
    await put("/b", "1");
    await put("/a", "2", 1);
    const { entries } = await store.range({ ...everything, limit: 1 });
    expect(entries).toMatchObject([{ key: "/a", created: 1, modified: 3 }]);
    expect(text(entries[0]?.value)).toBe("2");
  });

  test("a change carries the entry before and the entry after", async () => {
    await put("/a", "1");
    const [change] = (await store.commit([{ put: "/a", value: bytes("2"), expect: 1 }])).changes;
    expect([text(change?.before?.value), text(change?.after?.value)]).toEqual(["1", "2"]);
    const [gone] = (await store.commit([{ delete: "/a", expect: 2 }])).changes;
    expect(text(gone?.before?.value)).toBe("2");
    expect(gone).not.toHaveProperty("after");
  });

  test("a key that comes back is created anew", async () => {
    await put("/a", "1");
    await store.commit([{ delete: "/a", expect: 1 }]);
    await put("/a", "2");
    expect((await store.range({ ...everything, limit: 1 })).entries[0]).toMatchObject({ created: 3, modified: 3 });
  });

  test.for<[string, Write, number | undefined]>([
    ["creating what exists", create("/a"), 1],
    ["writing over a newer version", { put: "/a", value: bytes("x"), expect: 9 }, 1],
    ["deleting another version", { delete: "/a", expect: 9 }, 1],
    ["writing what is absent", { put: "/z", value: bytes("x"), expect: 1 }, undefined],
    ["deleting what is absent", { delete: "/z", expect: 1 }, undefined],
  ])("%s loses, writes nothing and tells the present state", async ([, write, modified]) => {
    await put("/a", "1");
    const lost = await store.commit([create("/b"), write]);
    expect([lost.ok, lost.revision, lost.changes.length]).toEqual([false, 1, 1]);
    expect(lost.changes[0]?.after?.modified).toBe(modified);
    expect(await keys()).toEqual(["/a"]);
  });

  test("of writers that expect the same version exactly one wins", async () => {
    await put("/a", "0");
    const all = await Promise.all(
      ["1", "2", "3", "4"].map((value) => store.commit([{ put: "/a", value: bytes(value), expect: 1 }])),
    );
    expect(all.filter(({ ok }) => ok)).toHaveLength(1);
    expect((await store.range({ ...everything, limit: 1 })).revision).toBe(2);
  });

  test("a range is in UTF-8 byte order, ends before its end and is cut at its limit", async () => {
    const names = ["/p/a-b/x", "/p/a/x", "/p/b/x", "/p/\uff01", "/p/\u{1f600}", "/q/a"];
    for (const name of [...names].reverse()) await put(name, "v");
    expect(await keys({ start: "/p/", end: prefixEnd("/p/") })).toEqual(names.slice(0, 5));
    expect(await store.range({ ...everything, limit: 2 })).toMatchObject({ more: true, revision: 6 });
    expect(await keys({ start: "/p/a/", end: prefixEnd("/p/a/") })).toEqual(["/p/a/x"]);
    expect(await store.range({ ...everything, limit: 6 })).toMatchObject({ more: false });
  });

  test("a range at an earlier revision shows what was then", async () => {
    await put("/a", "1");
    await put("/b", "1");
    await store.commit([{ put: "/a", value: bytes("2"), expect: 1 }]);
    await store.commit([{ delete: "/b", expect: 2 }, create("/c")]);
    const then = await store.range({ ...everything, limit: 10, at: 2 });
    expect(then.entries.map(({ key, value }) => [key, text(value)])).toEqual([
      ["/a", "1"],
      ["/b", "1"],
    ]);
    expect(then.revision).toBe(2);
    expect(await keys({ at: 4 })).toEqual(["/a", "/c"]);
    expect(await store.range({ ...everything, limit: 1, at: 2 })).toMatchObject({ more: true });
  });

  test("a revision that is not written yet is STORE_FUTURE", async () => {
    await expect(keys({ at: 1 })).rejects.toMatchObject({ code: "STORE_FUTURE" });
  });

  test("a watch gives every commit after its start, in order, only with the keys asked for", async () => {
    await put("/a/1", "v");
    await put("/b/1", "v");
    const later = take(0, 3, { start: "/a/", end: prefixEnd("/a/") });
    await store.commit([create("/a/2"), create("/b/2")]);
    await store.commit([{ delete: "/a/1", expect: 1 }]);
    const seen = (await later).map(({ revision, changes }) => [revision, ...changes.map(({ key }) => key)]);
    expect(seen).toEqual([
      [1, "/a/1"],
      [3, "/a/2"],
      [4, "/a/1"],
    ]);
  });

  test("every watcher sees the same order, also of commits made at once", async () => {
    const watchers = [take(0, 300), take(0, 300), take(100, 200)];
    await Promise.all(Array.from({ length: 300 }, (_, i) => put(`/k${i}`, String(i))));
    const [a, b, c] = await Promise.all(watchers);
    expect(a?.map(({ revision }) => revision)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(b).toEqual(a);
    expect(c).toEqual(a?.slice(100));
  });

  test("a watch ends when its signal aborts", async () => {
    const ending = new AbortController();
    const ended = (async () => {
      for await (const _commit of store.watch({ ...everything, from: 0 }, ending.signal)) expect.unreachable();
    })();
    ending.abort();
    await ended;
  });

  test("what is compacted can be neither read nor watched, the rest can", async () => {
    for (const value of ["1", "2", "3"]) await put(`/${value}`, value);
    await store.compact(2);
    await expect(keys({ at: 1 })).rejects.toMatchObject({ code: "STORE_COMPACTED" });
    await expect(take(1, 1)).rejects.toMatchObject({ code: "STORE_COMPACTED" });
    expect(await keys({ at: 2 })).toEqual(["/1", "/2"]);
    expect((await take(2, 1))[0]?.revision).toBe(3);
    expect(await keys()).toEqual(["/1", "/2", "/3"]);
  });
}
