import type { KubeObject } from "../../src/api/object.ts";
import type { Deployment, Pod } from "../../src/api/types.gen.ts";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { Cloud } from "../../src/clouds/cloud.ts";
import { openSimCloud } from "../../src/clouds/sim/open.ts";
import { type Controllers, startControllers } from "../../src/controllers/start.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { memoryStore } from "../../src/store/memory.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const loud = {
  debug() {},
  info: (_: object, message: string) => console.log("info", message),
  warn: (fields: object, message: string) =>
    console.log("warn", message, process.env["STACKS"] && "error" in fields ? fields.error : ""),
  error: (_: object, message: string) => console.log("error", message),
};
export const manager = { manager: "test" };

type Options = { seed?: number; machinesMax?: number; verbose?: boolean; image?: Cloud["machines"]["image"] };

/** A whole drover without HTTP on a simulated provider, in virtual time. `image`: looks machine images up. */
export async function openCluster(options: Options = {}) {
  const clock = new VirtualClock();
  const random = seededRandom(options.seed ?? 1);
  const sim = openSimCloud({ clock, random });
  if (options.image) sim.cloud.machines.image = options.image;
  let store = memoryStore();
  let registry = await openRegistry({ store, clock, random });
  let client = registry.client();
  const start = (sides: { cloud: typeof sim.cloud; boxes: typeof sim.boxes }): Controllers =>
    startControllers({
      client,
      ...sides,
      clock,
      random,
      cluster: "test",
      log: options.verbose ? loud : quiet,
      authorizedKey: "ssh-ed25519 AAAA test",
      rootCertificate: "CA",
      ...(options.machinesMax !== undefined && { machinesMax: options.machinesMax }),
    });
  let controllers = start(sim);
  await clock.advance(0);

  /** Lets time pass until `done`; fails after `limitSeconds`. */
  async function until(what: string, done: () => boolean, limitSeconds = 900): Promise<number> {
    const startMs = clock.monotonicMs();
    while (!done()) {
      if (clock.monotonicMs() - startMs > limitSeconds * 1_000)
        throw new Error(`not within ${limitSeconds} s: ${what}`);
      await clock.advance(250);
    }
    return clock.monotonicMs() - startMs;
  }

  return {
    clock,
    world: sim.world,
    get client() {
      return client;
    },
    get view() {
      return client.view;
    },
    until,
    pods: (): readonly Pod[] => client.view.list("pods", "default"),
    deployment: (name: string): Deployment | undefined => client.view.get("deployments.apps", "default", name),
    events: (reason: string): readonly string[] =>
      client.view
        .list("events")
        .filter((event) => event.reason === reason)
        .map(({ message }) => message ?? ""),
    /** Machines that the provider has not ended. */
    machines: () => sim.world.living(),
    idle: () => controllers.idle(),
    /** Ends this process's controllers and starts others on what is there. */
    async restart(): Promise<void> {
      await controllers.stop();
      controllers = start(sim.connect());
      await clock.advance(0);
    },
    /** Ends this process, and starts another one with an empty store on what the provider has. */
    async loseStore(): Promise<void> {
      await controllers.stop();
      registry.close();
      await store.close();
      store = memoryStore();
      registry = await openRegistry({ store, clock, random });
      client = registry.client();
      controllers = start(sim.connect());
      await clock.advance(0);
    },
    async close(): Promise<void> {
      await controllers.stop();
      registry.close();
      await store.close();
    },
  };
}

export const webDeployment = (replicas: number, image = "web:1", more: object = {}): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "web", image, ports: [{ name: "http", containerPort: 8080 }] }] },
    },
    ...more,
  },
});

export const webService = (type = "LoadBalancer"): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "default" },
  spec: { type, selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] },
});
