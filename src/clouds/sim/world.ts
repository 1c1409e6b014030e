import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { type Random, suffix } from "../../base/random.ts";
import type { BalancerSpec } from "../balancer.ts";
import type { Claim, Launch, Machine, NameRecord, Placement } from "../cloud.ts";
import { SimBox, type SimBoxState } from "./box.ts";
import { type Faults, noFaults } from "./faults.ts";
import { drawMs, ec2Latencies, type Latencies, type Latency } from "./latency.ts";
import type { SimDisk } from "./volumes.ts";

/** A machine's life as the moments at which it changes, on the world's monotonic scale in ms. */
export type SimMachine = {
  id: string;
  launchId: string;
  slot: number;
  placement: Placement;
  claim: Claim;
  cpuMillis: number;
  memoryBytes: number;
  address: string;
  visibleAtMs: number;
  runningAtMs: number;
  stoppingAtMs: number;
  goneAtMs: number;
  cause?: string;
  box: SimBox;
};

/** A machine in a group of a balancer. */
export type SimPlace = { groupId: string; machineId: string; draining: boolean };
export type SimTarget = {
  healthyAtMs: number;
  connections: number;
  /** When its connections are cut, while it drains. */
  cutAtMs?: number;
};

/** A balancer as it stands: what was asked for, and what became of each target, by group and machine. */
export type SimBalancer = { spec: BalancerSpec; readyAtMs: number; targets: Map<string, SimTarget> };

export const targetKey = (groupId: string, machineId: string): string => `${groupId} ${machineId}`;

export type WorldOptions = {
  clock: Clock;
  random: Random;
  faults?: Faults;
  latencies?: Latencies;
  /** How many machines the account may have at once. */
  machinesMax?: number;
};

/** What outlives a restart of the process, as JSON. */
export type WorldState = {
  machines: (Omit<SimMachine, "box"> & { box: SimBoxState })[];
  balancers: BalancerSpec[];
  names: NameRecord[];
  disks?: SimDisk[];
};

/**
 * The provider's side of the simulation: it goes on while drover is down. States are derived from recorded moments, so
 * an observation of the past is as easy as one of the present.
 */
export class World {
  readonly machines = new Map<string, SimMachine>();
  readonly launches = new Map<string, SimMachine[]>();
  readonly balancers = new Map<string, SimBalancer>();
  readonly names = new Map<string, NameRecord>();
  readonly disks = new Map<string, SimDisk>();
  /** Calls made so far, by name. */
  readonly calls = new Map<string, number>();
  readonly clock: Clock;
  readonly random: Random;
  readonly machinesMax: number;
  readonly latencies: Latencies;
  faults: Faults;
  /** Called after every change that a saved state must hold. */
  onChange: () => void = () => {};
  #addresses = 0;

  constructor(options: WorldOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.faults = options.faults ?? noFaults;
    this.latencies = options.latencies ?? ec2Latencies;
    this.machinesMax = options.machinesMax ?? 10_000;
  }

  drawMs = (latency: Latency): number => drawMs(this.random, latency);

  /** One call to the provider: its latency, its refusals, and the reply that may be lost after the work is done. */
  async call<T>(name: string, latency: Latency, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const totalMs = this.drawMs(latency);
    await this.clock.sleep(totalMs / 2, signal);
    this.faults.refuse(name);
    const answer = work();
    await this.clock.sleep(totalMs / 2, signal);
    if (this.faults.loseReply(name))
      throw new DroverError("CLOUD_UNAVAILABLE", `${name}: the reply was lost`, { call: name });
    return answer;
  }

  /** Machines that count against the account. */
  living = (): SimMachine[] => {
    const nowMs = this.clock.monotonicMs();
    return [...this.machines.values()].filter(({ goneAtMs }) => goneAtMs > nowMs);
  };

  /** The same id gives the same machines; a second call neither adds nor replaces any. */
  launch({ id, template, placement, slots, owner, names }: Launch): SimMachine[] {
    const known = this.launches.get(id);
    if (known) return known;
    const room = this.machinesMax - this.living().length;
    if (room <= 0) {
      throw new DroverError("CLOUD_QUOTA", `the account may have ${this.machinesMax} machines`, {
        machines: this.machinesMax,
      });
    }
    const size = { cpuMillis: template.cpuMillis, memoryBytes: template.memoryBytes };
    const count = this.faults.given(Math.min(room, slots.length));
    const made = Array.from({ length: count }, (_, slot) => {
      const claim = { owner, templateHash: template.hash, podName: names[slot] ?? "", podUid: slots[slot] ?? "" };
      return this.#make({ launchId: id, slot, placement, claim, ...size });
    });
    this.launches.set(id, made);
    this.onChange();
    return made;
  }

