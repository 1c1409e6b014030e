import type { AwsRequest, Manner } from "./request.ts";

export type Entry = { request: AwsRequest; status: number | undefined };

/** Every request that got through to AWS, in the order of their coming. `status`: undefined while it is under way. */
export type Journal = { manner: Manner; entries: readonly Entry[] };

export function openJournal(): Journal {
  const entries: Entry[] = [];
  return {
    entries,
    async manner(request, next) {
      const entry: Entry = { request, status: undefined };
      entries.push(entry);
      const answer = await next(request);
      entry.status = answer.status;
      return answer;
    },
  };
}
