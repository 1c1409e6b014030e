import { labelSelectorMatcher } from "../api/labels.ts";
import type { KubeObject } from "../api/object.ts";
import { ApiError, badRequest } from "../api/status.ts";
import type { Pod, PodDisruptionBudget } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Call } from "./call.ts";
import { deletionOf } from "./delete-options.ts";
import { find } from "./read.ts";
import { sendValue } from "./reply.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { evictionKind, virtualBody } from "./virtual-kinds.ts";
import { writeOptions } from "./write.ts";

const violated = "Cannot evict pod as it would violate the pod's disruption budget.";

/** Deletes a Pod if the disruption budgets allow it. @throws 404, 429, 500 (more than one budget) */
export async function evict(context: Context, call: Call, target: Target): Promise<void> {
  const { kind, namespace, name } = target;
  const options = writeOptions(call, "CreateOptions");
  const eviction = await virtualBody(call, evictionKind);
  if (eviction.metadata.name !== name) throw badRequest("name in URL does not match name in Eviction object");
  const asked = deletionOf(eviction["deleteOptions"] ?? {});
  const dryRun = asked.dryRun || options.dryRun === true;
  const { object } = find(context, target);
  const pod = object as Pod; // Validated before it was stored.
  if (!isFreeToGo(pod)) await spend(context, pod, dryRun);
  await context.registry.delete(kind, namespace, name, asked.options, { ...options, dryRun });
  await sendValue(call, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
}

/** Whether nobody counts on the Pod: it has ended, is ending, or never began. */
function isFreeToGo({ metadata, status }: Pod): boolean {
  const phase = status?.phase ?? "";
  return metadata?.deletionTimestamp !== undefined || ["Succeeded", "Failed", "Pending"].includes(phase);
}

const isReady = ({ status }: Pod): boolean =>
  (status?.conditions ?? []).some(({ type, status: value }) => type === "Ready" && value === "True");

async function spend(context: Context, pod: Pod, dryRun: boolean): Promise<void> {
  const { name = "", namespace = "", labels } = pod.metadata ?? {};
  const { registry, clock } = context;
  const budgets = registry.view.list("poddisruptionbudgets.policy", namespace) as readonly PodDisruptionBudget[]; // As above.
  const [budget, ...others] = budgets.filter(({ spec }) => labelSelectorMatcher(spec?.selector)(labels));
  if (budget === undefined) return;
  if (others.length > 0) {
    throw new ApiError(
      500,
      "",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  if (!isReady(pod) && mayLeaveUnready(budget)) return;
  const kind = registry.kinds.ofResource("poddisruptionbudgets.policy");
  const take = (current: KubeObject) => {
    const { status = {}, metadata } = current as PodDisruptionBudget; // As above.
    if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) throw tooSoon(metadata.name ?? "");
    const left = status.disruptionsAllowed ?? 0;
    if (left <= 0) throw refused(current as PodDisruptionBudget);
    const disruptedPods = { ...status.disruptedPods, [name]: rfc3339(clock.wallMs()) };
    return { ...current, status: { ...status, disruptionsAllowed: left - 1, disruptedPods } };
  };
  await registry.update(kind, namespace, budget.metadata.name ?? "", take, {
    manager: "drover",
    dryRun,
    subresource: "status",
  });
}

/** Pods that are not ready may go at any time, or while the others are enough, as the budget says. */
function mayLeaveUnready({ spec, status = {} }: PodDisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status;
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function refused({ metadata, status = {} }: PodDisruptionBudget): ApiError {
  const { currentHealthy = 0, desiredHealthy = 0 } = status;
  const message = `The disruption budget ${metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  return new ApiError(429, "TooManyRequests", violated, { causes: [{ reason: "DisruptionBudget", message }] });
}

function tooSoon(name: string): ApiError {
  const message = `The disruption budget ${name} is still being processed by the server.`;
  return new ApiError(429, "TooManyRequests", violated, {
    causes: [{ reason: "DisruptionBudget", message }],
    retryAfterSeconds: 10,
  });
}
