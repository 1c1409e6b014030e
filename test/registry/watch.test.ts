import { expect, test } from "vitest";
import type { ApiError } from "../../src/api/status.ts";
import type { WatchEvent, WatchQuery } from "../../src/registry/requests.ts";
import { configMap, openCluster } from "./cluster.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const text = (event: WatchEvent) =>
  event.type === "BOOKMARK"
    ? `BOOKMARK ${event.revision} ${event.initialEventsEnd}`
    : `${event.type} ${event.stored.object.metadata.name}`;

async function watched() {
  const cluster = await openCluster();
  const { registry, kindOf, clock } = cluster;
  const stop = new AbortController();
  const watch = (query: Partial<WatchQuery>, pause?: () => Promise<void> | undefined) => {
    const seen: string[] = [];
    const events: WatchEvent[] = [];
    const errors: ApiError[] = [];
    const all = { namespace: "default", initialEvents: false, bookmarks: false, ...query };
    const stream = registry.watch(kindOf("configmaps"), all, stop.signal);
    stream.start({
      onEvents(told) {
        events.push(...told);
        seen.push(...told.map(text));
        return pause?.();
      },
      onError: (error) => errors.push(error),
    });
    return { seen, events, errors, stream };
  };
  const settle = async () => {
    for (let i = 0; i < 5; i++) await turn();
    await clock.advance(0);
  };
  return { ...cluster, watch, settle, stop };
}

test("a watcher sees every change after it began", async () => {
  const { watch, create, update, remove, settle, registry } = await watched();
  await create("configmaps", configMap("old"));
  const { seen, events, stream } = watch({});
  await settle();
  await create("configmaps", configMap("a"));
  await update("configmaps", "a", () => configMap("a", { k: "v" }));
  await remove("configmaps", "a");
  await settle();
  expect(seen).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
  const [, , gone] = events;
  expect(gone?.type === "DELETED" && gone.stored.object).toMatchObject({
    data: { k: "v" },
    metadata: { resourceVersion: String(registry.revision()) },
  });
  expect(stream.revision()).toBe(registry.revision());
});

test("a watcher that begins with what there is gets it first, then a bookmark", async () => {
  const { watch, create, settle, registry } = await watched();
  await create("configmaps", configMap("b"));
  await create("configmaps", configMap("a"));
  const { revision } = { revision: registry.revision() };
  const { seen } = watch({ initialEvents: true, bookmarks: true });
  await settle();
  await create("configmaps", configMap("c"));
  await settle();
  expect(seen).toEqual(["ADDED a", "ADDED b", `BOOKMARK ${revision} true`, "ADDED c"]);
});

test("a watcher that comes back gets what it missed", async () => {
  const { watch, create, remove, settle, registry } = await watched();
  const from = String(registry.revision());
  await create("configmaps", configMap("a"));
  await create("secrets", { metadata: { name: "s" } });
  await remove("configmaps", "a");
  const { seen } = watch({ from });
  await settle();
  await create("configmaps", configMap("b"));
  await settle();
  expect(seen).toEqual(["ADDED a", "DELETED a", "ADDED b"]);
});

test("what begins or ceases to be selected is ADDED or DELETED", async () => {
  const { watch, create, update, remove, settle } = await watched();
  const { seen, events } = watch({ labels: (labels) => labels?.["in"] === "yes" });
  await settle();
  await create("configmaps", configMap("a"));
  await update("configmaps", "a", () => configMap("a", { k: "1" }, { in: "yes" }));
  await update("configmaps", "a", () => configMap("a", { k: "2" }, { in: "yes" }));
  const last = await update("configmaps", "a", () => configMap("a", { k: "3" }, { in: "no" }));
  await remove("configmaps", "a");
  await settle();
  expect(seen).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
  const [, , left] = events;
  expect(left?.type === "DELETED" && left.stored.object).toMatchObject({
    data: { k: "2" },
    metadata: { resourceVersion: last.metadata.resourceVersion },
  });
});

test("other namespaces are not told", async () => {
  const { watch, registry, kindOf, settle } = await watched();
  const { seen } = watch({});
  await settle();
  await registry.create(kindOf("configmaps"), "kube-system", configMap("a"), { manager: "test" });
  await settle();
  expect(seen).toEqual([]);
});

test("a revision that the history has left behind is 410", async () => {
  const first = await watched();
  await first.create("configmaps", configMap("a"));
  first.registry.close();
  const { registry, kindOf } = await openCluster(first.store);
  const error = await new Promise<ApiError>((resolve) => {
    const query = { from: "1", initialEvents: false, bookmarks: false };
    const handlers = { onEvents: () => undefined, onError: resolve };
    registry.watch(kindOf("configmaps"), query, AbortSignal.timeout(5000)).start(handlers);
  });
  expect(error.status).toMatchObject({
    code: 410,
    reason: "Expired",
    message: expect.stringMatching(/^too old resource version: 1 /),
  });
});

test("a watcher is not given more while it is busy, and is cut when too much waits", async () => {
  const { watch, create, settle } = await watched();
  const slow = watch({}, () => new Promise(() => {}));
  const quick = watch({});
  await settle();
  await create("configmaps", configMap("first"));
  await settle();
  await Promise.all(Array.from({ length: 10_050 }, (_, i) => create("configmaps", configMap(`c${i}`))));
  await settle();
  expect(slow.errors.map(({ status }) => status.code)).toEqual([410]);
  expect(slow.seen).toEqual(["ADDED first"]);
  expect(quick.errors).toEqual([]);
  expect(quick.seen).toHaveLength(10_051);
});

test("quiet watchers are told now and then how far they are", async () => {
  const { watch, clock, settle, registry } = await watched();
  const { seen } = watch({ bookmarks: true });
  await settle();
  await clock.advance(60_000);
  await settle();
  expect(seen).toEqual([`BOOKMARK ${registry.revision()} false`]);
});

test("an aborted watcher hears nothing more", async () => {
  const { watch, create, settle, stop } = await watched();
  const { seen, errors } = watch({});
  await settle();
  stop.abort();
  await create("configmaps", configMap("a"));
  await settle();
  expect([seen, errors]).toEqual([[], []]);
});
