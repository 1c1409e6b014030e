import { parseTimeMs } from "../base/clock.ts";
import { at, type Cell, conditionOf, duration, list, number, text } from "./cells-values.ts";

const statuses = (pod: unknown, field: "initContainerStatuses" | "containerStatuses"): readonly unknown[] =>
  list(at(pod, `status.${field}`));
const isTrue = (pod: unknown, type: string): boolean =>
  at(conditionOf(at(pod, "status.conditions"), type), "status") === "True";

/** Names of the init containers that go on beside the others. */
const sidecars = (pod: unknown): Set<unknown> =>
  new Set(
    list(at(pod, "spec.initContainers"))
      .filter((container) => at(container, "restartPolicy") === "Always")
      .map((container) => at(container, "name")),
  );

/** `1/2`: sidecars count on both sides. */
export const podReady: Cell = (pod) => {
  const beside = sidecars(pod);
  const ready = [
    ...statuses(pod, "containerStatuses").filter((status) => at(status, "ready") && at(status, "state.running")),
    ...statuses(pod, "initContainerStatuses").filter(
      (status) => beside.has(at(status, "name")) && at(status, "started") && at(status, "ready"),
    ),
  ];
  return `${ready.length}/${list(at(pod, "spec.containers")).length + beside.size}`;
};

const endOf = (terminated: unknown): string => {
  const signal = number(at(terminated, "signal"));
  return (
    text(at(terminated, "reason")) || (signal ? `Signal:${signal}` : `ExitCode:${number(at(terminated, "exitCode"))}`)
  );
};

/** What the first init container that is not done says, or undefined when all are. */
function initStatus(pod: unknown): string | undefined {
  const beside = sidecars(pod);
  const total = list(at(pod, "spec.initContainers")).length;
  for (const [index, status] of statuses(pod, "initContainerStatuses").entries()) {
    const terminated = at(status, "state.terminated");
    const waiting = text(at(status, "state.waiting.reason"));
    if (terminated && number(at(terminated, "exitCode")) === 0) continue;
    if (beside.has(at(status, "name")) && at(status, "started") === true) continue;
    if (terminated) return `Init:${endOf(terminated)}`;
    return waiting !== "" && waiting !== "PodInitializing" ? `Init:${waiting}` : `Init:${index}/${total}`;
  }
  return undefined;
}

/** The first container in the list that has something to say wins, except that `Completed` gives way to the others. */
function containerStatus(pod: unknown, before: string): string {
  let [reason, failure, isRunning] = [before, "", false];
  for (const status of [...statuses(pod, "containerStatuses")].reverse()) {
    const waiting = text(at(status, "state.waiting.reason"));
    const terminated = at(status, "state.terminated");
    if (waiting !== "") reason = waiting;
    else if (terminated) {
      reason = endOf(terminated);
      if (number(at(terminated, "exitCode")) !== 0) failure = reason;
    } else if (at(status, "ready") && at(status, "state.running")) isRunning = true;
  }
  if (reason !== "Completed") return reason;
  if (isRunning && isTrue(pod, "Ready")) return "Running";
  return failure || (isRunning ? "NotReady" : reason);
}

/** The STATUS column, which says more than the phase. */
export const podStatus: Cell = (pod) => {
  const phase = text(at(pod, "status.phase"));
  const isGated = at(conditionOf(at(pod, "status.conditions"), "PodScheduled"), "reason") === "SchedulingGated";
  const init = initStatus(pod);
  let reason = isGated ? "SchedulingGated" : text(at(pod, "status.reason")) || phase;
  if (init !== undefined) reason = init;
  if (init === undefined || isTrue(pod, "Initialized")) reason = containerStatus(pod, reason);
  if (at(pod, "metadata.deletionTimestamp") === undefined) return reason;
  if (at(pod, "status.reason") === "NodeLost") return "Unknown";
  return phase === "Succeeded" || phase === "Failed" ? reason : "Terminating";
};

/** `3 (2m ago)`: while init containers run, theirs. */
export const podRestarts: Cell = (pod, nowMs) => {
  const beside = sidecars(pod);
  const all = statuses(pod, "initContainerStatuses");
  const isInitializing = initStatus(pod) !== undefined && !isTrue(pod, "Initialized");
  const counted = isInitializing
    ? all
    : [...all.filter((status) => beside.has(at(status, "name"))), ...statuses(pod, "containerStatuses")];
  const restarts = counted.reduce((sum: number, status) => sum + number(at(status, "restartCount")), 0);
  const endedMs = counted
    .map((status) => parseTimeMs(text(at(status, "lastState.terminated.finishedAt"))))
    .filter((timeMs) => !Number.isNaN(timeMs));
  if (restarts === 0 || endedMs.length === 0) return String(restarts);
  return `${restarts} (${duration(Math.trunc((nowMs - Math.max(...endedMs)) / 1000))} ago)`;
};

/** `1/2` gates that are open. */
export const readinessGates: Cell = (pod) => {
  const gates = list(at(pod, "spec.readinessGates"));
  if (gates.length === 0) return "<none>";
  return `${gates.filter((gate) => isTrue(pod, text(at(gate, "conditionType")))).length}/${gates.length}`;
};

/** A finished Pod's row says so, so that clients can leave it out. */
export function podRowConditions(pod: unknown): object[] | undefined {
  const reason = at(pod, "status.phase");
  if (reason !== "Succeeded" && reason !== "Failed") return undefined;
  const message = reason === "Failed" ? "The pod failed." : "The pod has completed successfully.";
  return [{ type: "Completed", status: "True", reason, message }];
}
