import { createHash } from "node:crypto";
import { type Answer, errorAnswer, type Manner } from "./request.ts";

type Known = { parameters: string; answer: Promise<Answer> };

export type Tokens = { manner: Manner; reset(): void };

/**
 * AWS' memory of ClientTokens, which moto has not: the same call gives the same answer, also while the first one is under
 * way; other parameters under the token are refused; what failed may be tried again.
 */
export function openTokens(): Tokens {
  const known = new Map<string, Known>();
  const manner: Manner = async (request, next) => {
    const token = request.parameters.get("ClientToken");
    if (token === null) return next(request);
    const key = `${request.service} ${request.action} ${token}`;
    const sorted = new URLSearchParams(request.parameters);
    sorted.sort();
    const parameters = createHash("sha256").update(sorted.toString()).digest("base64");
    const before = known.get(key);
    if (before) {
      if (before.parameters === parameters) return before.answer;
      const message = `Arguments on this idempotent request are inconsistent with arguments used in previous request(s): ${token}`;
      return errorAnswer(request, 400, "IdempotentParameterMismatch", message);
    }
    const answer = next(request);
    known.set(key, { parameters, answer });
    const forget = () => known.delete(key);
    answer.then(({ status }) => status >= 400 && forget(), forget);
    return answer;
  };
  return { manner, reset: () => known.clear() };
}
