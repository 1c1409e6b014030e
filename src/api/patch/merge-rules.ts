import { type FieldType, fieldType } from "../field-type.ts";
import { type FieldRow, schema } from "../kinds.ts";
import { ApiError } from "../status.ts";

/**
 * How a strategic merge treats the value at one place of an object. `type` is absent where any JSON may stand;
 * `mergeKey` is empty where items have none; `strategy` is empty where lists are replaced and maps merge.
 */
export type MergeRule = { type?: FieldType; strategy: "" | "merge" | "replace"; mergeKey: string };

/** The rule for a whole object of this type. */
export const ruleOfType = (type: string): MergeRule => ({ type: { is: "ref", to: type }, strategy: "", mergeKey: "" });

/** The rule for one field of a value under `parent`. @throws ApiError 500 when the type has no such field */
export function ruleOfField(parent: MergeRule, name: string): MergeRule {
  const { type } = parent;
  if (type?.is === "map") return { type: type.of, strategy: "", mergeKey: "" };
  if (type?.is !== "ref") return { strategy: "", mergeKey: "" };
  const row = schema.types[type.to]?.f[name];
  if (row) return ruleOfRow(row);
  const struct = type.to.split(".").pop();
  throw serverError(`unable to find api field in struct ${struct} for the json field "${name}"`);
}

function ruleOfRow([type, , , extras]: FieldRow): MergeRule {
  const strategy = (extras?.ps ?? "").split(",").find((word) => word === "merge" || word === "replace") ?? "";
  return { type: fieldType(type), strategy, mergeKey: extras?.mk ?? "" };
}

/** The rule for the items of a list. */
export const ruleOfItems = ({ type }: MergeRule): MergeRule =>
  type?.is === "list" || type?.is === "wireList"
    ? { type: type.of, strategy: "", mergeKey: "" }
    : { strategy: "", mergeKey: "" };

/** A mistake in a patch that Kubernetes answers as a failure of its own. */
export const serverError = (message: string): ApiError => new ApiError(500, "", message);
