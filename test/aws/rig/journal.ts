import type { AwsRequest, Manner } from "./request.ts";

export type Entry = { request: AwsRequest; status: number };

/** Every request that got through to AWS, in the order of their answers. */
export type Journal = { manner: Manner; entries: readonly Entry[] };

export function openJournal(): Journal {
  const entries: Entry[] = [];
  return {
    entries,
    async manner(request, next) {
      const answer = await next(request);
      entries.push({ request, status: answer.status });
      return answer;
    },
  };
}
