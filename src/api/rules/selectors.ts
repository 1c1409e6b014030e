import { labelValue, qualifiedName } from "../names.ts";
import { forbiddenField, invalidValue, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { LabelSelector, LabelSelectorRequirement } from "../types.gen.ts";
import { labelProblems } from "./metadata.ts";

const operators = new Set(["In", "NotIn", "Exists", "DoesNotExist"]);

function requirementProblems({ key, operator, values }: LabelSelectorRequirement, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const given = values ?? [];
  if (operator === "In" || operator === "NotIn") {
    if (given.length === 0) {
      problems.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operators.has(operator)) {
    if (given.length > 0) {
      const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      problems.push(forbiddenField(`${at}.values`, why));
    }
  } else problems.push(invalidValue(`${at}.operator`, operator, "not a valid selector operator"));
  for (const why of qualifiedName(key)) problems.push(invalidValue(`${at}.key`, key, why));
  for (const [index, value] of given.entries()) {
    for (const why of labelValue(value)) problems.push(invalidValue(`${at}.values[${index}]`, value, why));
  }
  return problems;
}

/** A selector of labels as objects carry it. */
export function selectorProblems(selector: LabelSelector | undefined | null, at: string): FieldProblem[] {
  if (!selector) return [];
  const expressions = selector.matchExpressions ?? [];
  return [
    ...labelProblems(selector.matchLabels, `${at}.matchLabels`),
    ...expressions.flatMap((expression, index) => requirementProblems(expression, `${at}.matchExpressions[${index}]`)),
  ];
}

export const isEmptySelector = (selector: LabelSelector): boolean =>
  Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;

/** Whether a selector can be evaluated at all. */
export const isUsable = (selector: LabelSelector): boolean => selectorProblems(selector, "").length === 0;
