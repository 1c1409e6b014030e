import type { ContainerStatus } from "../../api/types.gen.ts";
import { rfc3339 } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { uuid } from "../../base/random.ts";
import type { Binding, BoxEvent, Report } from "../box.ts";
import { type ContainerHost, SimContainer } from "./container.ts";
import type { World } from "./world.ts";

/** What of a box outlives the process. */
export type SimBoxState = { bootId: string; binding?: Binding; statuses: ContainerStatus[]; events: BoxEvent[] };

/** The newest events a report carries. */
const eventsMax = 50;
const logLinesMax = 1_000;

/** The inside of a simulated machine: an agent that runs a bound Pod's containers as timers. */
export class SimBox {
  readonly #world: World;
  readonly #readyAtMs: number;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #logs = new Map<string, string[]>();
  #bootId: string;
  #binding: Binding | undefined;
  #stopping = false;
  #finished = false;
  #events: BoxEvent[] = [];
  #init: SimContainer[] = [];
  #main: SimContainer[] = [];
  readonly #stopped = new AbortController();
  readonly #silent = AbortSignal.any([this.#ended.signal, this.#stopped.signal]);

  /** `readyAtMs`: from when on the agent answers, monotonic. */
  constructor(world: World, readyAtMs: number) {
    this.#world = world;
    this.#readyAtMs = readyAtMs;
    this.#bootId = uuid(world.random);
  }

  get readyAtMs(): number {
    return this.#readyAtMs;
  }

  answers = (): boolean => this.#world.clock.monotonicMs() >= this.#readyAtMs && !this.#ended.signal.aborted;
  /** Something runs in it that accepts connections. */
  serves = (): boolean => this.#main.some(({ status }) => status.state?.running !== undefined);
  binding = (): Binding | undefined => this.#binding;
  container = (name: string): SimContainer | undefined =>
    [...this.#init, ...this.#main].find(({ spec }) => spec.name === name);
  logLines = (container: string): readonly string[] => this.#logs.get(container) ?? [];
  ended = (): AbortSignal => this.#ended.signal;
  /** The processes in it have ended, or the whole machine has: open connections are closed. */
  silent = (): AbortSignal => this.#silent;

  console(): string {
    return this.answers() ? `sim: cloud-init finished\nsim: boot ${this.#bootId}, agent ready\n` : "sim: booting\n";
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(): Report {
    const bound = this.#binding === undefined ? {} : { uid: this.#binding.uid };
    const copy = (containers: SimContainer[]) => containers.map(({ status }) => structuredClone(status));
    return {
      version: 1,
      agentVersion: "sim",
      bootId: this.#bootId,
      ...bound,
      initContainerStatuses: copy(this.#init),
      containerStatuses: copy(this.#main),
      finished: this.#finished,
      stopping: this.#stopping,
      events: this.#events.slice(-eventsMax),
    };
  }

  bind(binding: Binding): void {
    if (this.#binding !== undefined) {
      if (this.#binding.uid === binding.uid) {
        this.#bindAgain(binding);
        return;
      }
      throw new DroverError("BOX_TAKEN", `the machine is bound to Pod ${this.#binding.uid}`, {
        uid: this.#binding.uid,
      });
    }
    this.#binding = binding;
    this.#populate(binding);
    this.#start();
    this.#changed();
  }

  #bindAgain(binding: Binding): void {
    this.#binding = binding;
    for (const spec of [...binding.initContainers, ...binding.containers]) this.container(spec.name)?.renew(spec);
  }

  /** preStop and SIGTERM: a simulated process ends after half a second, or at its grace if that is sooner. */
  async stop(graceSeconds: number): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const { spec } of this.#main) this.#event("Normal", "Killing", `Stopping container ${spec.name}`, spec.name);
    await this.#world.clock.sleep(Math.min(graceSeconds * 1_000, 500));
    this.#stopped.abort(new Error("the Pod was stopped"));
    for (const container of this.#main) container.ended(0);
    this.#finished = true;
    this.#changed();
  }

  /** The machine is ended or has died: nothing on it goes on. */
  halt(): void {
    this.#ended.abort(new Error("the machine has ended"));
    this.#changed();
  }

  request(container: string, line: string): void {
    this.#log(container, line);
  }

  #host = (restartPolicy: Binding["restartPolicy"]): ContainerHost => ({
    world: this.#world,
    restartPolicy,
    changed: () => this.#changed(),
    event: (...fields) => this.#event(...fields),
    log: (container, line) => this.#log(container, line),
  });

  #populate(binding: Binding, saved: readonly ContainerStatus[] = []): void {
    const status = (name: string) => saved.find((one) => one.name === name);
    const host = this.#host(binding.restartPolicy);
    const initHost = this.#host(binding.restartPolicy === "Always" ? "OnFailure" : binding.restartPolicy);
    this.#init = binding.initContainers.map((spec) => new SimContainer(spec, initHost, status(spec.name)));
    this.#main = binding.containers.map((spec) => new SimContainer(spec, host, status(spec.name)));
  }

  #start(): void {
    const signal = this.#silent;
    const life = async () => {
      for (const container of this.#init) {
        if (container.spec.sidecar) void container.live(signal).catch(() => {});
        else if (container.status.state?.terminated === undefined && (await container.live(signal)) !== 0) return;
      }
      await Promise.all(this.#main.map((container) => container.live(signal)));
    };
    life().then(
      () => {
        this.#finished = true;
        this.#changed();
      },
      () => {}, // It was stopped or its machine ended; both have said so themselves.
    );
  }

  #event(type: "Normal" | "Warning", reason: string, message: string, container: string): void {
    const id = (this.#events.at(-1)?.id ?? 0) + 1;
    this.#events = [
      ...this.#events.slice(1 - eventsMax),
      { id, type, reason, message, container, atMs: this.#world.clock.wallMs() },
    ];
    this.#changed();
  }

  #log(container: string, line: string): void {
    const lines = this.#logs.get(container) ?? [];
    lines.push(`${rfc3339(this.#world.clock.wallMs()).replace("Z", ".000000000Z")} ${line}`);
    if (lines.length > logLinesMax) lines.shift();
    this.#logs.set(container, lines);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#world.onChange();
  }

  save(): SimBoxState {
    const statuses = [...this.#init, ...this.#main].map(({ status }) => status);
    const binding = this.#binding === undefined ? {} : { binding: this.#binding };
    return { bootId: this.#bootId, ...binding, statuses, events: this.#events };
  }

  /** A container that ran goes on running, with its start time. */
  restore({ bootId, binding, statuses, events }: SimBoxState): void {
    this.#bootId = bootId;
    this.#events = events;
    if (binding === undefined) return;
    this.#binding = binding;
    this.#populate(binding, statuses);
    this.#start();
  }
}
