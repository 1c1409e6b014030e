import type { Instance, StateReason } from "./instances.ts";

export type Service = "ec2" | "elb" | "route53" | "ssm" | "pricing" | "quotas" | "sts" | "acm" | "wafv2";

/** One command on its way. `attempt`: 1 for the first, more for what the SDK repeats. */
export type Call = { service: Service; action: string; input: Readonly<Record<string, unknown>>; attempt: number };

/**
 * What may happen to one attempt: it never arrives; it is carried out but its answer never arrives; it arrives twice;
 * AWS throttles it; AWS fails.
 */
export type CallFault = "lost-request" | "lost-reply" | "duplicate" | "throttle" | "unavailable";

/** What goes wrong by itself; each method is asked once an attempt. */
export type CallFaults = {
  ofAttempt(call: Call): CallFault | undefined;
  /** How old what a read shows is. */
  staleMs(call: Call): number;
  /** How many of `wanted` instances a launch gives at most. */
  given(wanted: number): number;
  /** Why an instance that was launched never runs. */
  failsToStart(instance: Instance): StateReason | undefined;
};

/** A test's own way in: before a command is sent and after it was carried out, before its answer is given. */
export type Hooks = {
  beforeCall?: (call: Omit<Call, "attempt">) => void | Promise<void>;
  /** `outcome`: "ok" or the error's name. */
  afterCall?: (call: Omit<Call, "attempt">, outcome: string) => void | Promise<void>;
};

/** A request that reached AWS and was meant to change something. */
export type CallRecord = {
  atMs: number;
  service: Service;
  action: string;
  input: Readonly<Record<string, unknown>>;
  /** "ok" or AWS' code. */
  outcome: string;
};
