import type { ServerResponse } from "node:http";

/** A watcher that has not taken this much yet gets nothing more until it has. */
const unsentBytesMax = 1_048_576;

type Waiting = { response: ServerResponse; parts: Buffer[]; bytes: number; resume: (() => void) | undefined };

const dirty = new Set<Waiting>();

/** Everything that came in one turn of the event loop goes out in one write a watcher. */
function flush(): void {
  for (const waiting of dirty) {
    const { response, parts } = waiting;
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    waiting.parts = [];
    waiting.bytes = 0;
    if (!response.destroyed && !response.writableEnded) response.write(bytes);
  }
  dirty.clear();
}

/**
 * Writes lines of a watch. The returned promise is there while the client is behind and resolves when it has caught up
 * or left.
 */
export function watchWriter(response: ServerResponse): (lines: readonly Buffer[]) => Promise<void> | undefined {
  const waiting: Waiting = { response, parts: [], bytes: 0, resume: undefined };
  const go = () => {
    waiting.resume?.();
    waiting.resume = undefined;
  };
  response.on("drain", go);
  response.on("close", go);
  return (lines) => {
    for (const each of lines) {
      waiting.parts.push(each);
      waiting.bytes += each.length;
    }
    if (dirty.size === 0) setImmediate(flush);
    dirty.add(waiting);
    if (response.writableLength + waiting.bytes < unsentBytesMax || response.destroyed) return undefined;
    return new Promise((resolve) => {
      waiting.resume = resolve;
    });
  };
}
