import { equal } from "../equal.ts";
import { labelSelectorMatcher } from "../labels.ts";
import { forbiddenField, immutable, invalidValue, nonNegative, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Deployment, LabelSelector, PodTemplateSpec, ReplicaSet, ReplicationController } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";
import { podTemplateProblems } from "./pod-spec.ts";
import { hostNameWarnings, podTemplateWarnings } from "./pod-warnings.ts";
import { isEmptySelector, isUsable, selectorProblems } from "./selectors.ts";

export const mismatch = "`selector` does not match template `labels`";

/** The labels by which a workload finds its Pods must be on them. */
export const templateLabelProblems = (
  selector: LabelSelector | null | undefined,
  template: PodTemplateSpec,
): FieldProblem[] => {
  const labels = template.metadata?.labels;
  if (selector && isEmptySelector(selector)) return [];
  return labelSelectorMatcher(selector ?? undefined)(labels)
    ? []
    : [invalidValue("spec.template.metadata.labels", labels ?? null, mismatch)];
};

/** Pods of a workload that runs for ever. `kind`: as the complaint about a deadline names it. */
export function alwaysProblems(template: PodTemplateSpec, kind: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { restartPolicy, activeDeadlineSeconds } = template.spec ?? {};
  const at = "spec.template.spec";
  if (restartPolicy !== "Always") problems.push(notSupported(`${at}.restartPolicy`, restartPolicy ?? "", ["Always"]));
  if (activeDeadlineSeconds !== undefined) {
    problems.push(forbiddenField(`${at}.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`));
  }
  return problems;
}

/** `emptyFor`: the workload as the complaint about an empty selector names it. */
export function ownSelectorProblems(selector: LabelSelector | null | undefined, emptyFor: string): FieldProblem[] {
  const at = "spec.selector";
  if (!selector) return [required(at)];
  const problems = selectorProblems(selector, at);
  if (isEmptySelector(selector)) {
    problems.push(invalidValue(at, selector, `empty selector is invalid for ${emptyFor}`));
  }
  return problems;
}

function selectedTemplateProblems(selector: LabelSelector | null, template: PodTemplateSpec): FieldProblem[] {
  if (selector && !isUsable(selector)) return [invalidValue("spec.selector", selector, "invalid label selector")];
  return [
    ...templateLabelProblems(selector, template),
    ...podTemplateProblems(template, "spec.template"),
    // A template without containers has more to say than how they restart.
    ...alwaysProblems(template, "ReplicaSet"),
  ];
}

/** A number, or a percentage of the replicas. */
export function intOrPercentProblems(value: number | string | undefined, at: string): FieldProblem[] {
  if (typeof value !== "string") return nonNegative(at, value);
  if (/^[0-9]+%$/.test(value)) return [];
  const why =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for " +
    "validation is '[0-9]+%')";
  return [invalidValue(at, value, why)];
}

export const percentMaxProblems = (value: number | string | undefined, at: string): FieldProblem[] =>
  typeof value === "string" && /^\d+%$/.test(value) && Number.parseInt(value, 10) > 100
    ? [invalidValue(at, value, "must not be greater than 100%")]
    : [];

export const amountOf = (value: number | string | undefined): number =>
  typeof value === "string" ? Number.parseInt(value, 10) || 0 : (value ?? 0);

function strategyProblems({ strategy }: Deployment["spec"], at: string): FieldProblem[] {
  const { type, rollingUpdate } = strategy ?? {};
  const field = `${at}.rollingUpdate`;
  if (type === "Recreate") {
    return rollingUpdate ? [forbiddenField(field, "may not be specified when strategy `type` is 'Recreate'")] : [];
  }
  if (type !== "RollingUpdate") {
    const shown = { Type: type ?? "", RollingUpdate: rollingUpdate ?? null };
    return [notSupported(at, shown, ["Recreate", "RollingUpdate"])];
  }
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {};
  const problems = [
    ...intOrPercentProblems(maxUnavailable, `${field}.maxUnavailable`),
    ...intOrPercentProblems(maxSurge, `${field}.maxSurge`),
  ];
  if (amountOf(maxUnavailable) === 0 && amountOf(maxSurge) === 0) {
    problems.push(invalidValue(`${field}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  return [...problems, ...percentMaxProblems(maxUnavailable, `${field}.maxUnavailable`)];
}

function deploymentProblems({ spec }: Deployment): FieldProblem[] {
  const problems = [
    ...nonNegative("spec.replicas", spec.replicas),
    ...ownSelectorProblems(spec.selector, "deployment"),
    ...selectedTemplateProblems(spec.selector, spec.template),
    ...strategyProblems(spec, "spec.strategy"),
    ...nonNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...nonNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit),
  ];
  const deadline = spec.progressDeadlineSeconds;
  if (deadline === undefined) return problems;
  problems.push(...nonNegative("spec.progressDeadlineSeconds", deadline));
  if (deadline <= (spec.minReadySeconds ?? 0)) {
    problems.push(invalidValue("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  }
  return problems;
}

type Selecting = { spec: { selector?: unknown } };
/** What a workload selects never changes. */
export const selectorChangeProblems = (next: Selecting, old: Selecting): FieldProblem[] =>
  equal(next.spec.selector, old.spec.selector)
    ? []
    : [invalidValue("spec.selector", next.spec.selector ?? null, immutable)];

type Templated = { metadata: { name?: string | undefined }; spec: { template: PodTemplateSpec } };
const templatePaths = { metadata: "spec.template.metadata", spec: "spec.template.spec" };
/** What is odd about the Pods that a workload makes, and about its name, which goes into theirs. */
export const workloadWarnings = ({ metadata, spec }: Templated): string[] => [
  ...hostNameWarnings(metadata.name, "Pod names and hostnames"),
  ...podTemplateWarnings(spec.template.metadata ?? {}, spec.template.spec ?? { containers: [] }, templatePaths),
];

export const deploymentRules = rulesFor<Deployment>({
  create: deploymentProblems,
  update: (next, old) => [...deploymentProblems(next), ...selectorChangeProblems(next, old)],
  warnings: (deployment, old) => (old ? [] : workloadWarnings(deployment)),
});

function replicaSetProblems({ spec }: ReplicaSet): FieldProblem[] {
  return [
    ...nonNegative("spec.replicas", spec.replicas),
    ...nonNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...ownSelectorProblems(spec.selector, "deployment"),
    ...selectedTemplateProblems(spec.selector, spec.template ?? {}),
  ];
}

export const replicaSetRules = rulesFor<ReplicaSet>({
  create: replicaSetProblems,
  update: (next, old) => [...replicaSetProblems(next), ...selectorChangeProblems(next, old)],
});

function controllerProblems({ spec }: ReplicationController): FieldProblem[] {
  const { selector, template } = spec ?? {};
  const problems = [
    ...nonNegative("spec.replicas", spec?.replicas),
    ...nonNegative("spec.minReadySeconds", spec?.minReadySeconds),
  ];
  if (Object.keys(selector ?? {}).length === 0) problems.push(required("spec.selector"));
  if (!template) return [...problems, required("spec.template")];
  return [...problems, ...selectedTemplateProblems({ matchLabels: selector }, template)];
}

export const replicationControllerRules = rulesFor<ReplicationController>({ create: controllerProblems });

export const podTemplateRules = rulesFor<{ template?: PodTemplateSpec }>({
  create: ({ template }) => podTemplateProblems(template ?? {}, "template"),
});
