import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";

/** Instances of one call, and calls that a chunk may be split into to find the bad ones. */
const chunkMax = 100;
const callsMax = 40;

/**
 * Ends instances in chunks. One that is not there (any more) is a success; one that can't be ended keeps none of the
 * others. @throws the first failure, after all others have been asked to end
 */
export async function terminateMachines(send: Send, ids: readonly string[], signal?: AbortSignal): Promise<void> {
  const unique = [...new Set(ids)];
  const chunks = Array.from({ length: Math.ceil(unique.length / chunkMax) }, (_, index) =>
    unique.slice(index * chunkMax, (index + 1) * chunkMax),
  );
  const failures = (await Promise.all(chunks.map((chunk) => endChunk(send, chunk, signal)))).flat();
  if (failures.length > 0) throw failures[0];
}

async function endChunk(send: Send, chunk: readonly string[], signal?: AbortSignal): Promise<unknown[]> {
  const failures: unknown[] = [];
  const parts = [[...chunk]];
  let calls = 0;
  for (let part = parts.shift(); part; part = parts.shift()) {
    try {
      calls++;
      await send("ec2", new TerminateInstancesCommand({ InstanceIds: part }), { signal, resources: part.length });
    } catch (error) {
      signal?.throwIfAborted();
      const others = withoutNamed(part, error);
      const isNamed = others.length < part.length;
      const mayBeFewer = isNamed || (part.length > 1 && calls < callsMax);
      const isAboutSome = isKind(error, "absent", "refused", "busy", "denied");
      if (!isKind(error, "absent") && (isNamed || !mayBeFewer || !isAboutSome)) failures.push(error);
      if (isAboutSome && mayBeFewer)
        parts.push(...(isNamed ? [others] : halves(part)).filter(({ length }) => length > 0));
      else if (isKind(error, "absent") && part.length > 1) failures.push(error);
    }
  }
  return failures;
}

const halves = (ids: readonly string[]): string[][] => [
  ids.slice(0, ids.length / 2),
  ids.slice(Math.floor(ids.length / 2)),
];

/** AWS mostly says which ids it means; the others are asked for again. */
function withoutNamed(ids: readonly string[], error: unknown): string[] {
  const text = error instanceof Error && isKind(error, "absent", "refused", "busy", "denied") ? error.message : "";
  return ids.filter((id) => !text.includes(id));
}
