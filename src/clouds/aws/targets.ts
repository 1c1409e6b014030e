import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Clock } from "../../base/clock.ts";
import { openPace, type Pace } from "../../base/pace.ts";
import type { Target } from "../balancer.ts";
import type { Send } from "./api.ts";
import { elbCode } from "./balancer-errors.ts";
import {
  isOut,
  isSettled,
  keyOf,
  type OwnState,
  type SeenTarget,
  seenTargets,
  staleMs,
  stateOf,
  type TargetKey,
  type Told,
} from "./target-states.ts";

type Member = { machineId: string; port: number };

/** So many in one call; a wave of a rollout is as large. */
const batchMax = 100;
/** Machines of a large rollout come one by one: orders are given so often, each for all that came meanwhile. */
const orders = { burst: 8, everyMs: 3_000 };

/** The targets of one target group: what should be there, what was asked for, and what AWS shows. */
export class GroupTargets {
  readonly arn: string;
  readonly #send: Send;
  readonly #clock: Clock;
  readonly #openedMs: number;
  readonly #pace: Pace;
  #wanted: Map<TargetKey, Target> | undefined;
  /** AWS has taken the orders for all that is wanted. */
  #isOrdered = false;
  #seen = new Map<TargetKey, SeenTarget>();
  readonly #told = new Map<TargetKey, Told>();
  /** Of machines that do not run yet, which AWS refuses. */
  #waiting = new Set<TargetKey>();
  /** Registrations that failed and were not seen to happen all the same: the next order repeats them. */
  readonly #undone = new Set<TargetKey>();
  /** Of machines that AWS has forgotten: it may show them for a while, and takes them out by itself. */
  readonly #forgotten = new Set<TargetKey>();
  #turn: Promise<unknown> = Promise.resolve();
  /** When the last look began; undefined before there was one. */
  lookedMs: number | undefined;
  /** When something was last seen or asked to change. */
  changedMs: number;

  constructor(send: Send, clock: Clock, arn: string) {
    this.arn = arn;
    this.#send = send;
    this.#clock = clock;
    this.#openedMs = clock.monotonicMs();
    this.#pace = openPace(clock.monotonicMs, orders);
    this.changedMs = this.#openedMs;
  }

