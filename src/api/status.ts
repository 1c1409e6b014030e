import type { Status } from "./types.gen.ts";

/** A problem with one field, in Kubernetes' words. `field`: `spec.containers[0].image`. */
export type FieldProblem = {
  reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueNotFound"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueTypeInvalid"
    | "InternalError";
  /** The text after `field: `, e.g. `Required value`. */
  message: string;
  field: string;
};

/** An answer that is not a success: the Status that the client gets. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: Status & { code: number };
  /** What the client is told besides, as with a success. */
  warnings: readonly string[] = [];

  constructor(code: number, reason: string, message: string, details?: Status["details"]) {
    super(message);
    const answer = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, code };
    this.status = { ...answer, ...(reason !== "" && { reason }), ...(details && { details }) };
  }
}

/** What the details of most refusals name. `resource` is the plural name alone. */
type Subject = { group: string; resource: string; name?: string };

const qualified = ({ group, resource }: Subject): string => (group === "" ? resource : `${resource}.${group}`);
const detailsOf = ({ group, resource, name }: Subject): NonNullable<Status["details"]> => ({
  ...(name !== undefined && name !== "" && { name }),
  ...(group !== "" && { group }),
  kind: resource,
});

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const unauthorized = (): ApiError => new ApiError(401, "Unauthorized", "Unauthorized");
export const forbidden = (subject: Subject, why: string): ApiError =>
  new ApiError(
    403,
    "Forbidden",
    `${qualified(subject)} ${quoted(subject.name)}is forbidden: ${why}`,
    detailsOf(subject),
  );
export const notFound = (subject: Subject): ApiError =>
  new ApiError(404, "NotFound", `${qualified(subject)} "${subject.name ?? ""}" not found`, detailsOf(subject));
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
export const alreadyExists = (subject: Subject, terminating = false): ApiError => {
  const text = `${qualified(subject)} "${subject.name ?? ""}" already exists`;
  return new ApiError(
    409,
    "AlreadyExists",
    terminating ? `object is being deleted: ${text}` : text,
    detailsOf(subject),
  );
};
export const conflict = (subject: Subject, why: string): ApiError => {
  const text = `Operation cannot be fulfilled on ${qualified(subject)} "${subject.name ?? ""}": ${why}`;
  return new ApiError(409, "Conflict", text, detailsOf(subject));
};
export const objectModified =
  "the object has been modified; please apply your changes to the latest version and try again";
export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

/** 422 with one cause a problem. `kind` is the Kind, not the resource. */
export function invalid(group: string, kind: string, name: string, problems: readonly FieldProblem[]): ApiError {
  // The same complaint found by two rules is said once, but counted twice among the causes.
  const texts = [...new Set(problems.map(({ field, message }) => `${field}: ${message}`))];
  const what = `${group === "" ? kind : `${kind}.${group}`} "${name}" is invalid: `;
  const details = { ...(name !== "" && { name }), ...(group !== "" && { group }), kind, causes: [...problems] };
  return new ApiError(422, "Invalid", what + (texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`), details);
}

const quoted = (name: string | undefined): string => (name === undefined || name === "" ? "" : `"${name}" `);
