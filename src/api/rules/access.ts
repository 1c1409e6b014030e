import { equal } from "../equal.ts";
import { pathSegment } from "../names.ts";
import { invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { PolicyRule, Role, RoleBinding, Subject } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";

function ruleProblems(rule: PolicyRule, isNamespaced: boolean, at: string): FieldProblem[] {
  const problems =
    (rule.verbs ?? []).length === 0 ? [required(`${at}.verbs`, "verbs must contain at least one value")] : [];
  const urls = rule.nonResourceURLs ?? [];
  if (urls.length > 0) {
    const field = `${at}.nonResourceURLs`;
    if (isNamespaced) problems.push(invalidValue(field, urls, "namespaced rules cannot apply to non-resource URLs"));
    if (rule.apiGroups || rule.resources || rule.resourceNames) {
      const why = "rules cannot apply to both regular resources and non-resource URLs";
      problems.push(invalidValue(field, urls, why));
    }
    return problems;
  }
  if (!rule.apiGroups) problems.push(required(`${at}.apiGroups`, "resource rules must supply at least one api group"));
  if (!rule.resources) problems.push(required(`${at}.resources`, "resource rules must supply at least one resource"));
  return problems;
}

const rulesProblems =
  (isNamespaced: boolean) =>
  ({ rules }: Role): FieldProblem[] =>
    (rules ?? []).flatMap((rule, index) => ruleProblems(rule, isNamespaced, `rules[${index}]`));

export const roleRules = rulesFor<Role>({ create: rulesProblems(true) });
export const clusterRoleRules = rulesFor<Role>({ create: rulesProblems(false) });

const group = "rbac.authorization.k8s.io";
const subjectKinds = ["ServiceAccount", "User", "Group"];

function subjectProblems(subject: Subject, isNamespaced: boolean, at: string): FieldProblem[] {
  const { kind, name, apiGroup = "", namespace = "" } = subject;
  const problems = name === "" ? [required(`${at}.name`)] : [];
  if (kind === "ServiceAccount") {
    if (apiGroup !== "") problems.push(notSupported(`${at}.apiGroup`, apiGroup, [""]));
    if (!isNamespaced && namespace === "") problems.push(required(`${at}.namespace`));
  } else if (!subjectKinds.includes(kind)) problems.push(notSupported(`${at}.kind`, kind, subjectKinds));
  else if (apiGroup !== group) problems.push(notSupported(`${at}.apiGroup`, apiGroup, [group]));
  return problems;
}

const bindingProblems =
  (isNamespaced: boolean) =>
  ({ roleRef, subjects }: RoleBinding): FieldProblem[] => {
    const problems: FieldProblem[] = [];
    const roleKinds = isNamespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
    if (roleRef.apiGroup !== group) problems.push(notSupported("roleRef.apiGroup", roleRef.apiGroup, [group]));
    if (!roleKinds.includes(roleRef.kind)) problems.push(notSupported("roleRef.kind", roleRef.kind, roleKinds));
    if (roleRef.name === "") problems.push(required("roleRef.name"));
    for (const why of pathSegment(roleRef.name)) problems.push(invalidValue("roleRef.name", roleRef.name, why));
    for (const [index, subject] of (subjects ?? []).entries()) {
      problems.push(...subjectProblems(subject, isNamespaced, `subjects[${index}]`));
    }
    return problems;
  };

const bindingRules = (isNamespaced: boolean) =>
  rulesFor<RoleBinding>({
    create: bindingProblems(isNamespaced),
    update: (next, old) => {
      const problems = bindingProblems(isNamespaced)(next);
      if (equal(next.roleRef, old.roleRef)) return problems;
      const { apiGroup, kind, name } = next.roleRef;
      const shown = { APIGroup: apiGroup, Kind: kind, Name: name };
      return [...problems, invalidValue("roleRef", shown, "cannot change roleRef")];
    },
  });

export const roleBindingRules = bindingRules(true);
export const clusterRoleBindingRules = bindingRules(false);
