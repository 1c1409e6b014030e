import { isDeepStrictEqual } from "node:util";
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import { timeMs } from "./owned.ts";
import { rolloutRoom, sumWanted } from "./rollout-math.ts";

/** The API's way of saying that there is no deadline. */
const noDeadlineSeconds = 2 ** 31 - 1;

type Said = Pick<DeploymentCondition, "type" | "status"> & { reason: string; message: string };

/** The newest word on `said.type`; unchanged when it says the same with the same reason. `keepTime` for a progress. */
function withCondition(
  conditions: readonly DeploymentCondition[],
  said: Said,
  nowMs: number,
  options: { always?: boolean } = {},
): DeploymentCondition[] {
  const current = conditions.find(({ type }) => type === said.type);
  if (current?.status === said.status && current.reason === said.reason && !options.always) return [...conditions];
  const now = rfc3339(nowMs);
  const sameStatus = current?.status === said.status;
  const lastTransitionTime = (sameStatus ? current.lastTransitionTime : undefined) ?? now;
  const next = { ...said, lastUpdateTime: now, lastTransitionTime };
  return [...conditions.filter(({ type }) => type !== said.type), next];
}

const progressing = (status: "True" | "False" | "Unknown", reason: string, message: string): Said => ({
  type: "Progressing",
  status,
  reason,
  message,
});

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (of(set) ?? 0), 0);

/** Kubernetes leaves out counters that are zero. */
const nonZero = (counters: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(counters).filter(([, value]) => value > 0));

export type StatusWorld = {
  deployment: Deployment;
  fresh?: ReplicaSet | undefined;
  all: readonly ReplicaSet[];
  /** Why the new ReplicaSet could not be made. */
  failure?: string | undefined;
};

