import type { ContainerStatus, Pod, PodCondition, PodStatus } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import { stageCondition } from "../machines/stage.ts";
import { statusFromReport } from "../machines/status.ts";
import { condition, timeMs } from "./owned.ts";
import type { GateState, PodWorld } from "./pod-world.ts";
import type { Notice } from "./reconciler.ts";

type Said = Omit<PodCondition, "lastTransitionTime">;

/** Puts `said` in the place of the condition of its type; its time stays while its status does. */
function upsert(conditions: readonly PodCondition[], said: Said, nowMs: number, isSame?: boolean): PodCondition[] {
  const current = conditions.find(({ type }) => type === said.type);
  const keeps = isSame ?? current?.status === said.status;
  const lastTransitionTime = (keeps ? current?.lastTransitionTime : undefined) ?? rfc3339(nowMs);
  const next = { ...said, lastTransitionTime };
  return current ? conditions.map((each) => (each === current ? next : each)) : [...conditions, next];
}

function withGates({ pod, gates }: PodWorld, nowMs: number): Pod {
  let conditions = pod.status?.conditions ?? [];
  for (const { type, open, reason, message } of gates) {
    conditions = upsert(conditions, { type, status: open ? "True" : "False", reason, message }, nowMs);
  }
  return { ...pod, status: { ...pod.status, conditions } };
}

/** The status that a Pod with a seat should have now. */
export function nextStatus(world: PodWorld, nowMs: number): PodStatus {
  const { pod, seat, machine, contact } = world;
  const gated = withGates(world, nowMs);
  if (!pod.spec.nodeName || !machine) {
    return withStage(pod, gated.status ?? {}, seat?.machine ? "Booting" : "Requested", nowMs);
  }
  const isReported = contact?.report?.uid === pod.metadata.uid;
  const told = statusFromReport(gated, contact?.report, nowMs);
  const address = machine.address ?? pod.status?.podIP;
  const scheduled = upsert(told.conditions ?? [], { type: "PodScheduled", status: "True" }, nowMs);
  const status: PodStatus = {
    ...told,
    conditions: scheduled,
    ...(address !== undefined && { hostIP: address, hostIPs: [{ ip: address }] }),
    ...(address !== undefined && { podIP: address, podIPs: [{ ip: address }] }),
    startTime: pod.status?.startTime ?? rfc3339(nowMs),
  };
  const current = condition(pod, stageCondition)?.reason;
  const silent = current === undefined || current === "Requested" || current === "Booting" ? "Configuring" : current;
  const stage = isReported ? status.conditions?.find(({ type }) => type === stageCondition)?.reason : silent;
  return withStage(pod, status, stage ?? "Configuring", nowMs);
}

/** The stage, since when, and in its message the seconds that each earlier one took. */
function withStage(pod: Pod, status: PodStatus, stage: string, nowMs: number): PodStatus {
  const before = condition(pod, stageCondition);
  const isSame = before?.reason === stage;
  const spent =
    before && `${before.reason} ${Math.max(0, Math.round((nowMs - timeMs(before.lastTransitionTime)) / 1_000))} s`;
  const message = isSame ? before.message : [before?.message, spent].filter(Boolean).join(", ");
  const said = {
    type: stageCondition,
    status: stage === "InService" ? "True" : "False",
    reason: stage,
    ...(message && { message }),
  };
  const others = status.conditions ?? [];
  const seen = others.some(({ type }) => type === stageCondition) || !before ? others : [...others, before];
  const kept = before ? seen.map((each) => (each.type === stageCondition ? before : each)) : seen;
  return { ...status, conditions: upsert(kept, said, nowMs, isSame) };
}

/** Stages that no event of the machine itself tells. */
const toldStages: Record<string, string> = {
  Requested: "A machine is asked for",
  Booting: "The machine is given and boots",
  Configuring: "The machine runs and is given the Pod",
  Registering: "The containers are ready; the balancers are waited for",
  InService: "The Pod serves",
};

/** What to tell when `status` brings the Pod to another stage; `gates` that are closed are what it waits for. */
export function stageNotice(pod: Pod, status: PodStatus, gates: readonly GateState[] = []): Notice | undefined {
  const stage = status.conditions?.find(({ type }) => type === stageCondition);
  const closed = gates.flatMap(({ open, of }) => (open ? [] : (of ?? []))).join(", ");
  const isWaiting = stage?.reason === "Registering" && closed !== "";
  const text = isWaiting ? `The containers are ready; waiting for ${closed}` : toldStages[stage?.reason ?? ""];
  if (!stage?.reason || text === undefined || condition(pod, stageCondition)?.reason === stage.reason) return undefined;
  const message = stage.message ? `${text} (${stage.message})` : text;
  return { about: pod, type: "Normal", reason: stage.reason, message, source: "drover" };
}

const ended = (status: ContainerStatus, message: string, now: string): ContainerStatus =>
  status.state?.terminated
    ? status
    : {
        ...status,
        ready: false,
        started: false,
        state: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown", message, finishedAt: now } },
      };

function unready({ status }: Pod, said: Pick<Said, "reason" | "message">, nowMs: number): PodCondition[] {
  let conditions: readonly PodCondition[] = status?.conditions ?? [];
  for (const type of ["Ready", "ContainersReady"])
    conditions = upsert(conditions, { type, status: "False", ...said }, nowMs);
  return [...conditions];
}

/** Of a Pod whose machine stands still and may go on. */
export const stoppedStatus = (pod: Pod, message: string, nowMs: number): PodStatus => ({
  ...pod.status,
  conditions: unready(pod, { reason: "MachineStopped", message }, nowMs),
});

/** Of a Pod whose machine has ended by itself. */
export function lostStatus(pod: Pod, message: string, nowMs: number): PodStatus {
  const now = rfc3339(nowMs);
  const conditions = unready(pod, { reason: "PodFailed" }, nowMs);
  const statuses = pod.status?.containerStatuses?.map((status) => ended(status, message, now));
  return {
    ...pod.status,
    phase: "Failed",
    reason: "MachineLost",
    message,
    conditions,
    ...(statuses && { containerStatuses: statuses }),
  };
}
