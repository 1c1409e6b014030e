import { parseFieldSelector } from "../api/fields.ts";
import type { Kind } from "../api/kinds.ts";
import { parseLabelSelector } from "../api/labels.ts";
import { notFound } from "../api/status.ts";
import type { Stored } from "../registry/stored.ts";
import { negotiate } from "./accept.ts";
import type { Call } from "./call.ts";
import { listParameters, type Query } from "./query.ts";
import { sendList, sendObject } from "./render.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";

/** The object that a target names. @throws 404 */
export function find({ registry }: Context, { kind, namespace, name }: Target): Stored {
  const stored = registry.get(kind, namespace, name);
  if (stored === undefined) throw notFound({ group: kind.group, resource: kind.plural, name });
  return stored;
}

/** What a selector in the query leaves of a kind. @throws 400 */
export function selectors(kind: Kind, query: Query) {
  const labels = query.get("labelSelector") ?? "";
  const fields = query.get("fieldSelector") ?? "";
  return {
    ...(labels !== "" && { labels: parseLabelSelector(labels) }),
    ...(fields !== "" && { fields: parseFieldSelector(kind, fields) }),
  };
}

export async function get(context: Context, call: Call, target: Target): Promise<void> {
  const form = negotiate(call.request.headers.accept, true);
  const resourceVersion = call.query.get("resourceVersion") ?? "";
  if (resourceVersion !== "" && resourceVersion !== "0") await context.registry.reached(resourceVersion);
  await sendObject(call, 200, target.kind, find(context, target), form, context.clock.wallMs());
}

export async function list(context: Context, call: Call, target: Target): Promise<void> {
  const form = negotiate(call.request.headers.accept, true);
  const { kind, namespace, name } = target;
  const query = {
    ...(namespace !== "" && { namespace }),
    ...selectors(kind, call.query),
    ...listParameters(call.query),
  };
  const page = await context.registry.list(kind, query);
  const items = name === "" ? page.items : page.items.filter(({ object }) => object.metadata.name === name);
  await sendList(call, kind, { ...page, items }, form, context.clock.wallMs());
}
