import { type Random, seededRandom } from "../../src/base/random.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import { drawnFaults, type FaultChances } from "../../src/clouds/sim/faults.ts";
import type { Latencies } from "../../src/clouds/sim/latency.ts";
import { openSimCloud } from "../../src/clouds/sim/open.ts";
import type { SimMachine, World } from "../../src/clouds/sim/world.ts";
import { startControllers } from "../../src/controllers/start.ts";
import type { Client } from "../../src/registry/client.ts";
import { openRegistry, type Registry } from "../../src/registry/registry.ts";
import type { View } from "../../src/registry/view.ts";
import { launchOf } from "../clouds/sim/given.ts";
import { availabilityFloor, surgeBound } from "./checkers/budget.ts";
import { endedRightly } from "./checkers/endings.ts";
import { failedOnlyWhenDead, oneMachinePerPod, strangersLive } from "./checkers/identity.ts";
import { Watchers } from "./checkers/order.ts";
import { leftOver, settled } from "./checkers/rest.ts";
import { Survival } from "./checkers/survival.ts";
import { Disk } from "./disk.ts";
import { type Mortality, moments, mortal, type Ports } from "./process.ts";
import { Requests } from "./requests.ts";
import { deeds } from "./workload.ts";

/** Looked at after every tick. */
const checkers = [oneMachinePerPod, strangersLive, failedOnlyWhenDead, surgeBound, availabilityFloor];
const tickMs = 200;
const activeMs = 120_000;
const restMs = 900_000;
/** Chance of a deed in a tick: one about every four seconds. */
const deedChance = 0.05;
const convergeCallsMax = 400;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const strangerLaunch = launchOf("somebody-elses", ["11111111-1111-4111-8111-111111111111"], {
  cluster: "sim",
  names: ["web-1"],
});

/** About a quarter of EC2's times: the order of things is the same, the run shorter. */
const latencies: Latencies = {
  launchCall: { p50Ms: 400, p99Ms: 1_200 },
  otherCall: { p50Ms: 40, p99Ms: 250 },
  visible: { p50Ms: 100, p99Ms: 2_500 },
  pendingToRunning: { p50Ms: 2_000, p99Ms: 9_000 },
  agent: { p50Ms: 1_500, p99Ms: 7_000 },
  pull: { p50Ms: 800, p99Ms: 5_000 },
  containerStart: { p50Ms: 400, p99Ms: 1_500 },
  targetHealthy: { p50Ms: 4_000, p99Ms: 15_000 },
  terminate: { p50Ms: 4_000, p99Ms: 15_000 },
};

/** A planted mistake: what a process holds of the outside, made wrong in one way. */
export type Bug = (ports: Ports, simulation: Simulation) => Ports;

