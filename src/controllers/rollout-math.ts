import { createHash } from "node:crypto";
import { equal } from "../api/equal.ts";
import type { Deployment, PodTemplateSpec, ReplicaSet } from "../api/types.gen.ts";

export const hashLabel = "pod-template-hash";
export const revisionAnnotation = "deployment.kubernetes.io/revision";
export const revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history";
const desiredAnnotation = "deployment.kubernetes.io/desired-replicas";
const maxAnnotation = "deployment.kubernetes.io/max-replicas";
/** Annotations of a Deployment that its ReplicaSets do not take over. */
const ownAnnotations = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredAnnotation,
  maxAnnotation,
  "deprecated.deployment.rollback.to",
]);

const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Keys in order, so that equal templates give equal text. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
};

/** Ten characters of Kubernetes' safe alphabet; `collisions` makes another one for the same template. */
export function templateHash(template: PodTemplateSpec, collisions: number): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([sorted(template), collisions]))
    .digest();
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join("");
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const { [hashLabel]: _, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels } };
}

export const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  equal(withoutHash(a), withoutHash(b));

export function scaledValue(
  value: number | string | undefined,
  total: number,
  round: (exact: number) => number,
): number {
  if (typeof value !== "string") return value ?? 0;
  return value.endsWith("%") ? round((Number.parseInt(value, 10) * total) / 100) : Number.parseInt(value, 10) || 0;
}

/** How many Pods more, and how many fewer, than `replicas` there may be during a rollout. Never both 0. */
export function rolloutRoom({ spec }: Deployment): { surge: number; unavailable: number } {
  const replicas = spec.replicas ?? 1;
  if (spec.strategy?.type === "Recreate") return { surge: 0, unavailable: replicas };
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec.strategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, replicas, Math.ceil);
  const unavailable = scaledValue(maxUnavailable, replicas, Math.floor);
  return { surge, unavailable: Math.min(replicas, surge === 0 && unavailable === 0 ? 1 : unavailable) };
}

export const wanted = ({ spec }: ReplicaSet): number => spec.replicas ?? 1;
export const sumWanted = (sets: readonly ReplicaSet[]): number => sets.reduce((sum, set) => sum + wanted(set), 0);
export const available = ({ status }: ReplicaSet): number => status?.availableReplicas ?? 0;

export const annotated = (set: ReplicaSet, name: string): number | undefined => {
  const value = Number.parseInt(set.metadata.annotations?.[name] ?? "", 10);
  return Number.isNaN(value) ? undefined : value;
};
export const revisionOf = (set: ReplicaSet): number => annotated(set, revisionAnnotation) ?? 0;
export const desiredWhenWritten = (set: ReplicaSet): number | undefined => annotated(set, desiredAnnotation);

/** The annotations that a ReplicaSet carries beside its revision. */
export function replicaSetAnnotations(deployment: Deployment): Record<string, string> {
  const replicas = deployment.spec.replicas ?? 1;
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !ownAnnotations.has(key));
  const surge = deployment.spec.strategy?.type === "Recreate" ? 0 : rolloutRoom(deployment).surge;
  return {
    ...Object.fromEntries(copied),
    [desiredAnnotation]: String(replicas),
    [maxAnnotation]: String(replicas + surge),
  };
}

/**
 * A change of `replicas` in the middle of a rollout, shared out by size: what each ReplicaSet should have, in the order
 * given (largest first, of equals the newest first when growing and the oldest first when shrinking).
 */
export function proportional(deployment: Deployment, sets: readonly ReplicaSet[]): number[] {
  const replicas = deployment.spec.replicas ?? 1;
  const allowed = replicas > 0 ? replicas + rolloutRoom(deployment).surge : 0;
  const change = allowed - sumWanted(sets);
  let added = 0;
  const sizes = sets.map((set) => {
    if (change === 0) return wanted(set);
    const share = fraction(deployment, set, allowed);
    const left = change - added;
    const part = change > 0 ? Math.min(share, left) : Math.max(share, left);
    added += part;
    return wanted(set) + part;
  });
  const [first = 0] = sizes;
  return sizes.map((size, index) => Math.max(0, index === 0 ? first + change - added : size));
}

function fraction(deployment: Deployment, set: ReplicaSet, allowed: number): number {
  if ((deployment.spec.replicas ?? 1) === 0) return -wanted(set);
  const before = annotated(set, maxAnnotation) || (deployment.status?.replicas ?? 0) || allowed;
  return Math.round((wanted(set) * allowed) / before) - wanted(set);
}
