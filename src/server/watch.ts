import { decodeObject } from "../api/decode.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import type { WatchEvent } from "../registry/requests.ts";
import { type Form, negotiate, notAcceptable } from "./accept.ts";
import type { Call } from "./call.ts";
import { watchParameters } from "./query.ts";
import { selectors } from "./read.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { watchEncoder } from "./watch-encoding.ts";
import { watchWriter } from "./watch-writer.ts";

/** This long before the time is up a last bookmark is sent. */
const lastBookmarkMs = 2_000;
/** Without a wish of the client a watch ends after 30 to 60 minutes, so that not all end at once. */
const leastMs = 1_800_000;
/** How long a client that was cut may take to read why. */
const farewellMs = 5_000;

/**
 * Streams changes of a kind until the client leaves, its time is up, it is too slow or the server closes. The headers
 * go out at once: clients wait for them before they act.
 */
export async function watch(context: Context, call: Call, target: Target): Promise<void> {
  const { registry, clock, random, closing } = context;
  const { kind, namespace } = target;
  const form = negotiate(call.request.headers.accept, true);
  if (form.as === "metadataList") throw notAcceptable();
  const asked = watchParameters(call.query);
  const selection = selectors(kind, call.query);
  const encode = watchEncoder(kind, form, call.query, clock, (metadata) => emptyObject(kind, metadata));

  const ended = new AbortController();
  const { response } = call;
  response.on("close", () => ended.abort());
  const fields = named(target, selection.fields);
  const query = {
    ...selection,
    ...(namespace !== "" && { namespace }),
    ...(fields !== undefined && { fields }),
    from: asked.from,
    initialEvents: asked.initialEvents,
    bookmarks: asked.bookmarks,
  };
  const stream = registry.watch(kind, query, AbortSignal.any([ended.signal, closing]));
  response.writeHead(200, { "Content-Type": typeOf(form), "Cache-Control": "no-cache, private" });
  response.flushHeaders();
  const write = watchWriter(response);
  const send = (events: readonly WatchEvent[]) => write(events.map(encode.event));
  stream.start({
    onEvents: send,
    onError(error) {
      void write([encode.error(error)]);
      void clock.sleep(farewellMs, ended.signal).then(
        () => response.destroy(),
        () => undefined,
      );
      setImmediate(() => ended.abort());
    },
  });
  const mark = () => {
    if (response.writableLength === 0)
      void send([{ type: "BOOKMARK", revision: stream.revision(), initialEventsEnd: false }]);
  };
  const lastingMs = asked.timeoutSeconds === undefined ? leastMs * (1 + random.next()) : asked.timeoutSeconds * 1_000;
  await last(clock, AbortSignal.any([ended.signal, closing]), lastingMs, asked.bookmarks ? mark : undefined);
  ended.abort();
  if (!response.destroyed) setImmediate(() => response.end());
}

/** An object of the kind that has nothing but its metadata, with the fields that are always written. */
function emptyObject(kind: Kind, metadata: Partial<KubeObject["metadata"]>): KubeObject {
  const { object } = decodeObject(kind, { kind: kind.kind, apiVersion: kind.apiVersion, metadata });
  delete object.metadata.creationTimestamp;
  return object;
}

const typeOf = ({ as }: Form): string =>
  as === "object"
    ? "application/json"
    : `application/json;as=${as === "table" ? "Table" : "PartialObjectMetadata"};g=meta.k8s.io;v=v1`;

/** The selection, narrowed to one name where the path gives one. */
function named({ name }: Target, fields: ((object: KubeObject) => boolean) | undefined) {
  if (name === "") return fields;
  return (object: KubeObject) => object.metadata.name === name && (fields?.(object) ?? true);
}

/** Returns when the time is up or `signal` aborts; `mark` is called shortly before the end. */
async function last(clock: Clock, signal: AbortSignal, lastingMs: number, mark: (() => void) | undefined) {
  try {
    await clock.sleep(Math.max(0, lastingMs - lastBookmarkMs), signal);
    mark?.();
    await clock.sleep(Math.min(lastingMs, lastBookmarkMs), signal);
  } catch {
    // The client has left, or the server closes.
  }
}
