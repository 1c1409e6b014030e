import { decodeObject } from "../api/decode.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { ApiError, badRequest } from "../api/status.ts";
import { strictProblems } from "../api/strict.ts";
import { isInternal } from "./kind-table.ts";
import type { RequestOptions, UpdateOptions } from "./requests.ts";

type Patched = Pick<UpdateOptions, "patched" | "patchText">;

/**
 * A request's value as an object of `kind` of its own, with what field validation has to say of it.
 * @throws ApiError 400 or 422 for a value of the wrong shape, or for what `Strict` does not let pass
 */
export function accept(
  kind: Kind,
  value: unknown,
  options: RequestOptions & Patched,
): { object: KubeObject; warnings: string[] } {
  // Drover's own records have no schema; what JSON leaves out is left out.
  if (isInternal(kind)) return { object: JSON.parse(JSON.stringify(value)), warnings: [] };
  const { object, unknown } = decode(kind, value, options);
  if (options.fieldValidation === "Ignore") return { object, warnings: [] };
  const warnings = strictProblems({ value, duplicates: [], ...options.parsed }, unknown);
  if (options.fieldValidation !== "Strict" || warnings.length === 0) return { object, warnings };
  const why = `strict decoding error: ${warnings.join(", ")}`;
  throw options.patched ? patchRefused(value, why, options) : badRequest(`${prefixOf(kind)}${why}`);
}

const prefixOf = ({ kind, version }: Kind): string =>
  `${kind} in version "${version}" cannot be handled as a ${kind}: `;

/** A patch that makes a value of the wrong type is as wrong as one that makes an unknown field. */
function decode(kind: Kind, value: unknown, options: Patched): ReturnType<typeof decodeObject> {
  try {
    return decodeObject(kind, value);
  } catch (error) {
    const prefix = prefixOf(kind);
    if (!options.patched || !(error instanceof ApiError) || !error.message.startsWith(prefix)) throw error;
    throw patchRefused(value, error.message.slice(prefix.length), options);
  }
}

/** The patched object is shown with the keys in order that a patch may have touched. */
function patchRefused(value: unknown, why: string, { patchText }: Patched): ApiError {
  const text = JSON.stringify(patchText?.() ?? JSON.stringify(sorted(value)));
  const cause = { reason: "FieldValueInvalid", field: "patch", message: `Invalid value: ${text}: ${why}` };
  return new ApiError(422, "Invalid", ` "" is invalid: patch: ${cause.message}`, { causes: [cause] });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, key === "metadata" ? item : sorted(item)]));
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
