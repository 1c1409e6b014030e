import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import { AwsError, ConnectionLost, type ResponseMetadata } from "./errors.ts";

/** The SDK's standard mode as its package @smithy/core has it (submodules/retry). */
const tokensMax = 500;
const delayMsMax = 20_000;
const kinds = { throttling: { baseMs: 1_000, cost: 5 }, transient: { baseMs: 50, cost: 14 } } as const;

const throttlingCodes = [
  "EC2ThrottledException",
  "PriorRequestNotComplete",
  "RequestLimitExceeded",
  "Throttling",
  "ThrottlingException",
  "TooManyRequestsException",
];
const transientStatuses = [500, 502, 503, 504];

/** `throttling`: throttled calls are repeated too. `capacity`: so is what AWS answers with 500 for want of machines. */
export type RetryRules = { attemptsMax: number; throttling: boolean; capacity: boolean };

/** As drover sets its own clients. */
export const droverRetries: RetryRules = { attemptsMax: 8, throttling: false, capacity: false };
/** As the SDK does without being told anything. */
export const standardRetries: RetryRules = { attemptsMax: 3, throttling: true, capacity: true };

type Failure = Error & { $metadata: ResponseMetadata };

function kindOf(error: unknown, rules: RetryRules): keyof typeof kinds | undefined {
  if (error instanceof ConnectionLost) return "transient";
  if (!(error instanceof AwsError)) return undefined;
  if (throttlingCodes.includes(error.name)) return rules.throttling ? "throttling" : undefined;
  if (error.name === "InsufficientInstanceCapacity" && !rules.capacity) return undefined;
  return transientStatuses.includes(error.$metadata.httpStatusCode ?? 0) ? "transient" : undefined;
}

/** Retries of one client: all of its calls draw from the same tokens. */
export class Retries {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #rules: RetryRules;
  #tokens = tokensMax;

  constructor(clock: Clock, random: Random, rules: RetryRules) {
    this.#clock = clock;
    this.#random = random;
    this.#rules = rules;
  }

  /** `attempt` gets 1, 2, …; its last failure is thrown, with attempts and delay in its `$metadata`. */
  async run<T>(attempt: (number: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    let totalRetryDelay = 0;
    let paid: number | undefined;
    for (let attempts = 1; ; attempts++) {
      try {
        const answer = await attempt(attempts);
        this.#tokens = Math.min(tokensMax, this.#tokens + (paid ?? 1));
        return answer;
      } catch (error) {
        const kind = kindOf(error, this.#rules);
        if (error instanceof AwsError || error instanceof ConnectionLost) {
          Object.assign((error as Failure).$metadata, { attempts, totalRetryDelay });
        }
        if (kind === undefined || attempts >= this.#rules.attemptsMax || this.#tokens < kinds[kind].cost) throw error;
        paid = kinds[kind].cost;
        this.#tokens -= paid;
        const delayMs = this.#random.next() * Math.min(delayMsMax, kinds[kind].baseMs * 2 ** (attempts - 1));
        totalRetryDelay += delayMs;
        await this.#clock.sleep(delayMs, signal);
      }
    }
  }
}
