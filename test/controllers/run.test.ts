import { expect, onTestFinished, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { Reconciler } from "../../src/controllers/reconciler.ts";
import { runReconciler } from "../../src/controllers/run.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { memoryStore } from "../../src/store/memory.ts";

const object = (kind: string, metadata: KubeObject["metadata"]): KubeObject => ({ apiVersion: "v1", kind, metadata });

/** Runs one key whose plan makes a ConfigMap in that namespace; the levels of what the log says of it. */
async function levelsFor(namespace: string): Promise<string[]> {
  const clock = new VirtualClock();
  const registry = await openRegistry({ store: memoryStore(), clock, random: seededRandom(1) });
  const client = registry.client();
  const manager = { manager: "test" };
  const ending = object("Namespace", { name: "ending", finalizers: ["example.org/held"] });
  await client.create("namespaces", ending as never, manager);
  await client.delete({ resource: "namespaces", namespace: "", name: "ending" }, {});
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const levels: string[] = [];
  const say = (level: string) => () => void levels.push(level);
  const maker: Reconciler<object> = {
    name: "maker",
    watches: {},
    observe: () => ({}),
    plan: () => ({ actions: [{ do: "refreshOffers" }] }),
  };
  const runner = runReconciler(maker, {
    ...{ client, clock, signal: stop.signal, concurrency: 1, pauseMs: 0 },
    log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
    act: async () => void (await client.create("configmaps", object("ConfigMap", { name: "a", namespace }), manager)),
  });
  runner.add({ resource: "services", namespace, name: "web" });
  await clock.advance(0);
  return levels;
}

test.for([
  ["missing", ["warn"]],
  ["ending", ["debug"]],
] as const)("what can't be made in a namespace that is %s", async ([namespace, levels]) => {
  expect(await levelsFor(namespace)).toEqual(levels);
});
