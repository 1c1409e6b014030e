import { DroverError } from "../../base/errors.ts";
import { type ErrorKind, judge, kinds } from "./error-table.ts";

/** The part of the SDK's exceptions that is looked at; errors of sockets carry `code` instead of `name`. */
type Thrown = {
  name?: unknown;
  code?: unknown;
  Code?: unknown;
  message?: unknown;
  $metadata?: { httpStatusCode?: number };
};

const asText = (value: unknown): string => (typeof value === "string" ? value : "");

/** Node's own names say nothing; the SDK's do. */
const codeOf = ({ name, code, Code }: Thrown): string =>
  [asText(Code), asText(name), asText(code)].find(
    (text) => text !== "" && text !== "Error" && text !== "AggregateError",
  ) ?? "unknown";

/** `… is not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:… because …`, in any of its forms. */
const deniedPattern = /not authorized to perform:? ([\w-]+:\w+)/;
const deniedResource = /on resource:? (\S+?)[.,]?(?:\s|$)/;
const deniedPrincipal = /User: (\S+)/;

/**
 * The catalogue's error for what an SDK call threw. `action`: in IAM's spelling. `details` hold `awsCode`, `kind`,
 * `action`, `retryAfterSeconds` where waiting helps, and for a denied action `resource` and `principal`.
 */
export function awsError(thrown: unknown, action: string): DroverError {
  if (thrown instanceof DroverError) return thrown;
  const error: Thrown = typeof thrown === "object" && thrown !== null ? thrown : {};
  const awsCode = codeOf(error);
  const message = asText(error.message);
  const judged = judge(awsCode, error.$metadata?.httpStatusCode);
  const { kind } = judged;
  if (/^Region is missing/.test(message))
    return new DroverError("CLOUD_INVALID", noRegion, { kind: "refused" }, thrown);
  const { code, retryAfterSeconds } = kinds[kind];
  const denied = kind === "denied" ? deniedDetails(message, action) : { action };
  return new DroverError(
    code,
    sentence(kind, denied, awsCode, message, judged.advice),
    { ...denied, awsCode, kind, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
    thrown,
  );
}

const noRegion =
  "No region is chosen: --region, AWS_REGION, or `aws configure set region us-east-1` for every command.";

type Denied = { action: string; resource?: string; principal?: string };

function deniedDetails(message: string, action: string): Denied {
  const [, resource] = deniedResource.exec(message) ?? [];
  const [, principal] = deniedPrincipal.exec(message) ?? [];
  return {
    action: deniedPattern.exec(message)?.[1] ?? action,
    ...(resource !== undefined && { resource }),
    ...(principal !== undefined && { principal }),
  };
}

function sentence(kind: ErrorKind, denied: Denied, awsCode: string, message: string, advice: string): string {
  const { action, resource, principal } = denied;
  if (kind === "denied") {
    const onWhat = resource === undefined ? "" : ` on ${resource}`;
    const whom = principal === undefined ? "these credentials" : principal;
    return `AWS does not permit ${action}${onWhat} to ${whom} (${awsCode}): ${advice}.`;
  }
  // The encoded part of a message is long and says nothing to a reader, nor do hints to who calls the SDK.
  const said = message
    .replace(/\s*Deserialization error: to see the raw response.*$/s, "")
    .replace(/\s*Encoded authorization failure message:.*$/s, "")
    .slice(0, 500)
    .replace(/\.?\s*$/, "");
  if (kind === "expired") return `AWS does not accept the credentials (${awsCode}: ${said}): ${advice}.`;
  return `${action} failed with ${awsCode}: ${said || "no message"}; ${advice}.`;
}

/** What an error of AWS means, or undefined for errors of anything else. */
export const kindOf = (error: unknown): ErrorKind | undefined =>
  error instanceof DroverError ? (error.details["kind"] as ErrorKind | undefined) : undefined;

export const isKind = (error: unknown, ...wanted: ErrorKind[]): error is DroverError => {
  const kind = kindOf(error);
  return kind !== undefined && wanted.includes(kind);
};

/** The action that a denied call was denied for: not always its own. */
export const deniedAction = ({ details }: DroverError): string => asText(details["action"]);

/** AWS' own code in an error of the catalogue, or "". */
export const awsCodeOf = (error: unknown): string =>
  error instanceof DroverError ? asText(error.details["awsCode"]) : "";

/** An instance profile that was made a moment ago is not known everywhere yet. */
export const isFreshProfile = (error: unknown): error is DroverError =>
  awsCodeOf(error) === "InvalidParameterValue" &&
  error instanceof DroverError &&
  /Invalid IAM Instance Profile/i.test(error.message);
