import { DescribeLoadBalancersCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Clock } from "../../base/clock.ts";
import type { Target } from "../balancer.ts";
import type { Send } from "./api.ts";
import { elbCode } from "./balancer-errors.ts";
import type { Inventory, SeenLoadBalancer, SeenTargetGroup } from "./balancer-inventory.ts";
import { targetGroupTag } from "./balancer-tags.ts";
import { GroupTargets } from "./targets.ts";

/** Target groups in motion are looked at so often, more slowly when there are many of them. */
const movingMs = 3_000;
const movingEachMs = 250;
/** Without any change for so long it is no motion any more, whatever the targets' states. */
const motionMs = 600_000;
/** At rest one call in so long, over all target groups in turn: half of the budget of one call in 10 s. */
const restMs = 20_000;
const balancersMs = 5_000;
const retryMs = 5_000;
const sweepMs = 300_000;
/** What was made a moment ago may not be listed yet: nothing is judged missing before. */
const settleMs = 60_000;
const balancerArnsMax = 20;

const isActive = ({ raw }: SeenLoadBalancer): boolean => /^active/.test(raw.State?.Code ?? "");

/** Decides when to look at what, so that what moves is seen soon and what rests costs next to nothing. */
export class Watch {
  readonly #send: Send;
  readonly #clock: Clock;
  readonly #groups = new Map<string, GroupTargets>();
  #nextRestMs = 0;
  #balancersMs = Number.NEGATIVE_INFINITY;
  #retriedMs = Number.NEGATIVE_INFINITY;
  #sweepMs: number;

  constructor(send: Send, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
    this.#sweepMs = clock.monotonicMs() + sweepMs;
  }

  targetsOf({ arn }: SeenTargetGroup): GroupTargets {
    const known = this.#groups.get(arn) ?? new GroupTargets(this.#send, this.#clock, arn);
    this.#groups.set(arn, known);
    return known;
  }

  /** Registers and deregisters in all of these groups; `targets`: by the group's own name in its balancer. */
  async want(
    groups: readonly SeenTargetGroup[],
    targets: ReadonlyMap<string, readonly Target[]>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const done = await Promise.allSettled(
      groups.map((group) => this.targetsOf(group).want(targets.get(group.tags[targetGroupTag] ?? "") ?? [], signal)),
    );
    for (const one of done) if (one.status === "rejected") throw one.reason;
  }

  /** Something was made or ended: the next sweep waits until AWS lists it. */
  changed(): void {
    this.#sweepMs = Math.max(this.#sweepMs, this.#clock.monotonicMs() + settleMs);
  }

  get isSweepDue(): boolean {
    return this.#clock.monotonicMs() >= this.#sweepMs;
  }

  /** A sweep's calls are saved up for afterwards, by looking at targets later and sweeping more seldom. */
  swept(calls: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#sweepMs = nowMs + Math.max(sweepMs, calls * restMs * 2);
    this.#nextRestMs = Math.max(this.#nextRestMs, nowMs) + calls * restMs;
  }

  /** Looks at what is due. `gone`: target groups that are not there any more; `error`: of a look that failed. */
  async tick(
    inventory: Inventory,
    signal: AbortSignal | undefined,
  ): Promise<{ gone: SeenTargetGroup[]; error?: unknown }> {
    const present = new Map([...inventory.targetGroups.values()].map((group) => [group.arn, group]));
    for (const arn of this.#groups.keys()) if (!present.has(arn)) this.#groups.delete(arn);
    const due = this.#due([...present.values()]);
    const waiting = this.#waiting();
    const looks = await Promise.allSettled([
      this.#lookAtBalancers(inventory, signal),
      ...due.map((group) => this.targetsOf(group).look(signal)),
      ...waiting.map((group) => group.retry(signal)),
    ]);
    const errors = looks.flatMap((look) => (look.status === "rejected" ? [look.reason] : []));
    const isGone = (_: SeenTargetGroup, index: number) => {
      const look = looks[index + 1];
      return look?.status === "rejected" && elbCode(look.reason) === "TargetGroupNotFound";
    };
    const error = errors.find((each) => elbCode(each) !== "TargetGroupNotFound");
    return { gone: due.filter(isGone), ...(error === undefined ? {} : { error }) };
  }

  #due(groups: readonly SeenTargetGroup[]): SeenTargetGroup[] {
    const nowMs = this.#clock.monotonicMs();
    const known = groups.map((group) => ({ group, targets: this.targetsOf(group) }));
    const moving = known.filter(({ targets }) => isMoving(targets, nowMs));
    const everyMs = Math.max(movingMs, moving.length * movingEachMs);
    const due = moving.filter(({ targets }) => nowMs - (targets.lookedMs ?? Number.NEGATIVE_INFINITY) >= everyMs);
    const resting = known.filter(({ targets }) => !isMoving(targets, nowMs));
    const [oldest] = resting.sort((a, b) => (a.targets.lookedMs ?? 0) - (b.targets.lookedMs ?? 0));
    if (oldest && nowMs >= this.#nextRestMs) {
      this.#nextRestMs = nowMs + restMs;
      due.push(oldest);
    }
    return due.map(({ group }) => group);
  }

  #waiting(): GroupTargets[] {
    const waiting = [...this.#groups.values()].filter(({ isWaiting }) => isWaiting);
    if (waiting.length === 0 || this.#clock.monotonicMs() - this.#retriedMs < retryMs) return [];
    this.#retriedMs = this.#clock.monotonicMs();
    return waiting;
  }

  /** Load balancers that are still being made, which takes minutes. */
  async #lookAtBalancers(inventory: Inventory, signal: AbortSignal | undefined): Promise<void> {
    const made = [...inventory.loadBalancers.values()].filter((each) => !isActive(each));
    if (made.length === 0 || this.#clock.monotonicMs() - this.#balancersMs < balancersMs) return;
    this.#balancersMs = this.#clock.monotonicMs();
    const LoadBalancerArns = made.slice(0, balancerArnsMax).map(({ arn }) => arn);
    const page = await this.#send("elb", new DescribeLoadBalancersCommand({ LoadBalancerArns }), { signal });
    for (const raw of page.LoadBalancers ?? []) {
      const seen = inventory.loadBalancers.get(raw.LoadBalancerName ?? "");
      if (seen) seen.raw = raw;
    }
  }
}

const isMoving = (targets: GroupTargets, nowMs: number): boolean =>
  targets.lookedMs === undefined || (targets.isMoving && nowMs - targets.changedMs < motionMs);
