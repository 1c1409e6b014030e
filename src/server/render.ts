import { stringify } from "yaml";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { badRequest } from "../api/status.ts";
import type { Stored } from "../registry/stored.ts";
import { type Form, notAcceptable } from "./accept.ts";
import type { Call } from "./call.ts";
import { flag, type Query } from "./query.ts";
import { sendBytes, sendValue } from "./reply.ts";
import { tableFor } from "./table.ts";

const json = "application/json";

/** Metadata alone, as metadata informers read it. */
export const metadataOf = (object: KubeObject, version = "v1"): object => ({
  kind: "PartialObjectMetadata",
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});

export type IncludeObject = "None" | "Metadata" | "Object";

/** What the rows of a Table carry. @throws 400 */
export function includeObjectOf(query: Query): IncludeObject {
  const given = query.get("includeObject") ?? "";
  if (given === "" || given === "Metadata") return "Metadata";
  if (given === "None" || given === "Object") return given;
  const why = `includeObject: Invalid value: ${JSON.stringify(given)}: must be 'Metadata', 'Object', 'None', or empty`;
  throw badRequest(`Unable to convert to Table as requested: ${why}`);
}

const isPretty = (query: Query): boolean => query.has("pretty") && flag(query, "pretty");

/** Sends one object in the form that was asked for. */
export async function sendObject(
  call: Call,
  code: number,
  kind: Kind,
  stored: Pick<Stored, "object" | "json">,
  form: Form,
  nowMs: number,
): Promise<void> {
  if (form.as === "object") {
    if (form.yaml) return await sendBytes(call, code, stringify(stored.object), "application/yaml");
    if (isPretty(call.query)) return await sendValue(call, code, stored.object);
    return await sendBytes(call, code, stored.json, json);
  }
  const { object } = stored;
  if (form.as === "metadata") return await sendValue(call, code, metadataOf(object, form.version), form);
  if (form.as === "metadataList") throw notAcceptable();
  const resourceVersion = object.metadata.resourceVersion ?? "";
  const table = tableFor(kind, [object], {
    includeObject: includeObjectOf(call.query),
    nowMs,
    resourceVersion,
    withColumns: true,
    version: form.version,
  });
  await sendValue(call, code, table, form);
}

export type ListOf = {
  items: readonly Stored[];
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
};

/** Sends a list in the form that was asked for. */
export async function sendList(call: Call, kind: Kind, list: ListOf, form: Form, nowMs: number): Promise<void> {
  const { items, resourceVersion } = list;
  const more = {
    ...(list.continue !== undefined && { continue: list.continue }),
    ...(list.remainingItemCount !== undefined && { remainingItemCount: list.remainingItemCount }),
  };
  const metadata = { resourceVersion, ...more };
  if (form.as === "metadata") throw notAcceptable();
  if (form.as === "metadataList") {
    const rows = items.map(({ object }) => metadataOf(object, form.version));
    const value = {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata,
      items: rows.length === 0 ? null : rows,
    };
    return await sendValue(call, 200, value, form);
  }
  if (form.as === "table") {
    const objects = items.map(({ object }) => object);
    const includeObject = includeObjectOf(call.query);
    const options = { includeObject, nowMs, resourceVersion, ...more, withColumns: true, version: form.version };
    return await sendValue(call, 200, tableFor(kind, objects, options), form);
  }
  const head = { kind: kind.listKind, apiVersion: kind.apiVersion, metadata };
  if (form.yaml || isPretty(call.query)) {
    const bare = items.map(({ object: { apiVersion: _, kind: __, ...rest } }) => rest);
    return await sendValue(call, 200, { ...head, items: bare }, form);
  }
  await sendBytes(call, 200, listBytes(head, items), json);
}

const comma = 0x2c;

/** The list's JSON, put together from the bytes of its items. */
function listBytes(head: object, items: readonly Stored[]): Buffer {
  const opening = `${JSON.stringify(head).slice(0, -1)},"items":[`;
  const closing = "]}\n";
  let bytesMax = Buffer.byteLength(opening) + closing.length;
  for (const item of items) bytesMax += item.itemBytesMax + 1;
  const out = Buffer.allocUnsafe(bytesMax);
  let at = out.write(opening, 0);
  for (const [index, item] of items.entries()) {
    if (index > 0) out[at++] = comma;
    at = item.writeItem(out, at);
  }
  at += out.write(closing, at);
  return out.subarray(0, at);
}
