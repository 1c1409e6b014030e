import { mountToken } from "../api/defaulting/admission.ts";
import type { Kind } from "../api/kinds.ts";
import { forbidden } from "../api/status.ts";
import type { Pod, PodSpec } from "../api/types.gen.ts";
import { suffix } from "../base/random.ts";
import { type Context, subjectOf } from "./context.ts";
import { copyJson } from "./copy.ts";

/** The classes that every cluster has without an object for them. */
const systemPriorities: Readonly<Record<string, number>> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

const classes = "priorityclasses.scheduling.k8s.io";
type PriorityClass = { value?: number; globalDefault?: boolean; preemptionPolicy?: string };

/** Completes a new Pod in place with what its service account and its priority class say. @throws ApiError 403 */
export function admitPod(context: Context, kind: Kind, pod: Pod): void {
  const { spec } = pod;
  if (spec === undefined) return;
  account(context, kind, pod, spec);
  prioritize(context, kind, pod, spec);
}

function account({ cache, random }: Context, kind: Kind, { metadata }: Pod, spec: PodSpec): void {
  const { namespace = "" } = metadata;
  const name = spec.serviceAccountName ?? "default";
  const found = cache.get("serviceaccounts", namespace, name);
  if (found === undefined) {
    const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
    throw forbidden(subjectOf(kind, metadata.name), why);
  }
  if ((spec.imagePullSecrets ?? []).length === 0 && (found.imagePullSecrets ?? []).length > 0) {
    spec.imagePullSecrets = copyJson(found.imagePullSecrets);
  }
  const automount = spec.automountServiceAccountToken ?? found.automountServiceAccountToken ?? true;
  if (automount) mountToken({ spec }, suffix(random));
}

function priorityClass(cache: Context["cache"], name: string): PriorityClass | undefined {
  const value = systemPriorities[name];
  return value === undefined ? (cache.get(classes, "", name) as PriorityClass | undefined) : { value }; // Of that resource.
}

function prioritize({ cache }: Context, kind: Kind, { metadata }: Pod, spec: PodSpec): void {
  spec.priorityClassName ||= cache
    .list(classes)
    .find((it) => (it as PriorityClass).globalDefault === true)?.metadata.name;
  const name = spec.priorityClassName;
  if (name === undefined) delete spec.priorityClassName;
  const found = name === undefined ? {} : priorityClass(cache, name);
  if (found === undefined)
    throw forbidden(subjectOf(kind, metadata.name), `no PriorityClass with name ${name} was found`);
  const { value = 0, preemptionPolicy }: PriorityClass = found;
  if (spec.priority !== undefined && spec.priority !== value) {
    const computed = `priority admission controller computed ${value} from the given PriorityClass name`;
    const why = `the integer value of priority (${spec.priority}) must not be provided in pod spec; ${computed}`;
    throw forbidden(subjectOf(kind, metadata.name), why);
  }
  spec.priority = value;
  if (preemptionPolicy !== undefined) spec.preemptionPolicy ??= preemptionPolicy;
}
