import { forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { HorizontalPodAutoscaler, MetricSpec, PodDisruptionBudget } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";
import { selectorProblems } from "./selectors.ts";
import { intOrPercentProblems, percentMaxProblems } from "./workloads.ts";

const metricTypes = ["ContainerResource", "External", "Object", "Pods", "Resource"];
const sourceOf = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
} as const;

function metricProblems(metric: MetricSpec, at: string): FieldProblem[] {
  const { type } = metric;
  if (type === "") return [required(`${at}.type`, "must specify a metric source type")];
  if (!metricTypes.includes(type)) {
    const problem = notSupported(`${at}.type`, type, metricTypes);
    // Two rules find it.
    return [problem, problem];
  }
  const source = sourceOf[type as keyof typeof sourceOf];
  if (metric[source]) return [];
  return [required(`${at}.${source}`, "must populate information for the given metric source")];
}

function targetProblems({
  kind,
  name,
  apiVersion = "",
}: {
  kind: string;
  name: string;
  apiVersion?: string | undefined;
}) {
  const at = "spec.scaleTargetRef";
  const problems = kind === "" ? [required(`${at}.kind`)] : [];
  if (name === "") problems.push(required(`${at}.name`));
  if (apiVersion === "") problems.push(invalidValue(`${at}.apiVersion`, "", "apiVersion must specify API group"));
  return problems;
}

function scalerProblems({ spec }: HorizontalPodAutoscaler): FieldProblem[] {
  const { minReplicas, maxReplicas, metrics = [] } = spec;
  const problems: FieldProblem[] = [];
  if (minReplicas !== undefined && minReplicas < 1) {
    problems.push(invalidValue("spec.minReplicas", minReplicas, "must be greater than or equal to 1"));
  }
  if (maxReplicas < 1) problems.push(required("spec.maxReplicas", "must be set and greater than 0"));
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    problems.push(invalidValue("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`"));
  }
  problems.push(...targetProblems(spec.scaleTargetRef));
  for (const [index, metric] of metrics.entries()) problems.push(...metricProblems(metric, `spec.metrics[${index}]`));
  if (minReplicas === 0 && !metrics.some(({ type }) => type === "Object" || type === "External")) {
    const why = "must specify at least one Object or External metric to support scaling to zero replicas";
    problems.push(forbiddenField("spec.metrics", why));
  }
  return problems;
}

/** Of the second version; the first has the same shape as far as these rules look. */
export const scalerRules = rulesFor<HorizontalPodAutoscaler>({ create: scalerProblems });

const evictionPolicies = ["AlwaysAllow", "IfHealthyBudget"];

function budgetProblems({ spec = {} }: PodDisruptionBudget): FieldProblem[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec;
  const problems: FieldProblem[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    const shown = {
      MinAvailable: minAvailable,
      Selector: selector ?? null,
      MaxUnavailable: maxUnavailable,
      UnhealthyPodEvictionPolicy: policy ?? null,
    };
    problems.push(invalidValue("spec", shown, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const name of ["minAvailable", "maxUnavailable"] as const) {
    problems.push(
      ...intOrPercentProblems(spec[name], `spec.${name}`),
      ...percentMaxProblems(spec[name], `spec.${name}`),
    );
  }
  problems.push(...selectorProblems(selector, "spec.selector"));
  if (policy !== undefined && !evictionPolicies.includes(policy)) {
    problems.push(notSupported("spec.unhealthyPodEvictionPolicy", policy, evictionPolicies));
  }
  return problems;
}

export const budgetRules = rulesFor<PodDisruptionBudget>({ create: budgetProblems });