  /** Something is under way: a target that is not simply healthy or out. */
  get isMoving(): boolean {
    return (
      this.#told.size > 0 || this.#waiting.size > 0 || [...this.#seen.values()].some(({ state }) => state !== "healthy")
    );
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Registers and deregisters what is needed, and no more. Returns once AWS has taken the orders. */
  want(targets: readonly Target[], signal?: AbortSignal): Promise<void> {
    this.#wanted = new Map(targets.map((target) => [keyOf(target.machineId, target.port), target]));
    this.#isOrdered = false;
    return this.#inTurn(() => this.#converge(signal));
  }

  /** Tries machines again that did not run the last time. */
  retry(signal?: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#converge(signal));
  }

  look(signal?: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#look(signal));
  }

  states(): OwnState[] {
    const keys = new Set([...(this.#wanted?.keys() ?? []), ...this.#seen.keys(), ...this.#told.keys()]);
    return [...keys].flatMap((key): OwnState[] => {
      const target = this.#wantedOf(key);
      const [seen, told, isWaiting] = [this.#seen.get(key), this.#told.get(key), this.#waiting.has(key)];
      // Before there was a look, nothing that is absent is known to be absent.
      if (target && this.lookedMs === undefined && seen === undefined) {
        return [{ machineId: target.machineId, state: target.draining ? "draining" : "initial" }];
      }
      if (target) return [stateOf(target, { seen, told, isWaiting })];
      const { machineId } = memberOf(key);
      // Nobody wants it: it is on its way out, except before anybody has said what is wanted.
      const state = stateOf({ machineId, draining: this.#wanted !== undefined }, { seen, told, isWaiting });
      return state.state === "drained" ? [] : [state];
    });
  }

  /** A draining target of port 0 is meant wherever the group has its machine. */
  #wantedOf(key: TargetKey): Target | undefined {
    return this.#wanted?.get(key) ?? this.#wanted?.get(keyOf(memberOf(key).machineId, 0));
  }

  /** One sentence about targets that somebody took out or put in. */
  drift(): string | undefined {
    if (this.#wanted === undefined || this.lookedMs === undefined || !this.#isOrdered) return undefined;
    const isQuiet = (key: TargetKey) => !this.#told.has(key) && !this.#waiting.has(key) && !this.#undone.has(key);
    const lost = [...this.#wanted].find(
      ([key, { draining }]) => !draining && isQuiet(key) && isOut(this.#seen.get(key)),
    );
    if (lost) return `The target ${lost[0]} was deregistered.`;
    const isStray = (key: TargetKey) => isQuiet(key) && !this.#forgotten.has(key) && !this.#wanted?.has(key);
    const added = [...this.#seen].find(([key, seen]) => !isOut(seen) && isStray(key));
    return added && `The target ${added[0]} was registered by somebody else.`;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #look(signal: AbortSignal | undefined): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const answer = await this.#send("elb", new DescribeTargetHealthCommand({ TargetGroupArn: this.arn }), { signal });
    const before = this.#text();
    this.#seen = seenTargets(answer.TargetHealthDescriptions);
    for (const [key, told] of this.#told) {
      if (!isSettled(told, this.#seen.get(key), startedMs)) continue;
      this.#told.delete(key);
      if (told.what === "in" && !told.isSure && isOut(this.#seen.get(key))) this.#undone.add(key);
    }
    this.lookedMs = startedMs;
    if (this.#text() !== before) this.changedMs = startedMs;
  }

  #text = (): string => JSON.stringify([[...this.#seen].sort(), [...this.#told.keys()]]);

  async #converge(signal: AbortSignal | undefined): Promise<void> {
    if (this.#wanted === undefined) return;
    if (this.lookedMs === undefined) await this.#look(signal);
    if (this.#changes().length > 0) {
      const waitMs = this.#pace.leftMs();
      if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
      this.#pace.take();
    }
    const wanted = this.#wanted;
    const [coming = [], going = []] = this.#changes();
    if (coming.length + going.length > 0) this.changedMs = this.#clock.monotonicMs();
    const full = await this.#registerAll(coming, signal);
    for (const batch of batches(going)) await this.#deregister(batch, signal);
    if (full) throw full;
    // What was wanted meanwhile has its own turn.
    this.#isOrdered = this.#wanted === wanted;
  }

  /** Those that come are registered before others go: nothing is left without a target in between. */
  #changes(): Member[][] {
    if (this.#wanted === undefined) return [];
    for (const key of this.#waiting) if (this.#wanted.get(key)?.draining !== false) this.#waiting.delete(key);
    const coming = [...this.#wanted].flatMap(([key, target]) => (target.draining || this.#isIn(key) ? [] : [target]));
    const present = new Set([...this.#seen.keys(), ...this.#told.keys()]);
    const going = [...present].filter((key) => this.#wanted?.get(key)?.draining !== false && this.#mayBeIn(key));
    going.push(...this.#doubtful(present));
    return coming.length + going.length > 0 ? [coming, going.map(memberOf)] : [];
  }

  /**
   * The process before this one may have registered a target a moment ago, so that the first looks don't show it. For
   * so long those that should be out are told to go although they can't be seen.
   */
  #doubtful(present: ReadonlySet<TargetKey>): TargetKey[] {
    if (this.#clock.monotonicMs() - this.#openedMs > staleMs) return [];
    return [...(this.#wanted ?? [])].flatMap(([key, { draining, port }]) =>
      draining && port > 0 && !present.has(key) ? [key] : [],
    );
  }

  #isIn(key: TargetKey): boolean {
    const told = this.#told.get(key);
    return told ? told.what === "in" && told.isSure : !isOut(this.#seen.get(key));
  }

  /** An order whose answer was lost may have been carried out. */
  #mayBeIn(key: TargetKey): boolean {
    const told = this.#told.get(key);
    if (told) return told.what === "in" || !told.isSure;
    const seen = this.#seen.get(key);
    return !isOut(seen);
  }

  /** @returns why not all of them fit in: room is made by those that go, so they must go all the same */
  async #registerAll(coming: readonly Member[], signal: AbortSignal | undefined): Promise<unknown> {
    try {
      for (const batch of batches(coming)) await this.#register(batch, signal);
      return undefined;
    } catch (error) {
      if (elbCode(error) === "TooManyTargets") return error;
      throw error;
    }
  }

  async #register(batch: readonly Member[], signal: AbortSignal | undefined): Promise<void> {
    for (const member of batch) this.#tell(member, "in", false);
    try {
      const command = new RegisterTargetsCommand({ TargetGroupArn: this.arn, Targets: inputOf(batch) });
      await this.#send("elb", command, { signal });
    } catch (error) {
      if (elbCode(error) !== "InvalidTarget") throw error;
      for (const member of batch) this.#told.delete(keyOf(member.machineId, member.port));
      if (batch.length === 1) {
        for (const { machineId, port } of batch) this.#waiting.add(keyOf(machineId, port));
        return;
      }
      for (const part of parts(batch, error)) await this.#register(part, signal);
      return;
    }
    for (const member of batch) {
      this.#tell(member, "in", true);
      this.#waiting.delete(keyOf(member.machineId, member.port));
    }
  }

  async #deregister(batch: readonly Member[], signal: AbortSignal | undefined): Promise<void> {
    for (const member of batch) this.#tell(member, "out", false);
    try {
      const command = new DeregisterTargetsCommand({ TargetGroupArn: this.arn, Targets: inputOf(batch) });
      await this.#send("elb", command, { signal });
    } catch (error) {
      if (elbCode(error) !== "InvalidTarget") throw error;
      // One that AWS does not know is not registered either.
      if (batch.length > 1) {
        for (const part of parts(batch, error)) await this.#deregister(part, signal);
        return;
      }
      for (const { machineId, port } of batch) this.#forgotten.add(keyOf(machineId, port));
    }
    for (const member of batch) this.#tell(member, "out", true);
  }

  #tell({ machineId, port }: Member, what: Told["what"], isSure: boolean): void {
    const key = keyOf(machineId, port);
    this.#told.set(key, { what, isSure, atMs: this.#clock.monotonicMs() });
    this.#undone.delete(key);
    if (what === "in") this.#forgotten.delete(key);
  }
}

const memberOf = (key: TargetKey): Member => {
  const at = key.lastIndexOf(":");
  return { machineId: key.slice(0, at), port: Number(key.slice(at + 1)) };
};

const inputOf = (members: readonly Member[]) => members.map(({ machineId, port }) => ({ Id: machineId, Port: port }));

const batches = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: Math.ceil(items.length / batchMax) }, (_, index) =>
    items.slice(index * batchMax, (index + 1) * batchMax),
  );

/** The refusal often names the bad ones: they go one by one and the others together; else both halves. */
function parts(batch: readonly Member[], error: unknown): Member[][] {
  const said = error instanceof Error ? error.message : "";
  const named = batch.filter(({ machineId }) => said.includes(machineId));
  const others = batch.filter((member) => !named.includes(member));
  if (named.length > 0 && others.length > 0) return [others, ...named.map((member) => [member])];
  const half = Math.ceil(batch.length / 2);
  return [batch.slice(0, half), batch.slice(half)];
}
