// The registry without HTTP: one JSON line a figure. Budgets are in ARCHITECTURE.md; a figure here is a ceiling for them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { systemRandom } from "../src/base/random.ts";
import { openRegistry, type Registry } from "../src/registry/registry.ts";
import { openLmdb } from "../src/store/lmdb.ts";
import { memoryStore } from "../src/store/memory.ts";
import type { Store } from "../src/store/store.ts";

const by = { manager: "bench" };
const inFlight = 16;
const podCount = 10_000;
const watcherCount = 100;

const print = (figure: string, value: number, unit: string) =>
  console.log(JSON.stringify({ figure, value: Number(value.toPrecision(4)), unit }));

const pod = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "web", tier: "front" } },
  spec: {
    containers: [
      {
        name: "web",
        image: "nginx:1.27",
        ports: [{ containerPort: 80 }],
        resources: { requests: { cpu: "100m", memory: "64Mi" } },
        readinessProbe: { httpGet: { path: "/", port: 80 } },
      },
    ],
  },
});

/** Runs `count` of `work`, sixteen at a time; milliseconds each took, sorted. */
async function crowd(count: number, work: (index: number) => Promise<unknown>): Promise<number[]> {
  const tookMs: number[] = [];
  let next = 0;
  const one = async () => {
    for (let index = next++; index < count; index = next++) {
      const startMs = performance.now();
      await work(index);
      tookMs.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return tookMs.sort((a, b) => a - b);
}

async function rate(figure: string, count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  const [startMs, startCpu] = [performance.now(), process.cpuUsage()];
  const tookMs = await crowd(count, work);
  const { user, system } = process.cpuUsage(startCpu);
  print(`${figure}, processor time of one`, (user + system) / count, "us");
  print(`${figure} per second`, (count / (performance.now() - startMs)) * 1000, "1/s");
  print(`${figure} p99`, tookMs[Math.floor(tookMs.length * 0.99)] ?? 0, "ms");
}

async function measure(name: string, store: Store): Promise<void> {
  const registry = await openRegistry({ store, clock: systemClock, random: systemRandom });
  const pods = registry.kinds.ofResource("pods");
  await registry.create(registry.kinds.ofResource("serviceaccounts"), "default", { metadata: { name: "default" } }, by);
  await rate(`${name}: create Pod`, podCount, (index) => registry.create(pods, "default", pod(`pod-${index}`), by));
  await rate(`${name}: patch Pod label`, 2000, (index) =>
    registry.update(
      pods,
      "default",
      `pod-${index}`,
      (current) => ({ ...current, metadata: { ...current.metadata, labels: { app: "web", patched: "yes" } } }),
      by,
    ),
  );
  const listStartMs = performance.now();
  const { items } = await registry.list(pods, { namespace: "default" });
  const bytes = items.reduce((sum, { json }) => sum + json.length, 0);
  print(`${name}: list ${items.length} Pods as JSON`, performance.now() - listStartMs, "ms");
  print(`${name}: bytes of that list`, bytes, "bytes");
  await fanOut(name, registry);
  print(`${name}: resident memory`, process.memoryUsage().rss / 2 ** 20, "MiB");
  registry.close();
  await store.close();
}

async function fanOut(name: string, registry: Registry): Promise<void> {
  const kind = registry.kinds.ofResource("configmaps");
  const stops = Array.from({ length: watcherCount }, () => new AbortController());
  const events = 2000;
  let seen = 0;
  const { promise, resolve } = deferred();
  for (const { signal } of stops) {
    registry.watch(kind, { initialEvents: false, bookmarks: false }, signal).start({
      onEvents(told) {
        seen += told.length;
        if (seen === events * watcherCount) resolve();
        return undefined;
      },
      onError: (error) => console.log(error),
    });
  }
  const startMs = performance.now();
  await crowd(events, (index) =>
    registry.create(kind, "default", { metadata: { name: `config-${index}` }, data: { key: "value" } }, by),
  );
  await promise;
  print(
    `${name}: watch events to ${watcherCount} watchers per second`,
    (seen / (performance.now() - startMs)) * 1000,
    "1/s",
  );
  for (const stop of stops) stop.abort();
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const folder = mkdtempSync(join(tmpdir(), "drover-bench-"));
try {
  await measure("memory", memoryStore());
  await measure("lmdb", await openLmdb(join(folder, "store")));
  const again = performance.now();
  const store = await openLmdb(join(folder, "store"));
  const registry = await openRegistry({ store, clock: systemClock, random: systemRandom });
  print("lmdb: open with 10000 Pods", performance.now() - again, "ms");
  registry.close();
  await store.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
