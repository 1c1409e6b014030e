import { equal } from "../equal.ts";
import { labelSelectorMatcher } from "../labels.ts";
import { immutable, invalidValue, nonNegative, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { CronJob, Job, JobSpec } from "../types.gen.ts";
import { goDump } from "./go-dump.ts";
import { rulesFor } from "./kind-rules.ts";
import { podTemplateProblems } from "./pod-spec.ts";
import { scheduleProblem, timeZoneProblem } from "./schedules.ts";
import { isUsable, selectorProblems } from "./selectors.ts";
import { mismatch } from "./workloads.ts";

const counts = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;
const modes = ["NonIndexed", "Indexed"];

const endings = ["OnFailure", "Never"];
const replacements = ["Failed", "TerminatingOrFailed"];
const needsIndexes = "requires indexed completion mode";

/** What only a Job has that counts its Pods by index. */
function indexProblems(spec: JobSpec, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { backoffLimitPerIndex: limit, maxFailedIndexes: failures } = spec;
  if (failures !== undefined && limit === undefined) {
    problems.push(required(`${at}.backoffLimitPerIndex`, "when maxFailedIndexes is specified"));
  }
  if (spec.completionMode === "Indexed") return problems;
  if (limit !== undefined) problems.push(invalidValue(`${at}.backoffLimitPerIndex`, limit, needsIndexes));
  if (failures !== undefined) problems.push(invalidValue(`${at}.maxFailedIndexes`, failures, needsIndexes));
  return problems;
}

/** A Job's spec without its selector, which a template of Jobs does not have. */
function taskProblems(spec: JobSpec, at: string): FieldProblem[] {
  const problems = counts.flatMap((name) => nonNegative(`${at}.${name}`, spec[name]));
  const mode = spec.completionMode;
  if (mode !== undefined && !modes.includes(mode)) problems.push(notSupported(`${at}.completionMode`, mode, modes));
  if (mode === "Indexed" && spec.completions === undefined) {
    problems.push(required(`${at}.completions`, "when completion mode is Indexed"));
  }
  problems.push(...indexProblems(spec, at));
  const replacement = spec.podReplacementPolicy;
  if (replacement !== undefined && !replacements.includes(replacement)) {
    problems.push(notSupported(`${at}.podReplacementPolicy`, replacement, replacements));
  }
  problems.push(...podTemplateProblems(spec.template, `${at}.template`));
  const policy = spec.template.spec?.restartPolicy ?? "";
  if (policy === "" || policy === "Always") {
    problems.push(required(`${at}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  } else if (!endings.includes(policy)) {
    problems.push(notSupported(`${at}.template.spec.restartPolicy`, policy, endings));
  }
  return problems;
}

function specProblems(spec: JobSpec): FieldProblem[] {
  const problems = taskProblems(spec, "spec");
  const { selector, template } = spec;
  if (!selector) problems.push(required("spec.selector"));
  problems.push(...selectorProblems(selector, "spec.selector"));
  const labels = template.metadata?.labels;
  if ((!selector || isUsable(selector)) && !labelSelectorMatcher(selector)(labels)) {
    problems.push(invalidValue("spec.template.metadata.labels", labels ?? null, mismatch));
  }
  return problems;
}

const uidLabel = "batch.kubernetes.io/controller-uid";

/** A selector that the client has not claimed for itself is the server's alone. */
function generatedProblems({ metadata, spec }: Job): FieldProblem[] {
  const { selector } = spec;
  if (!selector || spec.manualSelector === true) return [];
  if (equal(selector, { matchLabels: { [uidLabel]: metadata.uid } })) return [];
  return [invalidValue("spec.selector", selector, "`selector` not auto-generated")];
}

const jobProblems = (job: Job): FieldProblem[] => [...generatedProblems(job), ...specProblems(job.spec)];

const fixed = ["selector", "completionMode", "podFailurePolicy", "successPolicy", "backoffLimitPerIndex"] as const;

function completionProblems(next: JobSpec, old: JobSpec): FieldProblem[] {
  if (next.completions === old.completions) return [];
  const at = "spec.completions";
  const shown = next.completions ?? null;
  if (next.completionMode !== "Indexed") return [invalidValue(at, shown, immutable)];
  if (next.completions === next.parallelism) return [];
  return [invalidValue(at, shown, "can only be modified in tandem with spec.parallelism")];
}

/** While a Job that has never run is suspended, where its Pods go and what they ask for may change. */
function templateChangeProblems(next: JobSpec, old: JobSpec, isFresh: boolean): FieldProblem[] {
  if (equal(next.template, old.template)) return [];
  if (isFresh) {
    const { nodeSelector, affinity, tolerations, schedulingGates } = next.template.spec ?? {};
    const containers = old.template.spec?.containers.map((container, index) => ({
      ...container,
      resources: next.template.spec?.containers[index]?.resources,
    }));
    const allowed = { nodeSelector, affinity, tolerations, schedulingGates, containers };
    const metadata = next.template.metadata;
    if (equal(next.template, { metadata, spec: { ...old.template.spec, ...allowed } })) return [];
  }
  return [invalidValue("spec.template", goDump("core.v1.PodTemplateSpec", next.template), immutable)];
}

function jobUpdateProblems(next: Job, old: Job): FieldProblem[] {
  const isFresh = old.spec.suspend === true && old.status?.startTime === undefined;
  const problems = [...jobProblems(next), ...specProblems(next.spec), ...completionProblems(next.spec, old.spec)];
  for (const name of fixed) {
    if (name === "completionMode") problems.push(...templateChangeProblems(next.spec, old.spec, isFresh));
    if (equal(next.spec[name], old.spec[name])) continue;
    problems.push(invalidValue(`spec.${name}`, next.spec[name] ?? null, immutable));
  }
  return problems;
}

const manyCompletions = 100_000;
const manyAtOnce = 10_000;

export const jobRules = rulesFor<Job>({
  create: jobProblems,
  update: jobUpdateProblems,
  warnings: ({ spec }) => {
    const { completionMode, completions = 0, parallelism = 0 } = spec;
    if (completionMode !== "Indexed" || completions <= manyCompletions || parallelism <= manyAtOnce) return [];
    const many = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4";
    return [`spec: ${many}, Kubernetes might not be able to track completedIndexes when a big number of indexes fail`];
  },
});

const policies = ["Allow", "Forbid", "Replace"];

function scheduleProblems(schedule: string, at: string): FieldProblem[] {
  if (schedule === "") return [required(at)];
  const problem = scheduleProblem(schedule);
  if (problem) return [invalidValue(at, schedule, problem)];
  if (!schedule.includes("TZ")) return [];
  return [invalidValue(at, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")];
}

function cronJobProblems({ spec }: CronJob): FieldProblem[] {
  const problems = scheduleProblems(spec.schedule, "spec.schedule");
  const zoneProblem = spec.timeZone === undefined ? undefined : timeZoneProblem(spec.timeZone);
  if (zoneProblem) problems.push(invalidValue("spec.timeZone", spec.timeZone, zoneProblem));
  problems.push(...nonNegative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds));
  const policy = spec.concurrencyPolicy ?? "";
  if (policy === "") problems.push(required("spec.concurrencyPolicy"));
  else if (!policies.includes(policy)) problems.push(notSupported("spec.concurrencyPolicy", policy, policies));
  for (const name of ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] as const) {
    problems.push(...nonNegative(`spec.${name}`, spec[name]));
  }
  const task = spec.jobTemplate.spec;
  if (task?.selector) {
    const why = "`selector` will be auto-generated";
    problems.push(invalidValue("spec.jobTemplate.spec.selector", task.selector, why));
  }
  if (task?.manualSelector === true) {
    problems.push(notSupported("spec.jobTemplate.spec.manualSelector", true, ["nil", "false"]));
  }
  return task ? [...problems, ...taskProblems(task, "spec.jobTemplate.spec")] : problems;
}

export const cronJobRules = rulesFor<CronJob>({ create: cronJobProblems });
