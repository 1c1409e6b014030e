import type { Clock } from "../../base/clock.ts";
import type { AwsClients } from "./api.ts";

type Service = keyof AwsClients;
/** `size`: tokens of a full bucket. */
type Rate = { size: number; perSecond: number };
type Rule = { service: Service; actions: RegExp; requests: Rate; resources?: Rate; shared?: boolean };

/**
 * AWS' own token buckets, one an action, per account and region; the first rule that matches counts. `resources` is a
 * second bucket that counts instances. `shared`: all actions of the rule draw from one. Where AWS publishes no figure,
 * or several, the lower one is taken; throttled buckets shrink by themselves.
 */
const rules: readonly Rule[] = [
  rule("ec2", /^RunInstances$/, [5, 2], [1000, 2]),
  rule("ec2", /^TerminateInstances$/, [100, 5], [1000, 20]),
  rule("ec2", /^StopInstances$/, [50, 5], [1000, 20]),
  rule("ec2", /^StartInstances$/, [5, 2], [1000, 2]),
  rule("ec2", /^(Describe|Get|List)/, [100, 20]),
  rule("ec2", /^(Create|Delete)Tags$/, [100, 10]),
  rule("ec2", /^(CreateVolume|CreateSnapshot|CreateNetworkInterface|AssignPrivateIpAddresses)$/, [100, 5]),
  rule("ec2", /./, [50, 5]),
  { ...rule("elb", /^Describe/, [40, 10]), shared: true },
  rule("elb", /^(Register|Deregister)Targets$/, [20, 4]),
  rule("elb", /./, [20, 3]),
  { ...rule("route53", /./, [10, 5]), shared: true },
  rule("ssm", /./, [40, 20]),
  rule("pricing", /./, [10, 5]),
  rule("quotas", /./, [10, 5]),
  rule("sts", /./, [20, 10]),
  rule("acm", /./, [10, 5]),
  rule("wafv2", /^Get/, [1, 1]),
  rule("wafv2", /./, [1, 0.5]),
];

function rule(service: Service, actions: RegExp, requests: [number, number], resources?: [number, number]): Rule {
  const rate = ([size, perSecond]: [number, number]): Rate => ({ size, perSecond });
  return { service, actions, requests: rate(requests), ...(resources && { resources: rate(resources) }) };
}

/** After a throttle a bucket refills at half its rate, down to a sixteenth, and doubles again after this time. */
const recoverMs = 20_000;
const shareMin = 1 / 16;

/** Who takes more than there is waits for as long as the missing part needs, so everybody is served in order. */
class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;
  #share = 1;
  #shareAtMs = 0;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.size;
    this.#atMs = nowMs;
  }

  /** Takes `count` tokens and returns after how many milliseconds they are there. */
  take(count: number, nowMs: number): number {
    this.#refill(nowMs);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond()) * 1_000);
  }

  /** Of a call that was given up before it was made. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.#rate.size, this.#tokens + count);
  }

  /** AWS says that its own bucket is empty: so is this one. Tells whether it was slowed down before and still is. */
  throttled(nowMs: number): boolean {
    this.#refill(nowMs);
    const isAgain = this.#share < 1;
    this.#tokens = Math.min(this.#tokens, 0);
    this.#share = Math.max(shareMin, this.#share / 2);
    this.#shareAtMs = nowMs;
    return isAgain;
  }

  #perSecond = (): number => this.#rate.perSecond * this.#share;

  #refill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(this.#rate.size, this.#tokens + (passedMs / 1_000) * this.#perSecond());
    this.#atMs = nowMs;
    while (this.#share < 1 && nowMs - this.#shareAtMs >= recoverMs) {
      this.#share = Math.min(1, this.#share * 2);
      this.#shareAtMs += recoverMs;
    }
  }
}

export type Buckets = {
  /** Waits until AWS has tokens for one request of this action about `resources` instances. */
  take(service: Service, action: string, resources: number, signal?: AbortSignal): Promise<void>;
  throttled(service: Service, action: string): void;
};

/** `factor`: how much more than AWS' defaults this account may do, where its quotas were raised. Default: 1. */
export function openBuckets(clock: Clock, factor = 1): Buckets {
  const open = new Map<string, TokenBucket>();
  const bucket = (name: string, { size, perSecond }: Rate): TokenBucket => {
    const known = open.get(name);
    if (known) return known;
    const made = new TokenBucket({ size: size * factor, perSecond: perSecond * factor }, clock.monotonicMs());
    open.set(name, made);
    return made;
  };
  const bucketsOf = (service: Service, action: string) => {
    const found = rules.find((each) => each.service === service && each.actions.test(action));
    const rate = found ?? { requests: { size: 10, perSecond: 1 } };
    const name = `${service}:${found?.shared ? found.actions.source : action}`;
    return {
      requests: bucket(name, rate.requests),
      ...(found?.resources && { resources: bucket(`${name} resources`, found.resources) }),
    };
  };
  return {
    async take(service, action, resources, signal) {
      const { requests, resources: second } = bucketsOf(service, action);
      const nowMs = clock.monotonicMs();
      const waitMs = Math.max(requests.take(1, nowMs), second?.take(resources, nowMs) ?? 0);
      if (waitMs === 0) return;
      try {
        await clock.sleep(waitMs, signal);
      } catch (error) {
        requests.giveBack(1);
        second?.giveBack(resources);
        throw error;
      }
    },
    throttled(service, action) {
      const { requests, resources } = bucketsOf(service, action);
      const nowMs = clock.monotonicMs();
      // AWS doesn't say which of the two was empty. Instances come back slowly, so they are suspected second.
      if (requests.throttled(nowMs)) resources?.throttled(nowMs);
    },
  };
}
