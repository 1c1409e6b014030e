import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { BalancerSpec, BalancerState, Balancers } from "../balancer.ts";
import { readAnnotations } from "./annotations.ts";
import type { Send } from "./api.ts";
import { billOf } from "./balancer-bill.ts";
import { build, type Members, memberIds, tearDown } from "./balancer-build.ts";
import { findDrift } from "./balancer-drift.ts";
import { elbCode, explained } from "./balancer-errors.ts";
import { type Inventory, readInventory, type SeenTargetGroup } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint, planBalancer } from "./balancer-plan.ts";
import { balancerTag, nameTag, targetGroupTag } from "./balancer-tags.ts";
import { groupWarnings, warningsOf } from "./balancer-warnings.ts";
import { Watch } from "./balancer-watch.ts";
import { patience, type Workshop } from "./balancer-workshop.ts";
import { Certificates, certificatesFor } from "./certificates.ts";
import { kindOf } from "./errors.ts";
import { hidingSecrets } from "./login-actions.ts";
import type { Networks } from "./network.ts";
import type { SecurityGroups } from "./security-groups.ts";
import type { Tags } from "./tags.ts";
import { leastFar } from "./target-states.ts";

export type BalancersOptions = {
  send: Send;
  clock: Clock;
  cluster: string;
  networks: Pick<Networks, "find">;
  securityGroups: Pick<SecurityGroups, "forBalancers">;
  /** What somebody changed by hand is put back. Default: it is only told. */
  repairDrift?: boolean;
  /** The user's own tags for everything. */
  tags?: Tags;
  log: { warn(message: string): void };
};

/** What was ensured. `built`: the fingerprint of what was made whole, targets apart; absent: it has to be made again. */
type Entry = { plan: BalancerPlan; built?: string; drift?: string };

const remainsMs = 10_000;
/** Failures of looking that are so far apart are two troubles: more than two sweeps. */
const overMs = 900_000;

export const openAwsBalancers = (options: BalancersOptions): Balancers => {
  const balancers = new AwsBalancers(options);
  return {
    ensure: (spec, signal) => balancers.ensure(spec, signal),
    retarget: (spec, signal) => balancers.retarget(spec, signal),
    observe: (signal) => balancers.observe(signal),
    remove: (id, signal) => balancers.remove(id, signal),
  };
};

/**
 * Services by network load balancers, Ingresses by application load balancers. Nothing is kept but in memory: what
 * there is at AWS is known by its tags. Changes of one load balancer are made one after the other.
 */
class AwsBalancers implements Balancers {
  readonly #options: BalancersOptions;
  readonly #watch: Watch;
  readonly #certificates: Certificates;
  readonly #entries = new Map<string, Entry>();
  /** As each was last asked for, whether it could be made so or not. */
  readonly #asked = new Map<string, BalancerPlan>();
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #warnings = new Map<string, readonly string[]>();
  /** Load balancers that are gone but for their security groups, by name. */
  readonly #remains = new Map<string, { id: string; againMs: number }>();
  #inventory: Promise<Inventory> | undefined;
  /** When balancers could not be observed the last time. */
  #failedMs = Number.NEGATIVE_INFINITY;
  /** Counts changes, so that a sweep that ran beside one is not believed. */
  #changes = 0;

  constructor(options: BalancersOptions) {
    this.#options = options;
    this.#watch = new Watch(options.send, options.clock);
    this.#certificates = new Certificates(options.send, options.clock);
  }

