import { dnsLabel, qualifiedName } from "../names.ts";
import { forbiddenField, invalidValue, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type {
  Affinity,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
} from "../types.gen.ts";
import { selectorProblems } from "./selectors.ts";

function requirementProblems({ key, operator, values = [] }: NodeSelectorRequirement, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  switch (operator) {
    case "In":
    case "NotIn":
      if (values.length === 0) {
        problems.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
      break;
    case "Exists":
    case "DoesNotExist":
      if (values.length > 0) {
        const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        problems.push(forbiddenField(`${at}.values`, why));
      }
      break;
    case "Gt":
    case "Lt":
      if (values.length !== 1) {
        problems.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      }
      break;
    default:
      problems.push(invalidValue(`${at}.operator`, operator, "not a valid selector operator"));
  }
  for (const why of qualifiedName(key)) problems.push(invalidValue(`${at}.key`, key, why));
  return problems;
}

const termProblems = (term: NodeSelectorTerm, at: string): FieldProblem[] =>
  (term.matchExpressions ?? []).flatMap((requirement, index) =>
    requirementProblems(requirement, `${at}.matchExpressions[${index}]`),
  );

/** Nodes that a Pod or volume may be on. */
export function nodeSelectorProblems({ nodeSelectorTerms }: NodeSelector, at: string): FieldProblem[] {
  const terms = nodeSelectorTerms ?? [];
  if (terms.length === 0) return [required(`${at}.nodeSelectorTerms`, "must have at least one node selector term")];
  return terms.flatMap((term, index) => termProblems(term, `${at}.nodeSelectorTerms[${index}]`));
}

const weightProblems = (weight: number, at: string): FieldProblem[] =>
  weight >= 1 && weight <= 100 ? [] : [invalidValue(`${at}.weight`, weight, "must be in the range 1-100")];

function podTermProblems(term: PodAffinityTerm, at: string): FieldProblem[] {
  const problems = [
    ...selectorProblems(term.labelSelector, `${at}.labelSelector`),
    ...selectorProblems(term.namespaceSelector, `${at}.namespaceSelector`),
  ];
  for (const name of term.namespaces ?? []) {
    for (const why of dnsLabel(name)) problems.push(invalidValue(`${at}.namespace`, name, why));
  }
  if (term.topologyKey === "") problems.push(required(`${at}.topologyKey`, "can not be empty"));
  for (const why of qualifiedName(term.topologyKey)) {
    problems.push(invalidValue(`${at}.topologyKey`, term.topologyKey, why));
  }
  return problems;
}

const hard = "requiredDuringSchedulingIgnoredDuringExecution";
const soft = "preferredDuringSchedulingIgnoredDuringExecution";

function podAffinityProblems(affinity: PodAffinity, at: string): FieldProblem[] {
  return [
    ...(affinity[hard] ?? []).flatMap((term, index) => podTermProblems(term, `${at}.${hard}[${index}]`)),
    ...(affinity[soft] ?? []).flatMap(({ weight, podAffinityTerm }, index) => {
      const field = `${at}.${soft}[${index}]`;
      return [...weightProblems(weight, field), ...podTermProblems(podAffinityTerm, `${field}.podAffinityTerm`)];
    }),
  ];
}

/** Where a Pod wants to be, or not. */
export function affinityProblems({ nodeAffinity, podAffinity, podAntiAffinity }: Affinity, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const required = nodeAffinity?.[hard];
  if (required) problems.push(...nodeSelectorProblems(required, `${at}.nodeAffinity.${hard}`));
  for (const [index, { weight, preference }] of (nodeAffinity?.[soft] ?? []).entries()) {
    const field = `${at}.nodeAffinity.${soft}[${index}]`;
    problems.push(...weightProblems(weight, field), ...termProblems(preference, `${field}.preference`));
  }
  if (podAffinity) problems.push(...podAffinityProblems(podAffinity, `${at}.podAffinity`));
  if (podAntiAffinity) problems.push(...podAffinityProblems(podAntiAffinity, `${at}.podAntiAffinity`));
  return problems;
}
