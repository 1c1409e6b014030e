import { badRequest, type FieldProblem, invalid } from "../api/status.ts";
import type { DeleteOptions } from "../api/types.gen.ts";
import type { Call } from "./call.ts";
import { deleteParameters } from "./query.ts";
import { bodyFrom } from "./request-body.ts";

export type Deletion = { options: Omit<DeleteOptions, "apiVersion" | "kind" | "dryRun">; dryRun: boolean };

/** How to delete: as the body says, or the query where there is none. @throws 400, 422 */
export function deleteOptions(bytes: Buffer, call: Call): Deletion {
  const given = bytes.length > 0 ? deletionOf(bodyFrom(bytes, call).value) : checked(deleteParameters(call.query));
  return { ...given, dryRun: given.dryRun || call.query.getAll("dryRun").includes("All") };
}

/** DeleteOptions as a client gives them. @throws 400, 422 */
export const deletionOf = (value: unknown): Deletion => checked(fromValue(value));

function checked(given: Partial<DeleteOptions>): Deletion {
  const problems = problemsOf(given);
  if (problems.length > 0) throw invalid("meta.k8s.io", "DeleteOptions", "", problems);
  const { dryRun = [], ...options } = given;
  return { options, dryRun: dryRun.length > 0 };
}

function fromValue(value: unknown): Partial<DeleteOptions> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badRequest("DeleteOptions must be an object");
  const { kind, apiVersion, ...options } = value as Partial<DeleteOptions>; // Checked field by field below.
  if (kind !== undefined && kind !== "" && kind !== "DeleteOptions") {
    const where = 'in scheme "pkg/runtime/scheme.go:111"';
    throw badRequest(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion ?? "")} ${where}`,
    );
  }
  const { gracePeriodSeconds: seconds, propagationPolicy, orphanDependents, preconditions, dryRun } = options;
  const wrong =
    (seconds !== undefined && seconds !== null && !Number.isInteger(seconds)) ||
    (propagationPolicy !== undefined && propagationPolicy !== null && typeof propagationPolicy !== "string") ||
    (orphanDependents !== undefined && orphanDependents !== null && typeof orphanDependents !== "boolean") ||
    (preconditions !== undefined && preconditions !== null && typeof preconditions !== "object") ||
    (dryRun !== undefined && dryRun !== null && !Array.isArray(dryRun));
  if (wrong) throw badRequest("DeleteOptions: a field has the wrong type");
  return Object.fromEntries(Object.entries(options).filter(([, each]) => each !== null));
}

function problemsOf({ dryRun = [] }: Partial<DeleteOptions>): FieldProblem[] {
  if (dryRun.every((each) => each === "All")) return [];
  const message = `Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`;
  return [{ reason: "FieldValueNotSupported", message, field: "dryRun" }];
}
