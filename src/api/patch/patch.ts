import { jsonSyntaxProblem } from "../json-syntax.ts";
import { isObject, type JsonObject } from "../json-values.ts";
import type { Kind } from "../kinds.ts";
import type { KubeObject } from "../object.ts";
import { ApiError, badRequest } from "../status.ts";
import { goText, jsonTypeName } from "./go-text.ts";
import { jsonPatch } from "./json-patch.ts";
import { mergePatch } from "./merge-patch.ts";
import { strategicMergePatch } from "./strategic.ts";

/**
 * `target` changed by the body of a PATCH, not yet decoded, defaulted or checked against the kind. `target` is not
 * modified. `contentType` may carry parameters. Server-side apply is not done here.
 * @throws ApiError 400 for a body that is no such patch, 415 for another content type, 422 or 500 for a patch that
 * cannot be applied, as Kubernetes answers them
 */
export function patchObject(kind: Kind, contentType: string, target: KubeObject, body: Uint8Array): unknown {
  switch (contentType.split(";")[0]?.trim()) {
    case "application/json-patch+json":
      return jsonPatch(target, operationsFrom(body));
    case "application/merge-patch+json":
      return mergePatch(target, objectFrom(body, "error decoding patch: "));
    case "application/strategic-merge-patch+json":
      return strategicMergePatch(kind, target, objectFrom(body, ""));
    default:
      throw new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  }
}

/** A patch that can be read, as refusals of a strategic merge show it. */
export const patchText = (body: Uint8Array): string => goText(parse(body, ""));

function operationsFrom(body: Uint8Array): readonly unknown[] {
  const before = "error decoding patch: ";
  const value = parse(body, before);
  if (!Array.isArray(value)) throw badRequest(`${before}${wrongType(value, "[]handlers.jsonPatchOp")}`);
  for (const operation of value) {
    if (operation === null) continue;
    if (!isObject(operation)) throw badRequest(`${before}${wrongType(operation, "handlers.jsonPatchOp")}`);
    for (const name of ["op", "path", "from"]) {
      const word = operation[name] ?? "";
      if (typeof word === "string") continue;
      const what = `json: cannot unmarshal ${jsonTypeName(word)} into Go struct field jsonPatchOp.${name} of type string`;
      throw badRequest(before + what);
    }
  }
  return value;
}

function objectFrom(body: Uint8Array, before: string): JsonObject {
  const value = parse(body, before);
  if (!isObject(value)) throw badRequest(`${before}${wrongType(value, "map[string]interface {}")}`);
  return value;
}

const wrongType = (value: unknown, goType: string): string =>
  `json: cannot unmarshal ${jsonTypeName(value)} into Go value of type ${goType}`;

/** Only a body of this size can be nested deeper than the code that walks it may recurse. */
const deepBytes = 2_000;

function parse(body: Uint8Array, before: string): unknown {
  const problem = body.length < deepBytes ? undefined : jsonSyntaxProblem(body);
  if (problem !== undefined) throw badRequest(before + problem);
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    throw badRequest(before + (jsonSyntaxProblem(body) ?? "invalid JSON"));
  }
}
