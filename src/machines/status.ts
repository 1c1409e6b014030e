import type { Container, ContainerStatus, Pod, PodCondition, PodStatus } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Report } from "../clouds/box.ts";
import { stageCondition, stageOfReport } from "./stage.ts";

/**
 * The status of a Pod as its machine reports it. What others write (addresses, PodScheduled, readiness gates) stays.
 * Without a report, or with one of another Pod, nothing is known: known containers stay as they were.
 */
export function statusFromReport(pod: Pod, report: Report | undefined, nowMs: number): PodStatus {
  const own = report?.uid === pod.metadata.uid ? report : undefined;
  const before = pod.status ?? {};
  const inits = (pod.spec.initContainers ?? []).map((container) =>
    statusOf(container, own?.initContainerStatuses, before.initContainerStatuses, "PodInitializing"),
  );
  const waiting = inits.length > 0 ? "PodInitializing" : "ContainerCreating";
  const mains = pod.spec.containers.map((container) =>
    statusOf(container, own?.containerStatuses, before.containerStatuses, waiting),
  );
  const phase = phaseOf(pod, inits, mains, own);
  const told = conditionsOf(pod, phase, inits, mains, own !== undefined);
  if (own) {
    const stage = stageOfReport(own, phase, told);
    told.push({ type: stageCondition, status: stage === "InService" ? "True" : "False", reason: stage });
  }
  const { reason, message, ...kept } = before;
  const why = own?.reason ?? reason;
  return {
    ...kept,
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: mergeConditions(before.conditions ?? [], told, rfc3339(nowMs)),
    ...(own && { startTime: before.startTime ?? rfc3339(nowMs) }),
    ...(why !== undefined && { reason: why }),
    ...(why === "DeadlineExceeded" ? { message: deadlineMessage } : message !== undefined && { message }),
    ...(inits.length > 0 && { initContainerStatuses: inits }),
    containerStatuses: mains,
  };
}

const deadlineMessage = "Pod was active on the node longer than the specified deadline";

const nameOf = (list: readonly ContainerStatus[] | undefined, name: string): ContainerStatus | undefined =>
  list?.find((status) => status.name === name);

function statusOf(
  container: Container,
  reported: readonly ContainerStatus[] | undefined,
  known: readonly ContainerStatus[] | undefined,
  reason: string,
): ContainerStatus {
  const before = nameOf(known, container.name);
  const now = nameOf(reported, container.name);
  if (now) return { ...now, restartCount: Math.max(now.restartCount, before?.restartCount ?? 0) };
  if (before) return before;
  return {
    name: container.name,
    state: { waiting: { reason } },
    lastState: {},
    ready: false,
    restartCount: 0,
    image: container.image ?? "",
    imageID: "",
    started: false,
  };
}

const isSidecar = (pod: Pod, name: string): boolean =>
  pod.spec.initContainers?.find((container) => container.name === name)?.restartPolicy === "Always";

/** Sidecars are past initialization once they have started, other init containers once they have succeeded. */
function incompleteInits(pod: Pod, inits: readonly ContainerStatus[]): string[] {
  const done = ({ name, state, started }: ContainerStatus) =>
    isSidecar(pod, name) ? started === true : state?.terminated?.exitCode === 0;
  return inits.filter((status) => !done(status)).map(({ name }) => name);
}

function phaseOf(
  pod: Pod,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
  report: Report | undefined,
): string {
  const before = pod.status?.phase ?? "Pending";
  if (before === "Succeeded" || before === "Failed" || !report) return before;
  if (report.finished) {
    const succeeded = mains.every(({ state }) => state?.terminated?.exitCode === 0);
    return succeeded && report.reason === undefined ? "Succeeded" : "Failed";
  }
  // Once a Pod has run it does not become Pending again, though a rebooted machine initializes anew.
  if (before === "Running") return before;
  const began = ({ state, lastState }: ContainerStatus) =>
    Boolean(state?.running ?? state?.terminated ?? lastState?.terminated);
  return incompleteInits(pod, inits).length === 0 && mains.every(began) ? "Running" : "Pending";
}

type Verdict = Pick<PodCondition, "type" | "status" | "reason" | "message">;

const verdict = (type: string, problem?: { reason: string; message?: string }): Verdict =>
  problem ? { type, status: "False", ...problem } : { type, status: "True" };

function conditionsOf(
  pod: Pod,
  phase: string,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
  reached: boolean,
): Verdict[] {
  const incomplete = phase === "Succeeded" ? [] : incompleteInits(pod, inits);
  const initialized =
    incomplete.length > 0
      ? { reason: "ContainersNotInitialized", message: `containers with incomplete status: [${incomplete.join(" ")}]` }
      : undefined;
  const sidecars = inits.filter(({ name }) => isSidecar(pod, name));
  const unready = [...sidecars, ...mains].filter(({ ready }) => !ready).map(({ name }) => name);
  const ended = phase === "Succeeded" ? "PodCompleted" : phase === "Failed" ? "PodFailed" : undefined;
  const containersReady =
    ended !== undefined
      ? { reason: ended }
      : unready.length > 0
        ? { reason: "ContainersNotReady", message: `containers with unready status: [${unready.join(" ")}]` }
        : undefined;
  // Silence does not take back what the machine has said.
  const known = pod.status?.conditions?.find(({ type }) => type === "PodReadyToStartContainers")?.status === "True";
  const canStart = (reached || known) && ended === undefined;
  return [
    { type: "PodReadyToStartContainers", status: canStart ? "True" : "False" },
    { ...verdict("Initialized", initialized), ...(phase === "Succeeded" && { reason: "PodCompleted" }) },
    verdict("Ready", containersReady ?? missingGate(pod)),
    verdict("ContainersReady", containersReady),
  ];
}

function missingGate(pod: Pod): { reason: string; message: string } | undefined {
  const messages = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition?.status === "True") return [];
    const gate = `pod readiness gate "${conditionType}"`;
    return condition
      ? [`the status of ${gate} is not "True", but ${condition.status}`]
      : [`corresponding condition of ${gate} does not exist.`];
  });
  return messages.length > 0 ? { reason: "ReadinessGatesNotReady", message: messages.join(", ") } : undefined;
}

/** A condition keeps its time for as long as its status (for the stage: its reason) stays; the others stay whole. */
function mergeConditions(before: readonly PodCondition[], told: readonly Verdict[], now: string): PodCondition[] {
  const kept = before.filter(({ type }) => !told.some((condition) => condition.type === type));
  const merged = told.map((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    const same = old?.status === condition.status && (old.type !== stageCondition || old.reason === condition.reason);
    return { lastTransitionTime: (same ? old?.lastTransitionTime : undefined) ?? now, ...condition };
  });
  return [...merged, ...kept];
}
