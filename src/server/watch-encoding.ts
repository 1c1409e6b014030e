import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { ApiError } from "../api/status.ts";
import type { Clock } from "../base/clock.ts";
import type { WatchEvent } from "../registry/requests.ts";
import type { Form } from "./accept.ts";
import type { Query } from "./query.ts";
import { includeObjectOf, metadataOf } from "./render.ts";
import { tableFor } from "./table.ts";

/** Turns events into lines of a watch. The same event in the same form is encoded once, however many watch it. */
export type WatchEncoder = {
  event(event: WatchEvent): Buffer;
  error(error: ApiError): Buffer;
};

type Kept = WeakMap<WatchEvent, Buffer>;

const plain: Kept = new WeakMap();
const others = new Map<string, Kept>();
const openings = new Map(
  (["ADDED", "MODIFIED", "DELETED"] as const).map((type) => [type, Buffer.from(`{"type":"${type}","object":`)]),
);
const closing = Buffer.from("}\n");

/** The encoder of one watcher. `empty`: what an object of this kind looks like that has nothing but its metadata. */
export function watchEncoder(
  kind: Kind,
  form: Form,
  query: Query,
  clock: Clock,
  empty: (metadata: Partial<KubeObject["metadata"]>) => KubeObject,
): WatchEncoder {
  const error = ({ status }: ApiError) => line("ERROR", status);
  const marker = (event: Extract<WatchEvent, { type: "BOOKMARK" }>) =>
    empty({
      resourceVersion: String(event.revision),
      ...(event.initialEventsEnd && { annotations: { "k8s.io/initial-events-end": "true" } }),
    });
  if (form.as === "object") {
    return { event: (event) => keep(plain, event, () => plainLine(event, marker)), error };
  }
  if (form.as !== "table") {
    const shown = (event: WatchEvent) => metadataOf(objectOf(event, marker), form.version);
    const kept = keptFor(`metadata ${form.version}`);
    return { event: (event) => keep(kept, event, () => line(event.type, shown(event))), error };
  }
  const includeObject = includeObjectOf(query);
  let first = true;
  const row = (event: WatchEvent, withColumns: boolean) => {
    const object = objectOf(event, marker);
    const resourceVersion = object.metadata.resourceVersion ?? "";
    const options = { includeObject, nowMs: clock.wallMs(), resourceVersion, withColumns, version: form.version };
    return line(event.type, tableFor(kind, [object], options));
  };
  const kept = keptFor(`table ${form.version} ${includeObject}`);
  return {
    event(event) {
      if (!first) return keep(kept, event, () => row(event, false));
      first = false;
      return row(event, true);
    },
    error,
  };
}

function keptFor(form: string): Kept {
  const kept = others.get(form) ?? new WeakMap();
  others.set(form, kept);
  return kept;
}

function keep(kept: Kept, event: WatchEvent, encode: () => Buffer): Buffer {
  let bytes = kept.get(event);
  if (bytes === undefined) {
    bytes = encode();
    kept.set(event, bytes);
  }
  return bytes;
}

type Marker = (event: Extract<WatchEvent, { type: "BOOKMARK" }>) => KubeObject;

const objectOf = (event: WatchEvent, marker: Marker): KubeObject =>
  event.type === "BOOKMARK" ? marker(event) : event.stored.object;

const line = (type: string, object: object): Buffer => Buffer.from(`${JSON.stringify({ type, object })}\n`);

function plainLine(event: WatchEvent, marker: Marker): Buffer {
  if (event.type === "BOOKMARK") return line("BOOKMARK", marker(event));
  return Buffer.concat([openings.get(event.type) ?? closing, event.stored.json, closing]);
}
