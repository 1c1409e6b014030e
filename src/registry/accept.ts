import { decodeObject } from "../api/decode.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { badRequest, invalid } from "../api/status.ts";
import { strictProblems } from "../api/strict.ts";
import { isInternal } from "./kind-table.ts";
import type { RequestOptions, UpdateOptions } from "./requests.ts";

/**
 * A request's value as an object of `kind` of its own, with what field validation has to say of it.
 * @throws ApiError 400 or 422 for a value of the wrong shape, or for what `Strict` does not let pass
 */
export function accept(
  kind: Kind,
  value: unknown,
  options: RequestOptions & Pick<UpdateOptions, "patched">,
): { object: KubeObject; warnings: string[] } {
  // Drover's own records have no schema; what JSON leaves out is left out.
  if (isInternal(kind)) return { object: JSON.parse(JSON.stringify(value)), warnings: [] };
  const { object, unknown } = decodeObject(kind, value);
  if (options.fieldValidation === "Ignore") return { object, warnings: [] };
  const warnings = strictProblems({ value, duplicates: [], ...options.parsed }, unknown);
  if (options.fieldValidation !== "Strict" || warnings.length === 0) return { object, warnings };
  const why = `strict decoding error: ${warnings.join(", ")}`;
  if (!options.patched)
    throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(value))}: ${why}`;
  throw invalid("", "", "", [{ reason: "FieldValueInvalid", field: "patch", message }]);
}

/** Puts the object where the request's path says. @throws ApiError 400 when its own namespace says otherwise */
export function place(kind: Kind, object: KubeObject, namespace: string): void {
  const { metadata } = object;
  if (!kind.namespaced) {
    delete metadata.namespace;
    return;
  }
  if ((metadata.namespace ?? "") !== "" && metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  metadata.namespace = namespace;
}
