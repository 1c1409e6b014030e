import type { Kind } from "../api/kinds.ts";
import type { Resource } from "../api/object.ts";
import { type ApiError, expired } from "../api/status.ts";
import type { Clock } from "../base/clock.ts";
import type { CacheEvent } from "./cache.ts";
import type { Context } from "./context.ts";
import { matches, parseRevision, waitFor } from "./list.ts";
import type { WatchEvent, WatchHandlers, WatchQuery, WatchStream } from "./requests.ts";
import type { Stored } from "./stored.ts";
import { asVersion } from "./versions.ts";

/** A watcher that lets more events than this wait is cut. */
const waitingMax = 10_000;
const bookmarkEveryMs = 60_000;

type Watcher = {
  kind: Kind;
  query: WatchQuery;
  handlers: WatchHandlers;
  signal: AbortSignal;
  waiting: WatchEvent[];
  /** Between the first waiting event and the end of its delivery. */
  busy: boolean;
  /** It has not yet taken what was handed over last. */
  paused: boolean;
  /** Of the last event that was handed over. */
  revision: number;
};

/** Hands every change to those who watch its resource. */
export class WatchHub {
  readonly #context: Context;
  readonly #watchers = new Map<Resource, Set<Watcher>>();
  #bookmarking = false;
  readonly #closing = new AbortController();

