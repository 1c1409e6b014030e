import type { FieldProblem } from "./status.ts";

/** How Kubernetes shows a value in a complaint: as JSON. */
const shown = (value: unknown): string => JSON.stringify(value) ?? "null";
const quotedList = (values: readonly string[]): string => values.map((value) => JSON.stringify(value)).join(", ");
const because = (why: string): string => (why === "" ? "" : `: ${why}`);

export const required = (field: string, why = ""): FieldProblem => ({
  reason: "FieldValueRequired",
  message: `Required value${because(why)}`,
  field,
});
export const invalidValue = (field: string, value: unknown, why: string): FieldProblem => ({
  reason: "FieldValueInvalid",
  message: `Invalid value: ${shown(value)}${because(why)}`,
  field,
});
/** `values` in the order in which they are listed to the reader. */
export const notSupported = (field: string, value: unknown, values: readonly string[]): FieldProblem => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${shown(value)}: supported values: ${quotedList(values)}`,
  field,
});
export const forbiddenField = (field: string, why: string): FieldProblem => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${why}`,
  field,
});
export const duplicateValue = (field: string, value: unknown): FieldProblem => ({
  reason: "FieldValueDuplicate",
  message: `Duplicate value: ${shown(value)}`,
  field,
});
export const notFoundValue = (field: string, value: unknown): FieldProblem => ({
  reason: "FieldValueNotFound",
  message: `Not found: ${shown(value)}`,
  field,
});
export const tooLong = (field: string, bytesMax: number): FieldProblem => ({
  reason: "FieldValueTooLong",
  message: `Too long: may not be more than ${bytesMax} bytes`,
  field,
});

/** The complaint about a negative amount. */
export const nonNegative = (field: string, value: number | undefined | null): FieldProblem[] =>
  typeof value === "number" && value < 0 ? [invalidValue(field, value, "must be greater than or equal to 0")] : [];

export const immutable = "field is immutable";
