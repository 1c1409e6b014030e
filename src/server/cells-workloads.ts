import { parseTimeMs } from "../base/clock.ts";
import {
  at,
  type Cell,
  conditionOf,
  duration,
  entries,
  firstOf,
  joined,
  list,
  number,
  since,
  text,
  textOr,
} from "./cells-values.ts";

const ready: Cell = (object) => `${number(at(object, "status.readyReplicas"))}/${number(at(object, "spec.replicas"))}`;

const jobStatus: Cell = (job) => {
  const isTrue = (type: string) => at(conditionOf(at(job, "status.conditions"), type), "status") === "True";
  const final = ["Complete", "Failed"].find(isTrue);
  if (final) return final;
  if (at(job, "metadata.deletionTimestamp") !== undefined) return "Terminating";
  return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].find(isTrue) ?? "Running";
};

const jobCompletions: Cell = (job) => {
  const succeeded = number(at(job, "status.succeeded"));
  const completions = at(job, "spec.completions");
  if (completions !== undefined) return `${succeeded}/${completions}`;
  const parallelism = number(at(job, "spec.parallelism"));
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
};

const jobDuration: Cell = (job, nowMs) => {
  const startedMs = parseTimeMs(text(at(job, "status.startTime")));
  if (Number.isNaN(startedMs)) return "";
  const endedMs = parseTimeMs(text(at(job, "status.completionTime")));
  return duration(Math.trunc(((Number.isNaN(endedMs) ? nowMs : endedMs) - startedMs) / 1000));
};

const suspend: Cell = (cronJob) => {
  const value = at(cronJob, "spec.suspend");
  return value === undefined ? "<unset>" : value ? "True" : "False";
};

const lastSchedule: Cell = (cronJob, nowMs) => {
  const time = at(cronJob, "status.lastScheduleTime");
  return time === undefined ? "<none>" : since(time, nowMs);
};

/** Where each type of metric keeps its own. */
const metricFields = new Map([
  ["Resource", "resource"],
  ["ContainerResource", "containerResource"],
  ["Pods", "pods"],
  ["Object", "object"],
  ["External", "external"],
]);

/** One metric's text from its target and what was last seen. */
function metricText(metric: unknown, current: unknown): string {
  const type = text(at(metric, "type"));
  const field = metricFields.get(type);
  if (field === undefined) return "<unknown type>";
  const [target, seen] = [at(metric, `${field}.target`), at(current, `${field}.current`)];
  const value = (name: string) => (seen === undefined ? "<unknown>" : textOr(at(seen, name), "<nil>"));
  const average = at(target, "averageValue");
  switch (type) {
    case "Resource":
    case "ContainerResource": {
      const name = text(at(metric, `${field}.name`));
      if (average !== undefined) return `${name}: ${value("averageValue")}/${average}`;
      const used = at(seen, "averageUtilization");
      const wanted = at(target, "averageUtilization");
      return `${name}: ${used === undefined ? "<unknown>" : `${used}%`}/${wanted === undefined ? "<auto>" : `${wanted}%`}`;
    }
    case "Pods":
      return `${value("averageValue")}/${text(average)}`;
    default:
      if (average === undefined) return `${value("value")}/${text(at(target, "value"))}`;
      return `${textOr(at(seen, "averageValue"), "<unknown>")}/${average} (avg)`;
  }
}

const targets: Cell = (autoscaler) => {
  const metrics = list(at(autoscaler, "spec.metrics"));
  const current = list(at(autoscaler, "status.currentMetrics"));
  const texts = metrics.map((metric, index) => metricText(metric, current[index]));
  return firstOf(texts, 2, ", ") || "<none>";
};

/** The first version has one metric, the CPU's, in fields of its own. */
const firstTargets: Cell = (autoscaler) => {
  const wanted = at(autoscaler, "spec.targetCPUUtilizationPercentage");
  if (wanted === undefined) return "<none>";
  const used = at(autoscaler, "status.currentCPUUtilizationPercentage");
  return `cpu: ${used === undefined ? "<unknown>" : `${used}%`}/${wanted}%`;
};

const quotaText =
  (isLimit: boolean): Cell =>
  (quota) =>
    entries(at(quota, "status.hard"))
      .filter(([name]) => name.startsWith("limits.") === isLimit)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, hard]) => `${name}: ${textOr(Object(at(quota, "status.used"))[name], "0")}/${text(hard)}`)
      .join(", ");

const controller: Cell = (object) => {
  const owner = list(at(object, "metadata.ownerReferences")).find((reference) => at(reference, "controller") === true);
  if (owner === undefined) return "<none>";
  const [group] = text(at(owner, "apiVersion")).includes("/") ? text(at(owner, "apiVersion")).split("/") : [""];
  const kind = text(at(owner, "kind"));
  return `${(group ? `${kind}.${group}` : kind).toLowerCase()}/${text(at(owner, "name"))}`;
};

const subjects =
  (kind: string, name: (subject: unknown) => string): Cell =>
  (binding) =>
    list(at(binding, "subjects"))
      .filter((subject) => at(subject, "kind") === kind)
      .map(name)
      .join(", ");
const subjectName = (subject: unknown): string => text(at(subject, "name"));

/** Cells of controllers, quotas and roles, by the table's own words for them. */
export const workloadCells: Readonly<Record<string, Cell>> = {
  "status.readyReplicas/spec.replicas": ready,
  jobStatus,
  jobCompletions,
  jobDuration,
  "boolStr(spec.suspend)": suspend,
  "since(status.lastScheduleTime)|<none>": lastSchedule,
  hpaTargets: targets,
  "hpaTargets v1": firstTargets,
  "spec.scaleTargetRef.kind/spec.scaleTargetRef.name": (object) =>
    `${text(at(object, "spec.scaleTargetRef.kind"))}/${text(at(object, "spec.scaleTargetRef.name"))}`,
  'join(sorted status.hard keys not "limits.*",", ",k: used/hard)': quotaText(false),
  'join(sorted status.hard keys "limits.*",", ",k: used/hard)': quotaText(true),
  "controllerRef?lower(kind[.group])/name:<none>": controller,
  "roleRef.kind/roleRef.name": (object) => `${text(at(object, "roleRef.kind"))}/${text(at(object, "roleRef.name"))}`,
  'join(subjects[kind==User],", ",name)': subjects("User", subjectName),
  'join(subjects[kind==Group],", ",name)': subjects("Group", subjectName),
  'join(subjects[kind==ServiceAccount],", ",namespace/name)': subjects(
    "ServiceAccount",
    (subject) => `${text(at(subject, "namespace"))}/${subjectName(subject)}`,
  ),
  'spec.tokenRequests?join(it,",",audience):<unset>': (driver) =>
    at(driver, "spec.tokenRequests") === undefined ? "<unset>" : joined(at(driver, "spec.tokenRequests"), "audience"),
};
