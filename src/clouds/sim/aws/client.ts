import { assert } from "../../../base/assert.ts";
import { uuid } from "../../../base/random.ts";
import { isWrite, limitOf, resourcesOf } from "./buckets.ts";
import type { Call, CallRecord, Service } from "./calls.ts";
import { AwsError, ConnectionLost } from "./errors.ts";
import { handlers } from "./handlers.ts";
import { draw } from "./latencies.ts";
import { Retries, type RetryRules } from "./retry.ts";
import type { AwsWorld } from "./world.ts";

/** An SDK command as far as a client looks at it. */
type Command = { input: object };

/** Assignable to every SDK client's `send`: who sends a command knows what it answers. */
export type FakeClient = { send: (command: Command, options?: object) => Promise<never> };

/** Commands that the SDK gives a client token of its own when the caller gives none. */
const tokened = ["RunInstances", "CreateLaunchTemplate", "CreateVolume"];

/** A client of one service with its own retry tokens, as each process has one. */
export function openClient(world: AwsWorld, service: Service, rules: RetryRules): FakeClient {
  const retries = new Retries(world.clock, world.random, rules);
  const send = async (command: Command, options: { abortSignal?: AbortSignal } = {}): Promise<unknown> => {
    const action = command.constructor.name.replace(/Command$/, "");
    assert(handlers[service][action], `the fake of AWS does not know ${service}:${action}`);
    const input = structuredClone(command.input) as Record<string, unknown>;
    if (tokened.includes(action)) input["ClientToken"] ??= uuid(world.random);
    await world.hooks.beforeCall?.({ service, action, input });
    world.calls.set(action, (world.calls.get(action) ?? 0) + 1);
    const signal = options.abortSignal;
    try {
      const answer = await retries.run(
        (attempt) => deliver(world, { service, action, input, attempt }, signal),
        signal,
      );
      await world.hooks.afterCall?.({ service, action, input }, "ok");
      return answer;
    } catch (error) {
      if (signal?.aborted) throw Object.assign(new Error("Request aborted"), { name: "AbortError" });
      await world.hooks.afterCall?.({ service, action, input }, error instanceof Error ? error.name : "unknown");
      throw error;
    }
  };
  return { send: send as FakeClient["send"] };
}

/** One attempt: there, the work, and back. */
async function deliver(world: AwsWorld, call: Call, signal: AbortSignal | undefined): Promise<object> {
  const fault = world.conditions.faultOf(call, world.nowMs()) ?? world.faults.ofAttempt(call);
  const legMs = latencyMs(world, call) / 2;
  const leg = () => (legMs > 0 ? world.clock.sleep(legMs, signal) : undefined);
  world.conditions.checkCredentials(call.service, world.nowMs());
  await leg();
  if (fault === "lost-request") throw new ConnectionLost();
  if (fault === "unavailable") throw new AwsError("ServiceUnavailable", "The service is unavailable. Try again later.");
  const answer = carryOut(world, call, fault === "throttle");
  if (fault === "duplicate") repeat(world, call);
  await leg();
  if (fault === "lost-reply") throw new ConnectionLost();
  return answer;
}

/** The network delivers it a second time; nobody sees that answer. */
function repeat(world: AwsWorld, call: Call): void {
  try {
    carryOut(world, call, false);
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
  }
}

function latencyMs(world: AwsWorld, { action, input }: Call): number {
  const { calls, perInstanceMs } = world.latencies;
  const count = action === "RunInstances" ? resourcesOf(action, input) : 0;
  return draw(world.random, calls[action] ?? calls.default) + count * perInstanceMs;
}

/** What AWS does with a request that arrives, in its order: credentials, permission, rate, dry run, the work. */
function carryOut(world: AwsWorld, call: Call, isThrottled: boolean): object {
  const { service, action, input } = call;
  const record: CallRecord = { atMs: world.nowMs(), service, action, input, outcome: "ok" };
  if (isWrite(action)) world.writes.push(record);
  try {
    world.conditions.checkPermissions(call, world.account);
    throttle(world, call, isThrottled);
    if (input["DryRun"] === true) {
      throw new AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
    }
    const work = handlers[service][action];
    assert(work, `${service}:${action} has a handler`);
    const seenAtMs = isWrite(action) ? world.nowMs() : world.nowMs() - world.faults.staleMs(call);
    const answer = work(world, input as never, seenAtMs);
    return {
      $metadata: { httpStatusCode: 200, requestId: uuid(world.random), attempts: call.attempt, totalRetryDelay: 0 },
      ...answer,
    };
  } catch (error) {
    record.outcome = error instanceof Error ? error.name : "unknown";
    throw error;
  }
}

function throttle(world: AwsWorld, { service, action, input }: Call, isThrottled: boolean): void {
  const rule = limitOf(service, action, input);
  const passes =
    rule === undefined || world.buckets.take(rule.name, rule.limit, resourcesOf(action, input), world.nowMs());
  if (passes && !isThrottled) return;
  if (service === "ec2") throw new AwsError("RequestLimitExceeded", "Request limit exceeded.");
  throw new AwsError(
    service === "elb" || service === "route53" ? "Throttling" : "ThrottlingException",
    "Rate exceeded",
  );
}
