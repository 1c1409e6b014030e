import { applyDefaults } from "../api/defaults.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Context } from "./context.ts";
import { isInternal } from "./kind-table.ts";
import { admitIntoNamespace } from "./namespaces.ts";
import type { RequestOptions } from "./requests.ts";

const nothing = () => {};

/**
 * What is decided about a new object with the eyes on others: its namespace, its service account, its addresses.
 * Returns the way to let go of what was reserved, once the object is stored or refused.
 */
export function admitCreate(context: Context, kind: Kind, object: KubeObject, _options: RequestOptions): () => void {
  admitIntoNamespace(context, kind, object);
  if (!isInternal(kind)) applyDefaults(kind, object, "admission");
  return nothing;
}