  #make(
    facts: Pick<SimMachine, "launchId" | "slot" | "placement" | "claim" | "cpuMillis" | "memoryBytes">,
  ): SimMachine {
    const nowMs = this.clock.monotonicMs();
    const runningAtMs = nowMs + this.drawMs(this.latencies.pendingToRunning);
    const number = ++this.#addresses;
    const machine: SimMachine = {
      ...facts,
      id: `i-${suffix(this.random, 10)}`,
      address: `10.90.${(number >> 8) & 255}.${number & 255}`,
      visibleAtMs: nowMs + this.drawMs(this.latencies.visible),
      runningAtMs,
      stoppingAtMs: Number.POSITIVE_INFINITY,
      goneAtMs: Number.POSITIVE_INFINITY,
      box: new SimBox(this, runningAtMs + this.drawMs(this.latencies.agent)),
    };
    this.machines.set(machine.id, machine);
    return machine;
  }

  /** Begins the end of a machine; `cause` when nobody asked for it. */
  end(machine: SimMachine, cause?: string): void {
    const nowMs = this.clock.monotonicMs();
    if (machine.stoppingAtMs <= nowMs) return;
    machine.stoppingAtMs = nowMs;
    machine.goneAtMs = nowMs + (cause === undefined ? this.drawMs(this.latencies.terminate) : 0);
    if (cause !== undefined) machine.cause = cause;
    machine.box.halt();
    this.onChange();
  }

  /** The process leaves the world: in it, nothing goes on any more. */
  freeze(): void {
    this.onChange = () => {};
    for (const { box } of this.machines.values()) box.halt();
  }

  save(): WorldState {
    const machines = [...this.machines.values()].map(({ box, ...facts }) => ({ ...facts, box: box.save() }));
    const balancers = [...this.balancers.values()].map(({ spec }) => withoutKeys(spec));
    return { machines, balancers, names: [...this.names.values()], disks: [...this.disks.values()] };
  }

  /** Moments saved by another process lie on its own scale; what was on its way, in or out, has arrived by now. */
  restore(state: WorldState): void {
    for (const { box, ...saved } of state.machines) {
      const hasEnded = Number.isFinite(saved.stoppingAtMs); // JSON has no infinity: it is null there.
      const endMs = hasEnded ? 0 : Number.POSITIVE_INFINITY;
      const arrived = { visibleAtMs: 0, runningAtMs: 0, stoppingAtMs: endMs, goneAtMs: endMs };
      const machine: SimMachine = { ...saved, ...arrived, box: new SimBox(this, 0) };
      if (hasEnded) machine.box.halt();
      else machine.box.restore(box);
      this.machines.set(machine.id, machine);
      this.launches.set(machine.launchId, [...(this.launches.get(machine.launchId) ?? []), machine]);
      this.#addresses++;
    }
    for (const spec of state.balancers) {
      // Those of earlier versions had no groups; they are made again.
      const keys = (spec.groups ?? []).flatMap(({ id, targets }) => targets.map((one) => targetKey(id, one.machineId)));
      const targets = keys.map((key) => [key, { healthyAtMs: 0, connections: 0 }] as const);
      if (spec.groups) this.balancers.set(spec.id, { spec, readyAtMs: 0, targets: new Map(targets) });
    }
    for (const record of state.names) this.names.set(record.name, record);
    for (const { place, ...disk } of state.disks ?? []) {
      const arrived = place && { place: { ...place, fromMs: 0, untilMs: place.untilMs ?? Number.POSITIVE_INFINITY } };
      this.disks.set(disk.spec.id, { ...disk, readyAtMs: 0, ...arrived });
    }
  }
}

/** Private keys are kept nowhere but in their Secrets. */
const withoutKeys = ({ listeners, ...spec }: BalancerSpec): BalancerSpec => ({
  ...spec,
  listeners: listeners.map(({ certificates: _, ...listener }) => listener),
});

/** The machine as the provider showed it at that moment. */
export function machineAt(machine: SimMachine, atMs: number): Machine {
  const { id, launchId, slot, placement, address, cause, claim } = machine;
  const { type, zone, capacityType } = placement;
  const gone = atMs >= machine.goneAtMs;
  const state = gone
    ? "gone"
    : atMs >= machine.stoppingAtMs
      ? "stopping"
      : atMs >= machine.runningAtMs
        ? "running"
        : "pending";
  const running = atMs >= machine.runningAtMs;
  const facts = { id, launchId, slot, state, type, zone, capacityType, claim } as const;
  return { ...facts, ...(running && { address }), ...(cause !== undefined && state !== "running" && { cause }) };
}
