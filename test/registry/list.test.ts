import { expect, test } from "vitest";
import type { ListQuery } from "../../src/registry/requests.ts";
import { configMap, openCluster, refusal } from "./cluster.ts";

async function five() {
  const cluster = await openCluster();
  const { create, registry, kindOf } = cluster;
  for (const name of ["e", "c", "a", "d", "b"])
    await create("configmaps", configMap(name, {}, { even: String("bd".includes(name)) }));
  const page = async (query: ListQuery) => {
    const { items, ...rest } = await registry.list(kindOf("configmaps"), { namespace: "default", ...query });
    return { names: items.map(({ object }) => object.metadata.name).join(""), ...rest };
  };
  return { ...cluster, page };
}

test("a list is in key order and says how new it is", async () => {
  const { page, registry } = await five();
  expect(await page({})).toEqual({ names: "abcde", resourceVersion: String(registry.revision()) });
  expect((await page({ resourceVersion: "0", limit: 2 })).names).toBe("abcde");
  expect((await page({ limit: -1 })).names).toBe("abcde");
  expect((await page({ namespace: "kube-system" })).names).toBe("");
});

test("pages go on with the list that was begun, whatever happens in between", async () => {
  const { page, create, remove } = await five();
  const first = await page({ limit: 2 });
  expect(first).toMatchObject({ names: "ab", remainingItemCount: 3 });
  await remove("configmaps", "c");
  await create("configmaps", configMap("cc"));
  const second = await page({ limit: 2, continue: first.continue ?? "" });
  expect(second).toMatchObject({ names: "cd", remainingItemCount: 1, resourceVersion: first.resourceVersion });
  const third = await page({ limit: 2, continue: second.continue ?? "" });
  expect(third).toEqual({ names: "e", resourceVersion: first.resourceVersion });
  expect((await page({})).names).toBe("abccde");
});

test("a selected page does not say how many are left", async () => {
  const { page } = await five();
  const labels = (own: Record<string, string> = {}) => own["even"] === "false";
  const first = await page({ limit: 2, labels });
  expect(first.names).toBe("ac");
  expect(first).not.toHaveProperty("remainingItemCount");
  expect((await page({ limit: 2, labels, continue: first.continue ?? "" })).names).toBe("e");
  expect((await page({ fields: ({ metadata }) => metadata.name === "d" })).names).toBe("d");
});

test("an exact list is of its revision", async () => {
  const { page, registry, create, remove, update } = await five();
  const resourceVersion = String(registry.revision());
  await remove("configmaps", "a");
  await create("configmaps", configMap("f"));
  await update("configmaps", "b", () => configMap("b", { k: "v" }));
  expect((await page({ resourceVersion, resourceVersionMatch: "Exact" })).names).toBe("abcde");
  expect((await page({ resourceVersion, limit: 10 })).names).toBe("abcde");
  expect((await page({ resourceVersion, resourceVersionMatch: "NotOlderThan", limit: 10 })).names).toBe("bcdef");
});

test("a list waits for a revision to come, but not for ever", async () => {
  const { page, registry, create, clock } = await five();
  const next = String(registry.revision() + 1);
  const waiting = page({ resourceVersion: next });
  await create("configmaps", configMap("f"));
  expect((await waiting).names).toBe("abcdef");
  const tooFar = refusal(page({ resourceVersion: "99999" }));
  await clock.advance(3000);
  expect(await tooFar).toBe(`504 Timeout: Too large resource version: 99999, current: ${registry.revision()}`);
});

test("what is no revision or no token is refused", async () => {
  const { page } = await five();
  expect(await refusal(page({ resourceVersion: "abc" }))).toContain(
    '400 invalid resource version: resourceVersion: Invalid value: "abc"',
  );
  expect(await refusal(page({ limit: 2, continue: "nope" }))).toContain(
    "400 invalid continue token: continue key is not valid",
  );
  const token = (await page({ limit: 2 })).continue ?? "";
  expect(await refusal(page({ continue: token, resourceVersion: "1" }))).toContain("400 specifying resource version");
});

test("a revision from before the registry was opened is too old, and its token leads on", async () => {
  const first = await five();
  const page = await first.page({ limit: 2 });
  await first.create("configmaps", configMap("f"));
  first.registry.close();
  const { registry, kindOf } = await openCluster(first.store);
  const query = { namespace: "default", limit: 9 };
  const exact = registry.list(kindOf("configmaps"), { ...query, resourceVersion: page.resourceVersion });
  expect(await refusal(exact)).toBe("410 The resourceVersion for the provided list is too old.");
  const error = await registry
    .list(kindOf("configmaps"), { ...query, continue: page.continue ?? "" })
    .catch((cause) => cause);
  expect(error.status).toMatchObject({ code: 410, metadata: { continue: expect.any(String) } });
  const rest = await registry.list(kindOf("configmaps"), { ...query, continue: error.status.metadata.continue });
  expect(rest.items.map(({ object }) => object.metadata.name).join("")).toBe("cdef");
});