function counters({ deployment, fresh, all }: StatusWorld) {
  const availableReplicas = sum(all, ({ status }) => status?.availableReplicas);
  return {
    replicas: sum(all, ({ status }) => status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(all, ({ status }) => status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, sumWanted(all) - availableReplicas),
    terminatingReplicas: sum(all, ({ status }) => status?.terminatingReplicas),
    collisionCount: deployment.status?.collisionCount ?? 0,
  };
}

type Counters = ReturnType<typeof counters>;

function availability({ deployment }: StatusWorld, { availableReplicas }: Counters): Said {
  const { unavailable } = rolloutRoom(deployment);
  const enough = availableReplicas >= (deployment.spec.replicas ?? 1) - unavailable;
  return enough
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
}

const isComplete = ({ spec }: Deployment, { updatedReplicas, replicas, availableReplicas }: Counters): boolean => {
  const wanted = spec.replicas ?? 1;
  return updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted;
};

function hasMoved({ status: before = {} }: Deployment, now: Counters): boolean {
  const updatedBefore = before.updatedReplicas ?? 0;
  return (
    now.updatedReplicas > updatedBefore ||
    now.replicas - now.updatedReplicas < (before.replicas ?? 0) - updatedBefore ||
    now.readyReplicas > (before.readyReplicas ?? 0) ||
    now.availableReplicas > (before.availableReplicas ?? 0)
  );
}

/** The moment at which a rollout that does not move has failed, or undefined when it can't. */
export function deadlineMs({ spec, status }: Deployment): number | undefined {
  const current = status?.conditions?.find(({ type }) => type === "Progressing");
  const seconds = spec.progressDeadlineSeconds ?? 600;
  if (spec.paused || seconds === noDeadlineSeconds || current?.status !== "True") return undefined;
  if (current.reason === "NewReplicaSetAvailable") return undefined;
  return timeMs(current.lastUpdateTime) + seconds * 1_000;
}

function progress(
  world: StatusWorld,
  conditions: DeploymentCondition[],
  now: Counters,
  nowMs: number,
): DeploymentCondition[] {
  const { deployment, fresh } = world;
  const current = conditions.find(({ type }) => type === "Progressing");
  if (deployment.spec.progressDeadlineSeconds === noDeadlineSeconds) {
    return conditions.filter(({ type }) => type !== "Progressing");
  }
  if (deployment.spec.paused) {
    if (current?.reason === "ProgressDeadlineExceeded") return conditions;
    return withCondition(conditions, progressing("Unknown", "DeploymentPaused", "Deployment is paused"), nowMs);
  }
  if (world.failure !== undefined && !fresh) {
    const said = progressing("False", "ReplicaSetCreateError", `Failed to create new replica set: ${world.failure}`);
    return withCondition(conditions, said, nowMs);
  }
  if (current?.reason === "DeploymentPaused") {
    return withCondition(conditions, progressing("Unknown", "DeploymentResumed", "Deployment is resumed"), nowMs);
  }
  const rested = current?.reason === "NewReplicaSetAvailable" && now.replicas === now.updatedReplicas;
  if (!fresh || rested) return conditions;
  return withCondition(conditions, ...progressOf(deployment, fresh, now, nowMs, current));
}

function progressOf(
  deployment: Deployment,
  fresh: ReplicaSet,
  now: Counters,
  nowMs: number,
  current: DeploymentCondition | undefined,
): [Said, number, { always?: boolean }] {
  const name = `ReplicaSet "${fresh.metadata.name}"`;
  if (isComplete(deployment, now)) {
    const text = `${name} has successfully progressed.`;
    return [progressing("True", "NewReplicaSetAvailable", text), nowMs, {}];
  }
  if (hasMoved(deployment, now)) {
    return [progressing("True", "ReplicaSetUpdated", `${name} is progressing.`), nowMs, { always: true }];
  }
  const deadline = deadlineMs(deployment);
  if (deadline !== undefined && nowMs >= deadline) {
    const text = `${name} has timed out progressing.`;
    return [progressing("False", "ProgressDeadlineExceeded", text), nowMs, {}];
  }
  if (current) return [{ ...progressing("True", "", ""), ...current } as Said, nowMs, {}];
  const found = `Found new replica set "${fresh.metadata.name}"`;
  return [progressing("True", "FoundNewReplicaSet", found), nowMs, {}];
}

function replicaFailure(conditions: DeploymentCondition[], world: StatusWorld, nowMs: number): DeploymentCondition[] {
  const failed = (world.fresh ? [world.fresh] : world.all)
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  if (!failed) return conditions.filter(({ type }) => type !== "ReplicaFailure");
  const { reason = "FailedCreate", message = "" } = failed;
  return withCondition(conditions, { type: "ReplicaFailure", status: "True", reason, message }, nowMs);
}

/** A condition that changes goes to the end; a pause is noted before the availability, progress after it. */
function mainConditions(world: StatusWorld, now: Counters, nowMs: number): DeploymentCondition[] {
  const { spec, status } = world.deployment;
  const given = status?.conditions ?? [];
  const said = availability(world, now);
  const paused = spec.paused || given.some(({ reason }) => reason === "DeploymentPaused");
  if (paused) return withCondition(progress(world, given, now, nowMs), said, nowMs);
  return progress(world, withCondition(given, said, nowMs), now, nowMs);
}

/** The status that these ReplicaSets add up to, or undefined when it is the one that is written already. */
export function deploymentStatus(world: StatusWorld, nowMs: number): DeploymentStatus | undefined {
  const { deployment } = world;
  const now = counters(world);
  const conditions = replicaFailure(mainConditions(world, now, nowMs), world, nowMs);
  const { terminatingReplicas, ...others } = now;
  const next: DeploymentStatus = {
    ...(deployment.metadata.generation !== undefined && { observedGeneration: deployment.metadata.generation }),
    ...nonZero(others),
    terminatingReplicas,
    conditions,
  };
  return isDeepStrictEqual(next, deployment.status) ? undefined : next;
}
