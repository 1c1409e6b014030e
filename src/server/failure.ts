import { ApiError } from "../api/status.ts";
import { DroverError } from "../base/errors.ts";

/** The Status for anything thrown while a request was served. What nobody expects becomes a 500 that tells no secrets. */
export function failureOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DroverError) {
    const { status, retryable, hint } = error.advice();
    const details = retryable ? { retryAfterSeconds: 1 } : {};
    return new ApiError(
      status,
      reasons[status] ?? "InternalError",
      `${error.message} (${error.code}). ${hint}`,
      details,
    );
  }
  return new ApiError(500, "InternalError", "Internal error occurred: see the log of drover serve", {
    causes: [{ message: "see the log of drover serve" }],
  });
}

/** Whether it is a bug or a broken computer, worth a line in the log whatever its level. */
export const isUnexpected = (error: unknown): boolean => !(error instanceof ApiError || error instanceof DroverError);

const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** A path that the API knows the beginning of and nothing else. */
export const noSuchResource = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource", {});
