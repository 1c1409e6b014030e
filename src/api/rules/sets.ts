import { equal } from "../equal.ts";
import { labelSelectorMatcher } from "../labels.ts";
import { dnsLabel } from "../names.ts";
import { forbiddenField, invalidValue, nonNegative, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { DaemonSet, StatefulSet } from "../types.gen.ts";
import { goDump } from "./go-dump.ts";
import { rulesFor } from "./kind-rules.ts";
import { podTemplateProblems } from "./pod-spec.ts";
import { isEmptySelector, isUsable, selectorProblems } from "./selectors.ts";
import {
  alwaysProblems,
  amountOf,
  intOrPercentProblems,
  mismatch,
  ownSelectorProblems,
  percentMaxProblems,
  selectorChangeProblems,
  templateLabelProblems,
  workloadWarnings,
} from "./workloads.ts";

function statefulUpdateProblems({ updateStrategy }: StatefulSet["spec"]): FieldProblem[] {
  const at = "spec.updateStrategy";
  const { type = "", rollingUpdate } = updateStrategy ?? {};
  if (type === "OnDelete") {
    if (!rollingUpdate) return [];
    return [
      invalidValue(
        `${at}.rollingUpdate`,
        goDump("apps.v1.RollingUpdateStatefulSetStrategy", rollingUpdate),
        "only allowed for updateStrategy 'RollingUpdate'",
      ),
    ];
  }
  if (type === "RollingUpdate") return nonNegative(`${at}.rollingUpdate.partition`, rollingUpdate?.partition);
  if (type === "") return [required(at)];
  return [
    invalidValue(at, { Type: type, RollingUpdate: rollingUpdate ?? null }, "must be 'RollingUpdate' or 'OnDelete'"),
  ];
}

const claimFates = ["Retain", "Delete"];

function statefulSetProblems({ spec }: StatefulSet): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const policy = spec.podManagementPolicy;
  if (policy !== "OrderedReady" && policy !== "Parallel") {
    problems.push(invalidValue("spec.podManagementPolicy", policy ?? "", "must be 'OrderedReady' or 'Parallel'"));
  }
  problems.push(...statefulUpdateProblems(spec));
  for (const name of ["whenDeleted", "whenScaled"] as const) {
    const fate = spec.persistentVolumeClaimRetentionPolicy?.[name];
    if (fate === undefined || claimFates.includes(fate)) continue;
    problems.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${name}`, fate, claimFates));
  }
  problems.push(...nonNegative("spec.replicas", spec.replicas));
  problems.push(...nonNegative("spec.minReadySeconds", spec.minReadySeconds));
  problems.push(...nonNegative("spec.ordinals.start", spec.ordinals?.start));
  problems.push(...ownSelectorProblems(spec.selector, "statefulset"));
  if (spec.selector && !isUsable(spec.selector)) problems.push(invalidValue("spec.selector", spec.selector, ""));
  else {
    problems.push(...templateLabelProblems(spec.selector, spec.template));
    problems.push(...podTemplateProblems(spec.template, "spec.template"));
  }
  problems.push(...alwaysProblems(spec.template, "StatefulSet"));
  const service = spec.serviceName ?? "";
  return service === ""
    ? problems
    : [...problems, ...dnsLabel(service).map((why) => invalidValue("spec.serviceName", service, why))];
}

const changeable = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;
const onlyThose =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', " +
  "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

const fixedPart = (set: StatefulSet): object => {
  const rest: Record<string, unknown> = { ...set.spec };
  for (const name of changeable) delete rest[name];
  return rest;
};

function statefulWarnings(set: StatefulSet, old?: StatefulSet): string[] {
  const limit = set.spec.revisionHistoryLimit ?? 0;
  const at = "spec.revisionHistoryLimit";
  const why = `${at}: a negative value retains all historical revisions; a value >= 0 is recommended`;
  return [...(old ? [] : workloadWarnings(set)), ...(limit < 0 ? [why] : [])];
}

export const statefulSetRules = rulesFor<StatefulSet>({
  create: statefulSetProblems,
  update: (next, old) => [
    ...statefulSetProblems(next),
    ...(equal(fixedPart(next), fixedPart(old)) ? [] : [forbiddenField("spec", onlyThose)]),
  ],
  warnings: statefulWarnings,
});

function daemonUpdateProblems({ updateStrategy }: DaemonSet["spec"]): FieldProblem[] {
  const { type, rollingUpdate } = updateStrategy ?? {};
  if (type === "OnDelete") return [];
  const at = "spec.updateStrategy";
  if (type !== "RollingUpdate") {
    const shown = { Type: type ?? "", RollingUpdate: rollingUpdate ?? null };
    return [notSupported(at, shown, ["RollingUpdate", "OnDelete"])];
  }
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {};
  const field = `${at}.rollingUpdate`;
  const problems = [
    ...intOrPercentProblems(maxUnavailable, `${field}.maxUnavailable`),
    ...percentMaxProblems(maxUnavailable, `${field}.maxUnavailable`),
    ...intOrPercentProblems(maxSurge, `${field}.maxSurge`),
    ...percentMaxProblems(maxSurge, `${field}.maxSurge`),
  ];
  const [unavailable, surge] = [amountOf(maxUnavailable), amountOf(maxSurge)];
  if (unavailable === 0 && surge === 0) {
    problems.push(required(`${field}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
  } else if (unavailable !== 0 && surge !== 0) {
    problems.push(invalidValue(`${field}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"));
  }
  return problems;
}

function daemonSetProblems({ spec }: DaemonSet): FieldProblem[] {
  const { selector, template } = spec;
  const problems = selectorProblems(selector, "spec.selector");
  const labels = template.metadata?.labels;
  if ((!selector || isUsable(selector)) && !labelSelectorMatcher(selector)(labels)) {
    problems.push(invalidValue("spec.template.metadata.labels", labels ?? null, mismatch));
  }
  if (selector && isEmptySelector(selector)) {
    problems.push(invalidValue("spec.selector", selector, "empty selector is invalid for daemonset"));
  }
  return [
    ...problems,
    ...podTemplateProblems(template, "spec.template"),
    ...alwaysProblems(template, "DaemonSet"),
    ...nonNegative("spec.minReadySeconds", spec.minReadySeconds),
    ...daemonUpdateProblems(spec),
    ...nonNegative("spec.revisionHistoryLimit", spec.revisionHistoryLimit),
  ];
}

export const daemonSetRules = rulesFor<DaemonSet>({
  create: daemonSetProblems,
  update: (next, old) => [...daemonSetProblems(next), ...selectorChangeProblems(next, old)],
  warnings: (set, old) => (old ? [] : workloadWarnings(set)),
});
