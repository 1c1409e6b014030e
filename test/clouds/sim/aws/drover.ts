import { seededRandom } from "../../../../src/base/random.ts";
import { VirtualClock } from "../../../../src/base/virtual.ts";
import type { AwsClients } from "../../../../src/clouds/aws/api.ts";
import { openAwsCloud } from "../../../../src/clouds/aws/cloud.ts";
import { type AwsFakeOptions, type FakeClients, openAwsFake } from "../../../../src/clouds/sim/aws/open.ts";
import { startControllers } from "../../../../src/controllers/start.ts";
import { openRegistry, type Registry } from "../../../../src/registry/registry.ts";
import { memoryStore } from "../../../../src/store/memory.ts";
import { type Mortality, mortal } from "../../../sim/process.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** The process dies at its call to AWS of this number, from 1 on, before it is made or after it was carried out. */
export type Death = { call: number; moment: "before" | "after" };

const never = <T>(): Promise<T> => new Promise(() => {});

/** `clients` as a process has them that dies by `death`: once it is dead, nothing is sent and nothing answered. */
function mortalClients(clients: FakeClients, mortality: Mortality, death: Death | undefined): AwsClients {
  let calls = 0;
  const wrap = ({ send }: FakeClients["ec2"]): FakeClients["ec2"] => ({
    async send(command, options) {
      if (mortality.dead) return never();
      const isLast = ++calls === death?.call;
      if (isLast && death?.moment === "before") mortality.dead = true;
      if (mortality.dead) return never();
      try {
        const answer = await send(command, options);
        if (isLast) mortality.dead = true;
        return mortality.dead ? never() : answer;
      } catch (error) {
        if (isLast) mortality.dead = true;
        if (mortality.dead) return never();
        throw error;
      }
    },
  });
  const entries = Object.entries(clients).map(([service, client]) => [service, wrap(client)]);
  return Object.fromEntries(entries) as FakeClients;
}

/** A whole drover on a fake of AWS, in virtual time: real controllers, the real `aws` cloud, simulated boxes. */
export async function openDrover(options: Partial<AwsFakeOptions> & { seed?: number; death?: Death } = {}) {
  const clock = new VirtualClock();
  const { seed = 1, death, ...given } = options;
  const random = seededRandom(seed);
  const fake = openAwsFake({ clock, random, inside: "boxes", hostedZones: ["cluster.local"], ...given });
  const warnings: string[] = [];
  let store = memoryStore();
  let registry: Registry | undefined;
  let mortality: Mortality = { dead: true, callsLeft: Number.POSITIVE_INFINITY, moment: "before" };

  const start = async (dies?: Death) => {
    registry?.close();
    mortality = { dead: false, callsLeft: Number.POSITIVE_INFINITY, moment: "before" };
    registry = await openRegistry({ store, clock, random });
    const cloud = openAwsCloud({
      clients: mortalClients(fake.connect(), mortality, dies),
      clock,
      cluster: "test",
      region: "us-east-1",
      onWarning: (message) => warnings.push(message),
    });
    const ports = mortal({ client: registry.client(), cloud, boxes: fake.connectBoxes() }, mortality, clock);
    // The wrapped ports have plain methods; what AWS can do beside them is not asked for here.
    const common = { clock, random, cluster: "test", log: silent, authorizedKey: "ssh-ed25519 AAAA test" };
    startControllers({ ...ports, ...common });
    await clock.advance(0);
  };
  await start(death);

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
    ...fake,
    clock,
    warnings,
    until,
    isDead: () => mortality.dead,
    /** People's way in, which outlives the process that dies. */
    get client() {
      if (registry === undefined) throw new Error("nothing is served yet");
      return registry.client();
    },
    /** Ends the process where it stands. */
    crash(): void {
      mortality.dead = true;
    },
    /** The same, and starts another one on what there is, without its store if that was lost. */
    async restart({ withStore = true } = {}): Promise<void> {
      mortality.dead = true;
      if (!withStore) store = memoryStore();
      await start();
    },
    async close(): Promise<void> {
      mortality.dead = true;
      registry?.close();
      await store.close();
    },
  };
}

export type Drover = Awaited<ReturnType<typeof openDrover>>;
