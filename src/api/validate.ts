import type { Kind } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { kindRules } from "./rules/all.ts";
import type { KindRules } from "./rules/kind-rules.ts";
import { metadataProblems, metadataUpdateProblems } from "./rules/metadata.ts";
import type { FieldProblem } from "./status.ts";

const rulesOf = (kind: Kind): KindRules | undefined => kindRules[kind.type];

/** What is wrong with a new object that has been decoded and defaulted, in the order in which Kubernetes says it. */
export function validateObject(kind: Kind, object: KubeObject): FieldProblem[] {
  const problems = metadataProblems(kind, object.metadata);
  const own = rulesOf(kind)?.create?.(object);
  return own && own.length > 0 ? [...problems, ...own] : problems;
}

/**
 * What is wrong with replacing `old` by `next`. `subresource`: `status`, `resize`, `ephemeralcontainers`, …; absent for
 * the object itself. `next` has been through `prepareUpdate`.
 */
export function validateUpdate(kind: Kind, next: KubeObject, old: KubeObject, subresource?: string): FieldProblem[] {
  // Kubernetes looks at metadata twice, and lists every cause as often.
  const once = metadataUpdateProblems(next.metadata, old.metadata);
  const whole = metadataProblems(kind, next.metadata);
  const metadata = [...once, ...once, ...whole, ...whole];
  const rules = rulesOf(kind);
  if (subresource === undefined) {
    const own = rules?.update ? rules.update(next, old) : (rules?.create?.(next) ?? []);
    return [...metadata, ...own];
  }
  return [...metadata, ...(rules?.subresource?.(next, old, subresource) ?? [])];
}

/** Texts for `Warning` headers about an object that is accepted; `old` on an update. */
export const warningsFor = (kind: Kind, object: KubeObject, old?: KubeObject): string[] =>
  rulesOf(kind)?.warnings?.(object, old) ?? [];