/** One world from one seed: a provider with faults, drover processes that die and start again, and people who use it. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly world: World;
  readonly names: string[] = [];
  /** How many Deployments there have been. */
  named = 0;
  readonly strangers: string[] = [];
  /** Machines or Pods were taken away by somebody: the floor of availability does not hold for a while. */
  disturbed = false;
  readonly problems: string[] = [];
  readonly disk: Disk;
  readonly #connect: ReturnType<typeof openSimCloud>["connect"];
  readonly #requests: Requests;
  readonly #watchers = new Watchers();
  readonly #survival = new Survival();
  readonly #sizes = new Map<string, { wanted: number[]; reached: boolean }>();
  readonly #bug: Bug;
  #faultsActive = true;
  #registry: Registry | undefined;
  #client: Client | undefined;
  #mortality: Mortality = { dead: true, callsLeft: 0, moment: "before" };
  /** Somebody waits for an answer; a process that dies leaves it without one. */
  #busy = false;

  constructor(seed: number, bug: Bug = (ports) => ports) {
    this.random = seededRandom(seed);
    this.#bug = bug;
    this.disk = new Disk(this.clock, this.random);
    const faults = drawnFaults(this.random, drawChances(this.random), () => this.#faultsActive);
    const { world, connect } = openSimCloud({ clock: this.clock, random: this.random, faults, latencies });
    this.world = world;
    this.#connect = connect;
    this.#requests = new Requests(world, this.random);
    this.#checkEndings();
  }

  /** The API as people are served it now. */
  get client(): Client {
    if (this.#client === undefined) throw new Error("nothing is served yet");
    return this.#client;
  }

  get view(): View {
    return this.client.view;
  }

  /** The sizes a Deployment was given since it last was at rest, and whether it has ever been complete. */
  recentReplicas(name: string): { min: number; max: number; reached: boolean } {
    const { wanted, reached } = this.#sizes.get(name) ?? { wanted: [0], reached: false };
    return { min: Math.min(...wanted), max: Math.max(...wanted), reached };
  }

  /** From nothing to rest. Returns every rule that was broken, with the time it was. */
  async run(): Promise<readonly string[]> {
    await this.#start();
    this.#plantStranger();
    this.#act("deploy");
    while (this.clock.monotonicMs() < activeMs && this.problems.length === 0) {
      if (this.#mortality.dead) await this.#start();
      if (!this.#busy && this.random.next() < deedChance) this.#act(this.#drawnDeed());
      await this.#tick();
    }
    this.#faultsActive = false;
    this.#mortality.callsLeft = Number.POSITIVE_INFINITY;
    if (this.#mortality.dead) await this.#start();
    await this.#rest();
    this.#watchers.close();
    this.#registry?.close();
    return this.problems;
  }

  /** A drover process, over what its predecessors left in the store and at the provider. */
  async #start(): Promise<void> {
    this.#registry?.close();
    this.#busy = false;
    const { clock, random } = this;
    const dies = this.#faultsActive && random.next() < 0.7;
    const callsLeft = dies ? 1 + Math.floor(random.next() * 400) : Number.POSITIVE_INFINITY;
    const moment = moments[Math.floor(random.next() * moments.length)] ?? "before";
    const mortality: Mortality = { dead: false, callsLeft, moment };
    this.#mortality = mortality;
    const registry = await this.#passingTime(
      openRegistry({ store: this.disk.open(() => !mortality.dead), clock, random }),
    );
    this.#registry = registry;
    this.#watchers.follow(registry);
    this.#found(this.#survival.problems(registry.view, registry.revision()));
    const ports = mortal({ client: registry.client(), ...this.#connect() }, mortality, clock);
    this.#client = this.#survival.recorded(ports.client);
    const wrong = this.#bug(ports, this);
    startControllers({
      ...wrong,
      client: this.#survival.recorded(wrong.client),
      clock,
      random,
      cluster: "sim",
      log: silent,
      authorizedKey: "ssh-ed25519 AAAA sim",
    });
    await this.clock.advance(0);
  }

  /** A machine of the cluster that no record knows. */
  #plantStranger(): void {
    const { template } = strangerLaunch;
    for (const { id } of this.world.launch({ ...strangerLaunch, template })) this.strangers.push(id);
  }

  /** Lets time pass until `work` is done. */
  async #passingTime<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    for (await this.clock.advance(0); !isDone; ) await this.clock.advance(1);
    return work;
  }

  #drawnDeed(): string {
    const names = Object.keys(deeds);
    return names[Math.floor(this.random.next() * names.length)] ?? "";
  }

  /** People do one thing at a time, while everything else goes on, and let it be when drover dies over it. */
  #act(deed: string): void {
    this.#busy = true;
    const done = () => {
      this.#busy = false;
    };
    void deeds[deed]?.(this).then(done, (error: Error) => this.#found([`to ${deed} was refused: ${error.message}`]));
  }

  async #tick(): Promise<void> {
    await this.clock.advance(tickMs);
    this.#requests.tick();
    this.#measureSizes();
    for (const check of checkers) this.#found(check(this));
    this.#found(this.#watchers.problems());
    this.#found(this.#requests.lost.splice(0));
  }

  /** Without faults everything comes to rest, in bounded calls, and then stays as it is. */
  async #rest(): Promise<void> {
    const callsBefore = this.calls();
    while (this.clock.monotonicMs() < activeMs + restMs && this.problems.length === 0 && !settled(this))
      await this.#tick();
    if (this.problems.length > 0) return;
    this.#found(leftOver(this));
    const calls = this.calls() - callsBefore;
    if (calls > convergeCallsMax) this.#found([`coming to rest took ${calls} calls that change something`]);
  }

  /** Calls so far that change something at the provider. */
  calls(): number {
    const reading = ["observe", "observeBalancers", "offers", "console", "listNames"];
    return [...this.world.calls].reduce((sum, [name, count]) => sum + (reading.includes(name) ? 0 : count), 0);
  }

  #checkEndings(): void {
    const end = this.world.end.bind(this.world);
    this.world.end = (machine: SimMachine, cause?: string) => {
      if (cause === undefined && Number.isFinite(machine.stoppingAtMs) === false)
        this.#found(endedRightly(this, machine));
      end(machine, cause);
    };
  }

  #measureSizes(): void {
    for (const { metadata, spec, status } of this.view.list("deployments.apps")) {
      const replicas = spec.replicas ?? 1;
      const known = this.#sizes.get(metadata.name) ?? { wanted: [], reached: false };
      const atRest =
        status?.observedGeneration === metadata.generation &&
        status?.availableReplicas === replicas &&
        status?.replicas === replicas;
      this.#sizes.set(
        metadata.name,
        atRest
          ? { wanted: [replicas], reached: true }
          : { wanted: [...known.wanted, replicas], reached: known.reached },
      );
    }
  }

  #found(problems: readonly string[]): void {
    const seconds = (this.clock.monotonicMs() / 1_000).toFixed(1);
    for (const problem of problems) this.problems.push(`${seconds} s: ${problem}`);
  }
}

/** Swarm: each kind of fault is off in half of the runs, so that no two runs have the same enemies. */
function drawChances(random: Random): FaultChances {
  const drawn = (most: number) => (random.next() < 0.5 ? 0 : random.next() * most);
  return {
    throttle: drawn(0.15),
    outage: drawn(0.1),
    lostReply: drawn(0.1),
    partialLaunch: drawn(0.5),
    noCapacity: drawn(0.2),
    stale: drawn(0.3),
    incomplete: drawn(0.3),
  };
}
