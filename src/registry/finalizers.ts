import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { Namespace } from "../api/types.gen.ts";

/** Whether a deleted object has nothing left to wait for: no finalizer, no grace. */
export function isEnded(kind: Kind, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0 || deletionGracePeriodSeconds > 0) return false;
  return kind.resource !== "namespaces" || namespaceFinalizers(object).length === 0;
}

const namespaceFinalizers = (object: KubeObject): readonly string[] => (object as Namespace).spec?.finalizers ?? []; // Validated as a Namespace when it was written.
