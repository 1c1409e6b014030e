import { ApiError, badRequest, type FieldProblem, invalid } from "../api/status.ts";
import type { DeleteOptions } from "../api/types.gen.ts";

/** Query parameters of the request, first values only, as Kubernetes reads them. */
export type Query = URLSearchParams;

const optionProblems = (kind: string, problems: readonly FieldProblem[]): ApiError =>
  invalid("meta.k8s.io", kind, "", problems);

export function integer(query: Query, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^[+-]?\d{1,18}$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** Go's reading of a boolean parameter; an empty value counts as true. */
export function flag(query: Query, name: string): boolean {
  const text = query.get(name);
  return text !== null && text !== "false" && text !== "0";
}

export type WriteParameters = {
  dryRun: boolean;
  fieldValidation: "Strict" | "Warn" | "Ignore";
  /** Empty when the client names none. */
  fieldManager: string;
};

const levels = ["Ignore", "Strict", "Warn"] as const;

/** What Kubernetes calls the parameters of each write; those of an apply are PatchOptions too. */
export type OptionsKind = "CreateOptions" | "UpdateOptions" | "PatchOptions" | "ApplyOptions";

/** dryRun, fieldValidation and fieldManager of a write. @throws 422 */
export function writeParameters(query: Query, kind: OptionsKind): WriteParameters {
  const problems: FieldProblem[] = [];
  if (kind === "PatchOptions" && query.has("force")) {
    const message = "Forbidden: may not be specified for non-apply patch";
    problems.push({ reason: "FieldValueForbidden", message, field: "force" });
  }
  const dryRun = query.getAll("dryRun").filter((each) => each !== "");
  const unknown = dryRun.filter((each) => each !== "All");
  const fieldManager = query.get("fieldManager") ?? "";
  if (kind === "ApplyOptions" && fieldManager === "") {
    const message = "Required value: is required for apply patch";
    problems.push({ reason: "FieldValueRequired", message, field: "fieldManager" });
  }
  if (Buffer.byteLength(fieldManager) > 128) {
    problems.push({
      reason: "FieldValueTooLong",
      message: "Too long: may not be more than 128 bytes",
      field: "fieldManager",
    });
  }
  if (unknown.length > 0) problems.push(notSupported("dryRun", JSON.stringify(dryRun), ["All"]));
  const validation = query.get("fieldValidation") ?? "";
  const level = levels.find((each) => each === validation);
  if (validation !== "" && level === undefined) {
    problems.push(notSupported("fieldValidation", JSON.stringify(validation), ["", ...levels]));
  }
  if (problems.length > 0) throw optionProblems(kind === "ApplyOptions" ? "PatchOptions" : kind, problems);
  return { dryRun: dryRun.length > 0, fieldValidation: level ?? "Warn", fieldManager };
}

const notSupported = (field: string, value: string, supported: readonly string[]): FieldProblem => ({
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${value}: supported values: ${supported.map((each) => JSON.stringify(each)).join(", ")}`,
  field,
});

const forbiddenMatch = (message: string, field = "resourceVersionMatch"): FieldProblem => ({
  reason: "FieldValueForbidden",
  message: `Forbidden: ${message}`,
  field,
});

export type Reading = {
  resourceVersion: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
  limit?: number;
  continue?: string;
};

/** What a list may ask. @throws 400, 422 */
export function listParameters(query: Query): Reading {
  const limit = integer(query, "limit");
  const resourceVersion = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const token = query.get("continue") ?? "";
  const problems: FieldProblem[] = [];
  if (query.has("sendInitialEvents")) {
    problems.push(forbiddenMatch("sendInitialEvents is forbidden for list", "sendInitialEvents"));
  }
  if (match !== "") {
    if (token !== "") problems.push(forbiddenMatch("resourceVersionMatch is forbidden when continue is provided"));
    if (resourceVersion === "") {
      problems.push(forbiddenMatch("resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if (match !== "Exact" && match !== "NotOlderThan") {
      problems.push(notSupported("resourceVersionMatch", JSON.stringify(match), ["Exact", "NotOlderThan", ""]));
    } else if (match === "Exact" && resourceVersion === "0") {
      problems.push(forbiddenMatch('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (problems.length > 0) throw optionProblems("ListOptions", problems);
  if (token !== "" && resourceVersion !== "" && resourceVersion !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  if (!isVersion(resourceVersion)) throw badRequest(`invalid resource version: ${badVersion(resourceVersion)}`);
  return {
    resourceVersion,
    ...((match === "Exact" || match === "NotOlderThan") && { resourceVersionMatch: match }),
    ...(limit !== undefined && limit > 0 && { limit }),
    ...(token !== "" && { continue: token }),
  };
}

export type Watching = {
  /** The resourceVersion as it was given. */
  from: string;
  initialEvents: boolean;
  bookmarks: boolean;
  /** Undefined: the server's own choice. */
  timeoutSeconds?: number;
};

/** What a watch may ask. @throws 422; 500 for a resourceVersion that is no number, as Kubernetes does */
export function watchParameters(query: Query): Watching {
  const resourceVersion = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const sending = query.get("sendInitialEvents");
  const problems: FieldProblem[] = [];
  if (sending !== null) {
    if (match !== "NotOlderThan") {
      problems.push(forbiddenMatch("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
      if (match !== "") problems.push(notSupported("resourceVersionMatch", JSON.stringify(match), ["NotOlderThan"]));
    }
  } else if (match !== "") {
    problems.push(forbiddenMatch("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
  }
  if (problems.length > 0) throw optionProblems("ListOptions", problems);
  if (!isVersion(resourceVersion)) throw new ApiError(500, "", badVersion(resourceVersion));
  const timeoutSeconds = integer(query, "timeoutSeconds");
  const asked = sending !== null && flag(query, "sendInitialEvents");
  return {
    from: resourceVersion,
    initialEvents: asked || (sending === null && Number(resourceVersion) === 0),
    bookmarks: flag(query, "allowWatchBookmarks"),
    ...(timeoutSeconds !== undefined && timeoutSeconds > 0 && { timeoutSeconds }),
  };
}

const isVersion = (text: string): boolean => text === "" || /^\d{1,15}$/.test(text);
const badVersion = (text: string): string =>
  `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;

/** DeleteOptions from the query, which counts only when the body is empty. @throws 400 */
export function deleteParameters(query: Query): Omit<DeleteOptions, "apiVersion" | "kind"> {
  const graceSeconds = integer(query, "gracePeriodSeconds");
  const policy = query.get("propagationPolicy");
  const dryRun = query.getAll("dryRun").filter((each) => each !== "");
  return {
    ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
    ...(policy !== null && { propagationPolicy: policy }),
    ...(query.has("orphanDependents") && { orphanDependents: flag(query, "orphanDependents") }),
    ...(dryRun.length > 0 && { dryRun }),
  };
}
