import type { Deployment, ReplicaSet } from "../api/types.gen.ts";
import { scaledNotice } from "./deployment-notices.ts";
import { keyOf } from "./owned.ts";
import type { Action } from "./reconciler.ts";
import {
  available,
  desiredWhenWritten,
  proportional,
  replicaSetAnnotations,
  revisionOf,
  rolloutRoom,
  sumWanted,
  wanted,
} from "./rollout-math.ts";

export type RolloutWorld = {
  deployment: Deployment;
  fresh?: ReplicaSet | undefined;
  /** The oldest first. */
  old: readonly ReplicaSet[];
  podsLeft: ReadonlyMap<string, number>;
};

/** One step from the old ReplicaSets to the new one, never past the surge and never below the floor. */
export function planRollout(world: RolloutWorld): Action[] {
  const { deployment, fresh, old } = world;
  const all = fresh ? [...old, fresh] : old;
  const replicas = deployment.spec.replicas ?? 1;
  const isResized = all.some((set) => wanted(set) > 0 && differsFrom(set, replicas));
  if (deployment.spec.paused || isResized) return planSize(world, all);
  if (!fresh) return deployment.spec.strategy?.type === "Recreate" ? old.flatMap((set) => scale(world, set, 0)) : [];
  const steps = deployment.spec.strategy?.type === "Recreate" ? planRecreate(world, fresh) : planRolling(world, fresh);
  return steps.length > 0 ? steps : planCleanup(world, fresh);
}

function differsFrom(set: ReplicaSet, replicas: number): boolean {
  const written = desiredWhenWritten(set);
  return written !== undefined && written !== replicas;
}

/** Writes the size, and the sizes it belongs to, when either differs. */
function scale({ deployment }: RolloutWorld, set: ReplicaSet, to: number): Action[] {
  const from = wanted(set);
  const annotations = { ...set.metadata.annotations, ...replicaSetAnnotations(deployment) };
  const isNoted = Object.entries(annotations).every(([key, value]) => set.metadata.annotations?.[key] === value);
  if (from === to && isNoted) return [];
  const next = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, replicas: to } };
  const told = from === to ? {} : { told: scaledNotice(deployment, set.metadata.name, from, to) };
  return [{ do: "write", key: keyOf("replicasets.apps", set), next, ...told }];
}

/** A new size outside a rollout goes to the one ReplicaSet that counts; in the middle of one it is shared out. */
function planSize(world: RolloutWorld, all: readonly ReplicaSet[]): Action[] {
  const { deployment, fresh, old } = world;
  const replicas = deployment.spec.replicas ?? 1;
  const active = all.filter((set) => wanted(set) > 0);
  const [only = fresh ?? all.at(-1)] = active;
  if (active.length <= 1) return only ? scale(world, only, replicas) : [];
  if (fresh && wanted(fresh) === replicas && available(fresh) === replicas) {
    return old.filter((set) => wanted(set) > 0).flatMap((set) => scale(world, set, 0));
  }
  if (deployment.spec.strategy?.type === "Recreate") return fresh ? scale(world, fresh, replicas) : [];
  const grows = replicas > 0 && replicas + rolloutRoom(deployment).surge > sumWanted(active);
  const bySize = [...active].sort(
    (a, b) => wanted(b) - wanted(a) || (all.indexOf(b) - all.indexOf(a)) * (grows ? 1 : -1),
  );
  const sizes = proportional(deployment, bySize);
  return bySize.flatMap((set, index) => scale(world, set, sizes[index] ?? wanted(set)));
}

function planRecreate(world: RolloutWorld, fresh: ReplicaSet): Action[] {
  const stopping = world.old.flatMap((set) => (wanted(set) > 0 ? scale(world, set, 0) : []));
  if (stopping.length > 0) return stopping;
  const isOldLeft = world.old.some(({ metadata }) => (world.podsLeft.get(metadata.uid ?? "") ?? 0) > 0);
  return isOldLeft ? [] : scale(world, fresh, world.deployment.spec.replicas ?? 1);
}

function planRolling(world: RolloutWorld, fresh: ReplicaSet): Action[] {
  const { deployment, old } = world;
  const replicas = deployment.spec.replicas ?? 1;
  const { surge, unavailable } = rolloutRoom(deployment);
  const total = sumWanted([...old, fresh]);
  if (wanted(fresh) > replicas) return scale(world, fresh, replicas);
  const room = Math.max(0, Math.min(replicas + surge - total, replicas - wanted(fresh)));
  const growing = scale(world, fresh, wanted(fresh) + room);
  if (growing.length > 0) return growing;
  if ([...old, fresh].some(isStale)) return []; // Its counts are of a size that it no longer has.
  const freshMissing = wanted(fresh) - available(fresh);
  const budget = total - (replicas - unavailable) - freshMissing;
  return sumWanted(old) > 0 && budget > 0 ? planShrink(world, fresh, budget) : [];
}

const isStale = ({ metadata, status }: ReplicaSet): boolean =>
  (status?.observedGeneration ?? 0) < (metadata.generation ?? 0);

/** First what does not serve anyway, then what does while others cover for it; the oldest revision first. */
function planShrink(world: RolloutWorld, fresh: ReplicaSet, budget: number): Action[] {
  const { deployment, old } = world;
  const floor = (deployment.spec.replicas ?? 1) - rolloutRoom(deployment).unavailable;
  const sizes = new Map(old.map((set) => [set, wanted(set)]));
  let left = budget;
  const take = (set: ReplicaSet, most: number) => {
    const size = sizes.get(set) ?? 0;
    const count = Math.max(0, Math.min(size, most, left));
    left -= count;
    sizes.set(set, size - count);
    return count;
  };
  for (const set of old) take(set, wanted(set) - available(set));
  let spare = old.reduce((sum, set) => sum + available(set), available(fresh)) - floor;
  for (const set of old) spare -= take(set, Math.min(spare, available(set)));
  return old.flatMap((set) => (sizes.get(set) === wanted(set) ? [] : scale(world, set, sizes.get(set) ?? 0)));
}

/** Once the rollout is done, old revisions beyond the limit go, the lowest first. */
function planCleanup({ deployment, old, podsLeft }: RolloutWorld, fresh: ReplicaSet): Action[] {
  const replicas = deployment.spec.replicas ?? 1;
  if (available(fresh) !== replicas || old.some((set) => wanted(set) > 0)) return [];
  const surplus = old.length - (deployment.spec.revisionHistoryLimit ?? 10);
  if (surplus <= 0) return [];
  const byRevision = [...old].sort((a, b) => revisionOf(a) - revisionOf(b));
  return byRevision.slice(0, surplus).flatMap((set): Action[] => {
    const isEmpty = (set.status?.replicas ?? 0) === 0 && (podsLeft.get(set.metadata.uid ?? "") ?? 0) === 0;
    return isEmpty ? [{ do: "delete", key: keyOf("replicasets.apps", set), uid: set.metadata.uid ?? "" }] : [];
  });
}
