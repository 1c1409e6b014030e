import { applyDefaults } from "../api/defaults.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Pod } from "../api/types.gen.ts";
import type { Context } from "./context.ts";
import { nameDefaultClass } from "./default-classes.ts";
import { isInternal } from "./kind-table.ts";
import { admitIntoNamespace } from "./namespaces.ts";
import { admitPod } from "./pods.ts";

/**
 * What is decided about a new object with the eyes on others: its namespace, its service account, its classes.
 * Completes it in place. @throws ApiError 403, 404
 */
export function admit(context: Context, kind: Kind, object: KubeObject): void {
  admitIntoNamespace(context, kind, object);
  if (isInternal(kind)) return;
  if (kind.resource === "pods")
    admitPod(context, kind, object as Pod); // By its kind.
  else nameDefaultClass(context, kind, object);
  applyDefaults(kind, object, "admission");
}
