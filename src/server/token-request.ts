import { conflict, type FieldProblem, invalid, notFound } from "../api/status.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Call } from "./call.ts";
import { find } from "./read.ts";
import { sendValue } from "./reply.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { issuer, signToken } from "./tokens.ts";
import { managed, tokenRequestKind, virtualBody } from "./virtual-kinds.ts";
import { writeOptions } from "./write.ts";

const leastSeconds = 600;
const mostSeconds = 2 ** 32;
const usualSeconds = 3_600;

type Spec = {
  audiences?: string[] | null;
  expirationSeconds?: number | null;
  boundObjectRef?: { kind?: string; name?: string; uid?: string } | null;
};

/** Signs a token for a service account. @throws 404, 422 */
export async function requestToken(context: Context, call: Call, target: Target): Promise<void> {
  const { identity, clock } = context;
  const { namespace, name } = target;
  const { manager } = writeOptions(call, "CreateOptions");
  const account = find(context, target).object;
  const request = await virtualBody(call, tokenRequestKind);
  const given = (request.spec ?? {}) as Spec; // Decoded as a TokenRequest before.
  const seconds = given.expirationSeconds ?? usualSeconds;
  checkSeconds(seconds);
  const audiences = given.audiences?.length ? given.audiences : [issuer];
  const bound = given.boundObjectRef ?? undefined;
  const nowMs = clock.wallMs();
  const claims = {
    namespace,
    serviceaccount: { name, uid: account.metadata.uid ?? "" },
    ...(bound !== undefined && boundTo(bound, namespace, context)),
  };
  const token = signToken(identity, { audiences, expirationSeconds: seconds, "kubernetes.io": claims }, nowMs);
  const managedFields = managed(tokenRequestKind, request, manager, nowMs, "token").metadata.managedFields;
  const { uid } = account.metadata;
  const metadata = { name, namespace, uid, creationTimestamp: rfc3339(nowMs), managedFields };
  const spec = { audiences, expirationSeconds: seconds, boundObjectRef: bound ?? null };
  const status = { token, expirationTimestamp: rfc3339(nowMs + seconds * 1000) };
  const answer = { kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", metadata, spec, status };
  await sendValue(call, 201, answer);
}

function checkSeconds(seconds: number): void {
  const refuse = (why: string) => {
    const problem: FieldProblem = {
      reason: "FieldValueInvalid",
      message: `Invalid value: ${seconds}: ${why}`,
      field: "spec.expirationSeconds",
    };
    return invalid("authentication.k8s.io", "TokenRequest", "", [problem]);
  };
  if (seconds < leastSeconds) throw refuse("may not specify a duration less than 10 minutes");
  if (seconds > mostSeconds) throw refuse("may not specify a duration larger than 2^32 seconds");
}

/** The claim that ties the token to a Pod or a Secret: without it the token is worth nothing. @throws 404, 409, 422 */
function boundTo(bound: NonNullable<Spec["boundObjectRef"]>, namespace: string, { registry }: Context) {
  const { kind = "", name = "", uid } = bound;
  const resource = kind === "Pod" ? "pods" : kind === "Secret" ? "secrets" : undefined;
  if (resource === undefined) {
    const message = `Unsupported value: ${JSON.stringify(kind)}: supported values: "Pod", "Secret"`;
    const problem: FieldProblem = { reason: "FieldValueNotSupported", message, field: "spec.boundObjectRef.kind" };
    throw invalid("authentication.k8s.io", "TokenRequest", "", [problem]);
  }
  const object = registry.view.get(resource, namespace, name);
  if (object === undefined) throw notFound({ group: "", resource, name });
  const actual = object.metadata?.uid ?? "";
  if (uid !== undefined && uid !== "" && uid !== actual) {
    const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ group: "", resource, name }, why);
  }
  return { [kind.toLowerCase()]: { name, uid: actual } };
}
