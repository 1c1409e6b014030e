import type { Deployment, Pod } from "../../src/api/types.gen.ts";
import { seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { AwsClients } from "../../src/clouds/aws/api.ts";
import { type AwsCloudOptions, openAwsCloud } from "../../src/clouds/aws/cloud.ts";
import type { Boxes } from "../../src/clouds/box.ts";
import type { FakeClient } from "../../src/clouds/sim/aws/client.ts";
import { type AwsFakeOptions, openAwsFake } from "../../src/clouds/sim/aws/open.ts";
import type { ControllerOptions } from "../../src/controllers/reconcilers.ts";
import { type Controllers, startControllers } from "../../src/controllers/start.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { type Mortality, mortal } from "../sim/process.ts";
import { openLaptop } from "./laptop.ts";

const quiet = { debug() {}, info() {}, warn(_: object, _message: string) {}, error() {} };
const loud = {
  debug() {},
  info: (_: object, message: string) => console.log("info", message),
  warn: (_: object, message: string) => console.log("warn", message),
  error: (_: object, message: string) => console.log("error", message),
};
/** Keeps what is logged for the reader of `drover serve`. */
const kept = (lines: string[], log: typeof loud): typeof loud => ({
  ...log,
  warn: (fields, message) => {
    lines.push(message);
    log.warn(fields, message);
  },
});
export const manager = { manager: "test" };

export type AwsClusterOptions = Partial<AwsFakeOptions> & { seed?: number; verbose?: boolean } & Pick<
    ControllerOptions,
    "machinesMax" | "usdPerHourMax"
  > & { cloud?: Partial<AwsCloudOptions> };
export type AwsCluster = Awaited<ReturnType<typeof openAwsCluster>>;

/** A process that can be killed: once it is dead none of its calls is made or answered. */
type Process = { mortality: Mortality; cloud: ReturnType<typeof openAwsCloud>; controllers: Controllers };

const never = <T>(): Promise<T> => new Promise(() => {});

/** A whole drover without HTTP on the fake of AWS, in virtual time. */
export async function openAwsCluster(options: AwsClusterOptions = {}) {
  const clock = new VirtualClock();
  const { seed = 1, verbose = false, machinesMax, usdPerHourMax, cloud: cloudFirst, ...given } = options;
  let cloudOptions = cloudFirst;
  const random = seededRandom(seed);
  const fake = openAwsFake({ clock, random, inside: "boxes", hostedZones: ["cluster.local"], ...given });
  const laptop = openLaptop(clock);
  const warnings: string[] = [];
  const logged: string[] = [];
  let store = memoryStore();
  let registry = await openRegistry({ store, clock, random });
  /** Asked at every call of a living process: whether it dies before it, or after it and without its answer. */
  let death: (action: string) => "before" | "after" | undefined = () => undefined;

  function mortalClients(mortality: Mortality): AwsClients {
    const mortal = ({ send }: FakeClient): FakeClient => ({
      send: async (command, given) => {
        if (mortality.dead) return never();
        const end = death(command.constructor.name.replace(/Command$/, ""));
        if (end === "before") mortality.dead = true;
        if (mortality.dead) return never();
        await laptop.awake();
        const result = throughSleep(send(command, given));
        if (end === "after") {
          await result.catch(() => undefined);
          mortality.dead = true;
        }
        const answer = await result.catch((error: unknown) =>
          mortality.dead ? never<never>() : Promise.reject(error),
        );
        return mortality.dead ? never() : answer;
      },
    });
    return Object.fromEntries(
      Object.entries(fake.connect()).map(([service, client]) => [service, mortal(client)]),
    ) as unknown as AwsClients;
  }

  /** Connections that were open when the lid was closed are lost. */
  async function throughSleep<T>(answer: Promise<T>): Promise<T> {
    const sleeps = laptop.sleeps();
    await answer.catch(() => undefined);
    await laptop.awake();
    if (laptop.sleeps() !== sleeps) throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    return answer;
  }

  /** What a sleeping computer's connections into machines tell, it hears when it wakes up. */
  const connectBoxes = (): Boxes => {
    const boxes = fake.connectBoxes();
    return {
      ...boxes,
      bind: (...given) => throughSleep(boxes.bind(...given)),
      update: (...given) => throughSleep(boxes.update(...given)),
      stop: (...given) => throughSleep(boxes.stop(...given)),
      onChange: (listener) =>
        boxes.onChange((id) => void (laptop.isOpen() ? listener(id) : laptop.awake().then(() => listener(id)))),
    };
  };

  const start = (): Process => {
    const mortality: Mortality = { dead: false, callsLeft: Number.POSITIVE_INFINITY, moment: "before" };
    const cloud = openAwsCloud({
      clients: mortalClients(mortality),
      clock: laptop.clock,
      cluster: "test",
      region: "us-east-1",
      onWarning: (message) => warnings.push(message),
      onResume: () => process.controllers.kick(),
      ...cloudOptions,
    });
    const ports = mortal({ client: registry.client(), cloud, boxes: connectBoxes() }, mortality, clock);
    const controllers = startControllers({
      ...ports,
      clock: laptop.clock,
      random,
      cluster: "test",
      log: kept(logged, verbose ? loud : quiet),
      authorizedKey: "ssh-ed25519 AAAA test",
      rootCertificate: "CA",
      declaredPortsOnly: true,
      ...(machinesMax !== undefined && { machinesMax }),
      ...(usdPerHourMax !== undefined && { usdPerHourMax }),
    });
    return { mortality, cloud, controllers };
  };
  let process = start();
  await clock.advance(0);

  /** Lets time pass until `done`; fails after `limitSeconds`. */
  async function until(what: string, done: () => boolean, limitSeconds = 1_800): Promise<number> {
    const startMs = clock.monotonicMs();
    while (!done()) {
      if (clock.monotonicMs() - startMs > limitSeconds * 1_000)
        throw new Error(`not within ${limitSeconds} s: ${what}`);
      await clock.advance(500);
    }
    return clock.monotonicMs() - startMs;
  }

  return {
    clock,
    laptop,
    fake,
    world: fake.world,
    /** What the cloud warns of, and what the controllers log beside. */
    warnings,
    logged,
    until,
    get client() {
      return registry.client();
    },
    get view() {
      return registry.view;
    },
    get cloud() {
      return process.cloud;
    },
    pods: (): readonly Pod[] => registry.view.list("pods", "default"),
    deployment: (name: string): Deployment | undefined => registry.view.get("deployments.apps", "default", name),
    events: (reason: string): readonly string[] =>
      registry.view
        .list("events")
        .filter((event) => event.reason === reason)
        .map(({ message }) => message ?? ""),
    dieBy(when: typeof death): void {
      death = when;
    },
    isDead: () => process.mortality.dead,
    /** What the next process is told of the cloud. */
    reopen(next: Partial<AwsCloudOptions>): void {
      cloudOptions = next;
    },
    /** Ends this process's controllers and starts others; `withStore` false: with an empty store. */
    async restart(withStore = true): Promise<void> {
      process.mortality.dead = true;
      death = () => undefined;
      if (!withStore) {
        registry.close();
        await store.close();
        store = memoryStore();
        registry = await openRegistry({ store, clock, random });
      }
      process = start();
      // As `drover serve` does before it answers anybody.
      await until("the provider has been looked at", () => process.controllers.hasLooked());
    },
    async close(): Promise<void> {
      process.mortality.dead = true;
      registry.close();
      await store.close();
    },
  };
}