  async ensure(spec: BalancerSpec, signal?: AbortSignal): Promise<void> {
    const plan = await this.#plan(spec);
    this.#asked.set(plan.id, plan);
    await this.#inTurn(plan.name, async () => {
      try {
        await this.#carryOut(plan, signal);
      } catch (error) {
        if (!/^(LoadBalancer|TargetGroup|Listener|Rule)NotFound$/.test(elbCode(error)))
          throw explained(error, spec.kind);
        // Deleted by hand since it was last seen: what there is now is read again, and the rest made again.
        this.#inventory = undefined;
        const entry = this.#entries.get(plan.id);
        if (entry) delete entry.built;
        await this.#carryOut(plan, signal).catch((again: unknown) => {
          throw explained(again, spec.kind);
        });
      }
    });
  }

  async #plan(spec: BalancerSpec): Promise<BalancerPlan> {
    const { settings, unknown } = readAnnotations(spec.kind, spec.annotations);
    const present = this.#entries.get(spec.id)?.plan.settings.certificates;
    const { certificates, warnings } = await certificatesFor(spec, settings, this.#certificates, present);
    this.#warnings.set(spec.id, [...warningsOf(spec, settings, unknown), ...warnings]);
    const { vpcId } = await this.#options.networks.find();
    const tags = { ...this.#options.tags, ...settings.tags };
    return planBalancer(spec, { ...settings, ...(certificates && { certificates }), tags }, vpcId);
  }

  async #carryOut(plan: BalancerPlan, signal: AbortSignal | undefined): Promise<void> {
    const inventory = await this.#current(signal);
    const entry = this.#entries.get(plan.id);
    const structure = structureOf(plan);
    if (entry?.built === structure) {
      entry.plan = plan;
    } else {
      await this.#build(plan, signal);
      this.#entries.set(plan.id, { plan, built: structure });
    }
    const targets = new Map(plan.targetGroups.map((group) => [group.groupId, group.targets]));
    await this.#watch.want(ownGroups([...inventory.targetGroups.values()], plan.id), targets, signal);
  }

  async retarget({ id, groups }: BalancerSpec, signal?: AbortSignal): Promise<void> {
    const targets = new Map(groups.map((group) => [group.id, group.targets]));
    const { targetGroups } = await this.#current(signal);
    const own = ownGroups([...targetGroups.values()], id);
    const named = own.filter(({ tags }) => targets.has(tags[targetGroupTag] ?? ""));
    await this.#watch.want(named, targets, signal);
  }

  async #build(plan: BalancerPlan, signal: AbortSignal | undefined): Promise<void> {
    const workshop = await this.#workshop(signal);
    this.#changed();
    try {
      const members = this.#members(workshop, plan.name, plan);
      await build(workshop, plan, members, () => this.#options.securityGroups.forBalancers());
    } finally {
      this.#changed();
    }
  }

  async observe(signal?: AbortSignal): Promise<{ balancers: readonly BalancerState[]; complete: boolean }> {
    const inventory = await this.#current(signal);
    const nowMs = this.#options.clock.monotonicMs();
    let complete = true;
    const failed = (error: unknown) => {
      if (!(error instanceof DroverError)) throw error;
      complete = false;
      // Told once until it is over; an expired login is told once for all calls.
      const isTold = nowMs - this.#failedMs < overMs;
      this.#failedMs = nowMs;
      if (!isTold && kindOf(error) !== "expired")
        this.#options.log.warn(`Balancers can't be observed: ${error.message}`);
    };
    const { gone, error } = await this.#watch.tick(inventory, signal);
    for (const group of gone) {
      inventory.targetGroups.delete(group.name);
      this.#lost(group.tags[balancerTag] ?? "", `The target group ${group.name} was deleted.`);
    }
    if (error !== undefined) failed(error);
    if (this.#watch.isSweepDue) await this.#sweep(signal).catch(failed);
    await this.#retire(inventory, signal).catch(failed);
    await this.#clearRemains(signal).catch(failed);
    return { balancers: this.#states(await this.#current(signal)), complete };
  }

  #states(inventory: Inventory): BalancerState[] {
    const groups = [...inventory.targetGroups.values()];
    const plans = [...this.#entries.values()].map(({ plan }) => plan);
    const tagged = [...groups, ...inventory.loadBalancers.values(), ...inventory.securityGroups.values()];
    const ids = new Set([...this.#entries.keys(), ...tagged.flatMap(({ tags }) => tags[balancerTag] ?? [])]);
    return [...ids].map((id): BalancerState => {
      const entry = this.#entries.get(id);
      const own = ownGroups(groups, id);
      const balancer = inventory.loadBalancers.get(entry?.plan.name ?? own[0]?.loadBalancer ?? "");
      const named = tagged.find(({ tags }) => tags[balancerTag] === id)?.tags[nameTag];
      const hostname = balancer?.raw.DNSName;
      const targets = own.map((group) => this.#watch.targetsOf(group));
      const shared = entry ? groupWarnings(entry.plan, plans) : [];
      const warnings = [...(this.#warnings.get(id) ?? []), ...shared];
      const drift = entry?.drift ?? targets.map((each) => each.drift()).find((each) => each !== undefined);
      return {
        id,
        name: entry?.plan.people ?? named ?? "",
        ready: /^active/.test(balancer?.raw.State?.Code ?? ""),
        addresses: hostname === undefined ? [] : [{ hostname }],
        targets: leastFar(targets.flatMap((each) => each.states())),
        // Deregistering takes effect after a time that AWS does not tell.
        sendsUntilDrained: true,
        ...(drift === undefined ? {} : { drift }),
        ...(entry && entry.built === undefined && { lost: true }),
        ...(balancer && { bill: billOf(balancer) }),
        ...(warnings.length > 0 && { warnings }),
      };
    });
  }

  /** What AWS still holds afterwards stays in sight, and `observe` goes on with it. */
  async remove(id: string, signal?: AbortSignal): Promise<void> {
    const inventory = await this.#current(signal);
    this.#entries.delete(id);
    this.#asked.delete(id);
    this.#warnings.delete(id);
    for (const name of this.#namesOf(inventory, id)) {
      const remains = this.#remains.get(name);
      const isSoon = remains?.id === id && this.#options.clock.monotonicMs() < remains.againMs;
      if (!isSoon) await this.#tearDown(name, id, signal);
    }
  }

  /** Ends the balancer's share of a load balancer, unless it has gone back to it by the time that its turn comes. */
  #tearDown(name: string, id: string, signal: AbortSignal | undefined): Promise<void> {
    return this.#inTurn(name, async () => {
      if (this.#entries.get(id)?.plan.name === name) return void this.#remains.delete(name);
      const workshop = await this.#workshop(signal);
      this.#changed();
      try {
        const isGone = await tearDown(workshop, name, id, this.#members(workshop, name, undefined, id));
        const againMs = this.#options.clock.monotonicMs() + remainsMs;
        if (isGone) this.#remains.delete(name);
        else this.#remains.set(name, { id, againMs });
      } finally {
        this.#changed();
      }
    });
  }

  async #clearRemains(signal: AbortSignal | undefined): Promise<void> {
    for (const [name, { id, againMs }] of [...this.#remains]) {
      if (this.#options.clock.monotonicMs() >= againMs) await this.#tearDown(name, id, signal);
    }
  }

  #namesOf({ targetGroups, loadBalancers, securityGroups }: Inventory, id: string): Set<string> {
    const isOwn = ({ tags }: { tags: Tags }) => tags[balancerTag] === id;
    const entry = this.#entries.get(id);
    return new Set([
      ...(entry ? [entry.plan.name] : []),
      ...[...targetGroups.values()].filter(isOwn).map(({ loadBalancer }) => loadBalancer),
      ...[...loadBalancers.values(), ...securityGroups.values()].filter(isOwn).map(({ name }) => name),
    ]);
  }

  /** Load balancers that another one has replaced (another scheme, name or group) go once that one is active. */
  async #retire(inventory: Inventory, signal: AbortSignal | undefined): Promise<void> {
    for (const [id, { plan, built }] of this.#entries) {
      const isActive = /^active/.test(inventory.loadBalancers.get(plan.name)?.raw.State?.Code ?? "");
      if (built === undefined || !isActive) continue;
      for (const name of this.#namesOf(inventory, id)) {
        if (name !== plan.name && !this.#remains.has(name)) await this.#tearDown(name, id, signal);
      }
    }
  }

  /** Reads everything again and compares: what was deleted is made again by the next `ensure` only. */
  async #sweep(signal: AbortSignal | undefined): Promise<void> {
    const before = this.#changes;
    const { send, cluster, networks, repairDrift = false, securityGroups } = this.#options;
    const { vpcId } = await networks.find();
    const { inventory, calls } = await readInventory({ send, cluster, vpcId, signal, withWebAcls: true });
    this.#watch.swept(calls);
    if (this.#changes !== before) return;
    this.#inventory = Promise.resolve(inventory);
    const letIn = await securityGroups.forBalancers();
    const workshop = await this.#workshop(signal);
    for (const [id, entry] of this.#entries) {
      if (entry.built === undefined) continue;
      const members = this.#members(workshop, entry.plan.name, entry.plan);
      const { deleted, edited } = findDrift(inventory, entry.plan, members, letIn);
      delete entry.drift;
      if (deleted !== undefined) this.#lost(id, deleted);
      if (edited === undefined) continue;
      entry.drift = edited;
      if (repairDrift) await this.#inTurn(entry.plan.name, () => this.#build(entry.plan, signal));
    }
  }

  #lost(id: string, drift: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    delete entry.built;
    entry.drift = drift;
  }

  #members(workshop: Workshop, name: string, plan: BalancerPlan | undefined, without = plan?.id): Members {
    const others = [...this.#entries.values()].map((entry) => entry.plan);
    const plans = others.filter((other) => other.name === name && other.id !== without);
    if (plan) plans.push(plan);
    plans.sort((a, b) => a.order - b.order || (a.people < b.people ? -1 : 1));
    const asked = [...this.#asked.values()].filter((each) => each.name === name);
    const areAll = (known: readonly BalancerPlan[]) =>
      [...memberIds(workshop, name)].every((id) => id === without || known.some((each) => each.id === id));
    return { plans, isWhole: areAll(plans), asked: { plans: asked, isWhole: areAll(asked) } };
  }

  #changed(): void {
    this.#changes++;
    this.#watch.changed();
  }

  async #workshop(signal: AbortSignal | undefined): Promise<Workshop> {
    const { clock, networks, repairDrift = false } = this.#options;
    const send: Send = hidingSecrets((service, command, options) =>
      this.#options.send(service, command, { signal, ...options }),
    );
    const network = await networks.find();
    return {
      send,
      network,
      inventory: await this.#current(signal),
      repairs: repairDrift,
      patiently: patience(clock, signal),
    };
  }

  /** What there is, read once. Callers wait together; a failed reading is forgotten. */
  #current(signal: AbortSignal | undefined): Promise<Inventory> {
    const { send, cluster, networks } = this.#options;
    const known =
      this.#inventory ??
      networks
        .find()
        .then(({ vpcId }) => readInventory({ send, cluster, vpcId, signal }))
        .then(({ inventory }) => inventory);
    this.#inventory = known;
    known.catch(() => {
      if (this.#inventory === known) this.#inventory = undefined;
    });
    return known;
  }

  #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const done = (this.#turns.get(name) ?? Promise.resolve()).then(work, work);
    const settled = done
      .catch(() => undefined)
      .finally(() => this.#turns.get(name) === settled && this.#turns.delete(name));
    this.#turns.set(name, settled);
    return done;
  }
}

/** Also behind a load balancer that is about to be replaced. */
const ownGroups = (groups: readonly SeenTargetGroup[], id: string): SeenTargetGroup[] =>
  groups.filter(({ tags }) => tags[balancerTag] === id);

const structureOf = ({ targetGroups, ...plan }: BalancerPlan): string =>
  fingerprint([plan, targetGroups.map(({ targets: _, ...group }) => group)]);
