import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { ApiError, forbidden, notFound } from "../api/status.ts";
import { type Context, subjectOf } from "./context.ts";

/** Nothing new begins in a namespace that is absent or ending. @throws ApiError 404, 403 */
export function admitIntoNamespace(context: Context, kind: Kind, object: KubeObject): void {
  if (!kind.namespaced) return;
  const { namespace = "", name } = object.metadata;
  const home = context.cache.get("namespaces", "", namespace);
  if (home === undefined) throw notFound({ group: "", resource: "namespaces", name: namespace });
  if (home.metadata.deletionTimestamp === undefined) return;
  const message = `namespace ${namespace} is being terminated`;
  const subject = subjectOf(kind, name);
  const qualified = subject.group === "" ? subject.resource : `${subject.resource}.${subject.group}`;
  throw new ApiError(
    403,
    "Forbidden",
    `${qualified} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    {
      name,
      ...(subject.group !== "" && { group: subject.group }),
      kind: subject.resource,
      causes: [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }],
    },
  );
}

/** Clients and controllers count on them. */
const undeletable: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

/** @throws ApiError 403 for the namespaces that no cluster may be without */
export function admitNamespaceDeletion(kind: Kind, name: string): void {
  if (kind.resource !== "namespaces" || !undeletable.has(name)) return;
  throw forbidden(subjectOf(kind, name), "this namespace may not be deleted");
}
