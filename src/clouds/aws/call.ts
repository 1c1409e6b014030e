import limitConcurrency from "p-limit";
import type { Clock } from "../../base/clock.ts";
import type { DroverError } from "../../base/errors.ts";
import type { AwsClients, Send } from "./api.ts";
import { openBuckets } from "./buckets.ts";
import { awsError, isKind } from "./errors.ts";
import { type LoginOptions, openLogin } from "./login.ts";

export type CallOptions = LoginOptions & {
  /** How many times AWS' default rates the account may use, where its quotas were raised. Default: 1. */
  rateFactor?: number;
  /** Told of every call that failed. */
  onFailure?: (error: DroverError) => void;
};

/** The services' names in IAM's actions. */
const iamNames: Readonly<Record<keyof AwsClients, string>> = {
  ec2: "ec2",
  elb: "elasticloadbalancing",
  route53: "route53",
  ssm: "ssm",
  pricing: "pricing",
  quotas: "servicequotas",
  sts: "sts",
  acm: "acm",
  wafv2: "wafv2",
};

/** Calls under way at once, per service. */
const concurrencyMax = 32;
/** A throttled call was not carried out: it is sent so often, each time after its bucket has filled again. */
const sendsMax = 3;

/** `ec2:RunInstances` of a `RunInstancesCommand`. */
const actionOf = (command: object): string => command.constructor.name.replace(/Command$/, "");

/**
 * The door to AWS. A call waits for its login, its token buckets and a free connection, in this order, on `clock`; what
 * is thrown is of the catalogue, except the signal's own reason after an abort.
 */
export function openSend(clients: AwsClients, clock: Clock, options: CallOptions = {}): Send {
  const buckets = openBuckets(clock, options.rateFactor);
  const login = openLogin(clock, options);
  const slots = new Map<keyof AwsClients, ReturnType<typeof limitConcurrency>>();
  const slotOf = (service: keyof AwsClients) => {
    const slot = slots.get(service) ?? limitConcurrency(concurrencyMax);
    slots.set(service, slot);
    return slot;
  };

  return async (service, command, { signal, resources = 1 } = {}) => {
    const action = actionOf(command);
    const once = async () => {
      const pass = login.enter();
      let outcome: "accepted" | DroverError | undefined;
      try {
        await buckets.take(service, action, resources, signal);
        const client = clients[service] as { send: (...call: unknown[]) => Promise<never> };
        const answer = await slotOf(service)(() => client.send(command, signal && { abortSignal: signal }));
        outcome = "accepted";
        return answer;
      } catch (thrown) {
        signal?.throwIfAborted();
        const error = awsError(thrown, `${iamNames[service]}:${action}`);
        if (isKind(error, "throttled")) buckets.throttled(service, action);
        options.onFailure?.(error);
        if (isKind(error, "expired")) outcome = error;
        else if (!isKind(error, "transient")) outcome = "accepted";
        throw isKind(error, "expired") ? login.told(error) : error;
      } finally {
        login.leave(pass, outcome);
      }
    };
    for (let sends = 1; ; sends++) {
      try {
        return await once();
      } catch (error) {
        if (sends >= sendsMax || !isKind(error, "throttled")) throw error;
      }
    }
  };
}
