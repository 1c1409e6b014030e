import { pipeline } from "node:stream/promises";
import { badRequest, type FieldProblem, invalid } from "../api/status.ts";
import type { Pod } from "../api/types.gen.ts";
import type { LogRequest } from "../clouds/box.ts";
import type { Call } from "./call.ts";
import { containerOf, podOf } from "./pod-target.ts";
import { flag, integer, type Query } from "./query.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";

/** Sends what a container has printed, and with `follow` what it goes on to print. */
export async function sendLog(context: Context, call: Call, target: Target): Promise<void> {
  const found = podOf(context, target);
  const request = logRequest(call.query, target.name, found.pod);
  const { response } = call;
  if (found.machineId === "") {
    response.writeHead(204);
    response.end();
    return;
  }
  refuseWaiting(found.pod, request);
  const ended = new AbortController();
  response.on("close", () => ended.abort());
  const signal = AbortSignal.any([ended.signal, context.closing]);
  const log = await context.boxes.logs(found.machineId, request, signal);
  response.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": "no-cache, private" });
  response.flushHeaders();
  await pipeline(log, response).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** PodLogOptions from the query. @throws 400, 422 */
function logRequest(query: Query, name: string, pod: Pod): LogRequest {
  const problems: FieldProblem[] = [];
  const number = (field: string, least: number, why: string) => {
    const value = integer(query, field);
    if (value !== undefined && value < least) {
      problems.push({ reason: "FieldValueInvalid", message: `Invalid value: ${value}: ${why}`, field });
    }
    return value === undefined ? {} : { [field]: value };
  };
  const tail = number("tailLines", 0, "must be greater than or equal to 0");
  const limit = number("limitBytes", 1, "must be greater than 0");
  const since = number("sinceSeconds", 1, "must be greater than 0");
  const sinceTime = query.get("sinceTime") ?? "";
  if (sinceTime !== "" && query.has("sinceSeconds")) {
    const message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
    problems.push({ reason: "FieldValueForbidden", message, field: "" });
  }
  if (problems.length > 0) throw invalid("", "PodLogOptions", name, problems);
  return {
    container: containerOf(pod, query.get("container") ?? ""),
    follow: query.has("follow") && flag(query, "follow"),
    previous: query.has("previous") && flag(query, "previous"),
    timestamps: query.has("timestamps") && flag(query, "timestamps"),
    ...tail,
    ...limit,
    ...since,
    ...(sinceTime !== "" && { sinceTime }),
  };
}

/** A container that was never started has printed nothing; clients are told why. @throws 400 */
function refuseWaiting({ metadata, status }: Pod, { container, previous }: LogRequest): void {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const found = all.find(({ name }) => name === container);
  const pod = `container "${container}" in pod "${metadata?.name ?? ""}"`;
  if (previous && found !== undefined && found.lastState?.terminated === undefined) {
    throw badRequest(`previous terminated ${pod} not found`);
  }
  const waiting = found?.state?.waiting;
  if (waiting === undefined || previous || (found?.restartCount ?? 0) > 0) return;
  const why = waiting.reason === "ImagePullBackOff" || waiting.reason === "ErrImagePull";
  const state = why ? "trying and failing to pull image" : (waiting.reason ?? "ContainerCreating");
  throw badRequest(`${pod} is waiting to start: ${state}`);
}
