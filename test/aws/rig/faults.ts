import type { Random } from "../../../src/base/random.ts";
import { Lost } from "./proxy.ts";
import { type Answer, type AwsRequest, errorAnswer, type Manner } from "./request.ts";

/**
 * lost-request: the connection breaks and nothing was done. lost-reply: it was done. duplicate: it arrives twice. throttle:
 * refused for its rate. slow: the answer takes `slowMs` longer. stale: a list as it was `staleMs` ago at most.
 */
type FaultKind = "lost-request" | "lost-reply" | "duplicate" | "throttle" | "slow" | "stale";

export type FaultRule = {
  fault: FaultKind;
  /** 0 to 1 of the calls that the rule is for. */
  share: number;
  /** Default: every action; `stale` is for reads only. */
  actions?: RegExp;
  /** How often at most. Default: no end. */
  times?: number;
};

export type FaultOptions = { random: Random; slowMs?: number; staleMs?: number };

export type Faults = {
  manner: Manner;
  /** From now on these and no others. */
  use(rules: readonly FaultRule[]): void;
  /** How often each was done so far. */
  counts: Readonly<Record<FaultKind, number>>;
};

const isRead = ({ action }: AwsRequest): boolean => /^(Describe|Get|List)/.test(action);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What a network and a busy AWS do to calls, by rules and by `random`. Outermost of all manners. */
export function openFaults({ random, slowMs = 1_000, staleMs = 5_000 }: FaultOptions): Faults {
  let rules: { rule: FaultRule; left: number }[] = [];
  const counts = { "lost-request": 0, "lost-reply": 0, duplicate: 0, throttle: 0, slow: 0, stale: 0 };
  const former = new Map<string, { answer: Answer; atMs: number }>();

  function drawn(request: AwsRequest): FaultKind | undefined {
    for (const each of rules) {
      const { fault, share, actions } = each.rule;
      const isMeant = (actions?.test(request.action) ?? true) && (fault !== "stale" || isRead(request));
      if (!isMeant || each.left === 0 || random.next() >= share) continue;
      each.left--;
      return fault;
    }
    return undefined;
  }

  async function stale(request: AwsRequest, next: (request: AwsRequest) => Promise<Answer>): Promise<Answer> {
    const key = `${request.path} ${request.body}`;
    const before = former.get(key);
    if (before && performance.now() - before.atMs <= staleMs) return before.answer;
    return next(request);
  }

  const done: Record<FaultKind, Manner> = {
    "lost-request": () => Promise.reject(new Lost()),
    "lost-reply": async (request, next) => {
      await next(request);
      throw new Lost();
    },
    duplicate: async (request, next) => {
      const first = await next(request);
      await next(request);
      return first;
    },
    throttle: async (request) =>
      request.service === "ec2"
        ? errorAnswer(request, 503, "RequestLimitExceeded", "Request limit exceeded.")
        : errorAnswer(request, 400, "Throttling", "Rate exceeded"),
    slow: async (request, next) => {
      await pause(slowMs);
      return next(request);
    },
    stale,
  };

  return {
    counts,
    use(given) {
      rules = given.map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }));
    },
    async manner(request, next) {
      const fault = drawn(request);
      if (fault !== undefined) counts[fault]++;
      const answer = await (fault === undefined ? next(request) : done[fault](request, next));
      if (isRead(request) && fault !== "stale" && answer.status < 300)
        former.set(`${request.path} ${request.body}`, { answer, atMs: performance.now() });
      return answer;
    },
  };
}
