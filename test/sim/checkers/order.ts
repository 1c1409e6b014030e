import { kinds } from "../../../src/api/kinds.ts";
import type { Registry } from "../../../src/registry/registry.ts";

type Seen = { revision: number; text: string };

/** Watches Pods as two clients would: revisions only grow, and both see the same in the same order. */
export class Watchers {
  readonly #seen: readonly [Seen[], Seen[]] = [[], []];
  /** How far both have been compared. */
  #compared = 0;
  readonly #failed: string[] = [];
  #stop = new AbortController();

  /** Follows this registry, letting go of an earlier one. */
  follow(registry: Registry): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    const kind = kinds.get("v1/Pod");
    if (!kind) throw new Error("the schema table has no Pod");
    for (const seen of this.#seen) {
      const from = String(registry.revision());
      registry.watch(kind, { from, initialEvents: false, bookmarks: false }, this.#stop.signal).start({
        onEvents: (events) => {
          for (const event of events) {
            if (event.type === "BOOKMARK") continue;
            seen.push({ revision: event.stored.revision, text: `${event.type} ${event.stored.object.metadata.name}` });
          }
          return undefined;
        },
        onError: (error) => this.#failed.push(`a watch ended: ${error.message}`),
      });
    }
  }

  problems(): string[] {
    const [left, right] = this.#seen;
    const from = this.#compared;
    const news = left.slice(from);
    const same = left.length === right.length && news.every(({ text }, index) => right[from + index]?.text === text);
    const grows = news.every(({ revision }, index) => revision > (left[from + index - 1]?.revision ?? 0));
    if (same && grows) this.#compared = left.length;
    return [
      ...this.#failed,
      ...(same ? [] : ["two watchers saw different orders"]),
      ...(grows ? [] : ["a resourceVersion did not grow"]),
    ];
  }

  close(): void {
    this.#stop.abort();
  }
}