  constructor(context: Context) {
    this.#context = context;
    context.cache.onEvents((events) => this.#spread(events));
  }

  /** Sends no more bookmarks. Streams end by their own signals. */
  close(): void {
    this.#closing.abort();
  }

  watch(kind: Kind, query: WatchQuery, signal: AbortSignal): WatchStream {
    let watcher: Watcher | undefined;
    return {
      start: (handlers) => {
        watcher = { kind, query, handlers, signal, waiting: [], busy: false, paused: false, revision: 0 };
        this.#begin(watcher).catch((error: ApiError) => {
          if (!signal.aborted) handlers.onError(error);
        });
      },
      revision: () => {
        if (watcher === undefined) return 0;
        return watcher.busy || watcher.waiting.length > 0 ? watcher.revision : this.#context.cache.revision;
      },
    };
  }

  async #begin(watcher: Watcher): Promise<void> {
    const { kind, query, signal } = watcher;
    const { cache, kinds } = this.#context;
    const from = query.from === undefined || query.from === "" ? 0 : parseRevision(query.from);
    if (query.initialEvents) {
      await waitFor(this.#context, from);
      // Nothing may come between what there is and the subscription, so both are taken at once.
      const all = cache.all(kinds.storedAs(kind).resource, query.namespace);
      const items = all.map((stored) => asVersion(stored, kind)).filter((stored) => matches(query, stored));
      watcher.revision = cache.revision;
      this.#add(watcher);
      const events: WatchEvent[] = items.map((stored) => ({ type: "ADDED", stored }));
      if (query.bookmarks) events.push({ type: "BOOKMARK", revision: watcher.revision, initialEventsEnd: true });
      this.#hand(watcher, events);
      return;
    }
    watcher.revision = from === 0 ? cache.revision : from;
    const missed = cache.since(kinds.storedAs(kind).resource, watcher.revision);
    if (missed === undefined) throw expired(`too old resource version: ${from} (${cache.floor})`);
    if (signal.aborted) return;
    this.#add(watcher);
    this.#hand(
      watcher,
      missed.flatMap((event) => eventFor(watcher, event) ?? []),
    );
  }

  #add(watcher: Watcher): void {
    const { resource } = this.#context.kinds.storedAs(watcher.kind);
    const watchers = this.#watchers.get(resource) ?? new Set();
    this.#watchers.set(resource, watchers.add(watcher));
    watcher.signal.addEventListener("abort", () => watchers.delete(watcher), { once: true });
    if (watcher.signal.aborted) watchers.delete(watcher);
    if (watcher.query.bookmarks) void this.#bookmark(this.#context.clock);
  }

  #spread(events: readonly CacheEvent[]): void {
    for (const event of events) {
      const watchers = this.#watchers.get(event.key.resource);
      if (watchers === undefined || watchers.size === 0) continue;
      const shared: Tellings = new Map();
      for (const watcher of watchers) {
        const told = eventFor(watcher, event, shared);
        if (told !== undefined) this.#hand(watcher, [told]);
      }
    }
  }

  /** Events are handed over after the commits that have come together, not one by one. */
  #hand(watcher: Watcher, events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    for (const event of events) watcher.waiting.push(event);
    if (!watcher.busy) {
      watcher.busy = true;
      setImmediate(() => this.#deliver(watcher));
    } else if (watcher.paused && watcher.waiting.length > waitingMax) {
      this.#cut(watcher, expired("too old resource version: the watcher has fallen behind"));
    }
  }

  #cut(watcher: Watcher, error: ApiError): void {
    this.#watchers.get(this.#context.kinds.storedAs(watcher.kind).resource)?.delete(watcher);
    watcher.waiting = [];
    watcher.handlers.onError(error);
  }

  #deliver(watcher: Watcher): void {
    const events = watcher.waiting;
    if (events.length === 0 || watcher.signal.aborted) {
      watcher.busy = false;
      return;
    }
    watcher.waiting = [];
    watcher.revision = revisionOf(events[events.length - 1]) ?? watcher.revision;
    const pause = watcher.handlers.onEvents(events);
    if (pause === undefined) {
      this.#deliver(watcher);
      return;
    }
    watcher.paused = true;
    const goOn = () => {
      watcher.paused = false;
      this.#deliver(watcher);
    };
    pause.then(goOn, () => {});
  }

  /** Tells quiet watchers now and then how far they are, as long as there are any. */
  async #bookmark(clock: Clock): Promise<void> {
    if (this.#bookmarking) return;
    this.#bookmarking = true;
    const { signal } = this.#closing;
    for (let some = true; some; ) {
      await clock.sleep(bookmarkEveryMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      some = false;
      const { revision } = this.#context.cache;
      for (const watcher of [...this.#watchers.values()].flatMap((watchers) => [...watchers])) {
        if (!watcher.query.bookmarks) continue;
        some = true;
        this.#hand(watcher, [{ type: "BOOKMARK", revision, initialEventsEnd: false }]);
      }
    }
    this.#bookmarking = false;
  }
}

const revisionOf = (event: WatchEvent | undefined): number | undefined =>
  event?.type === "BOOKMARK" ? event.revision : event?.stored.revision;

/** The tellings of one change, by the kind asked for, then by whether the object was and is selected. */
type Tellings = Map<Kind, (WatchEvent | undefined)[]>;

/** What a change is for one watcher, if anything. All who are told the same get the same event. */
function eventFor(watcher: Watcher, event: CacheEvent, shared: Tellings = new Map()): WatchEvent | undefined {
  const { kind, query } = watcher;
  if (query.namespace !== undefined && query.namespace !== "" && event.key.namespace !== query.namespace)
    return undefined;
  const before = event.before && asVersion(event.before, kind);
  const after = event.after && asVersion(event.after, kind);
  const was = before !== undefined && matches(query, before);
  const is = after !== undefined && matches(query, after);
  const place = was ? (is ? 2 : 1) : 0;
  if (!was && !is) return undefined;
  const tellings = shared.get(kind) ?? [];
  tellings[place] ??= toEvent(event.revision, was ? before : undefined, is ? after : undefined);
  shared.set(kind, tellings);
  return tellings[place];
}

/** An object that is gone, or no longer selected, is told as it was, at the revision of the change. */
function toEvent(revision: number, before: Stored | undefined, after: Stored | undefined): WatchEvent | undefined {
  if (after !== undefined) return { type: before === undefined ? "ADDED" : "MODIFIED", stored: after };
  return before && { type: "DELETED", stored: before.at(revision) };
}
