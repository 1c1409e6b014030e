import { equal } from "../equal.ts";
import { qualifiedName } from "../names.ts";
import { forbiddenField, invalidValue, notSupported } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Node, Taint } from "../types.gen.ts";
import { cidrProblems } from "./addresses.ts";
import { rulesFor } from "./kind-rules.ts";

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

function taintProblems(taints: readonly Taint[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const seen = new Set<string>();
  for (const [index, { key, value = "", effect, timeAdded = null }] of taints.entries()) {
    const at = `metadata.taints[${index}]`;
    for (const why of qualifiedName(key)) problems.push(invalidValue(`${at}.key`, key, why));
    if (!effects.includes(effect)) problems.push(notSupported(`${at}.effect`, effect, effects));
    const id = `${key}:${effect}`;
    if (seen.has(id)) {
      const shown = JSON.stringify({ Key: key, Value: value, Effect: effect, TimeAdded: timeAdded });
      const message = `Duplicate value: ${shown}: taints must be unique by key and effect pair`;
      problems.push({ reason: "FieldValueDuplicate", message, field: at });
    }
    seen.add(id);
  }
  return problems;
}

const nodeProblems = ({ spec }: Node): FieldProblem[] => [
  ...taintProblems(spec?.taints ?? []),
  ...(spec?.podCIDRs ?? []).flatMap((range, index) => cidrProblems(range, `spec.podCIDRs[${index}]`)),
];

/** What a node is once given stays. */
function changeProblems({ spec: next = {} }: Node, { spec: old = {} }: Node): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (old.podCIDRs && !equal(next.podCIDRs, old.podCIDRs)) {
    const why = 'node updates may not change podCIDR except from "" to valid';
    problems.push(forbiddenField("spec.podCIDRs", why));
  }
  if (old.providerID && next.providerID !== old.providerID) {
    const why = 'node updates may not change providerID except from "" to valid';
    problems.push(forbiddenField("spec.providerID", why));
  }
  return problems;
}

export const nodeRules = rulesFor<Node>({
  create: nodeProblems,
  update: (next, old) => [...nodeProblems(next), ...changeProblems(next, old)],
});
