import type { LabelLookup } from "../api/labels.ts";
import type { Pod, TopologySpreadConstraint } from "../api/types.gen.ts";
import { hostLabel } from "./offer-labels.ts";

/** How many Pods of a kind are in each domain of one topology key. */
export type Counter = { key: string; matches: (pod: Pod) => boolean; counts: Map<string, number>; total: number };

export const countAt = ({ key, counts }: Counter, labelOf: LabelLookup): number => counts.get(labelOf(key) ?? "") ?? 0;

/** `obstacle`: why a Pod may not be there, in the scheduler's words. `cost`: in the weights of preferences. */
type Rule = {
  obstacle?: (labelOf: LabelLookup) => string | undefined;
  cost?: (labelOf: LabelLookup) => number;
};

const noMatch = "didn't match pod topology spread constraints";
/** What breaking a spread that need not be kept costs. */
const looseSpreadCost = 100;

/** Kubernetes' skew: what the domain would have, less what the emptiest domain has that the Pod could be in. */
export function spreadRule(
  { maxSkew, minDomains = 1, whenUnsatisfiable }: TopologySpreadConstraint,
  counter: Counter,
  pod: Pod,
  domains: readonly LabelLookup[],
): Rule {
  const open = new Set(domains.flatMap((labelOf) => labelOf(counter.key) ?? []));
  const counts = [...open].map((domain) => counter.counts.get(domain) ?? 0);
  const least = open.size < minDomains ? 0 : Math.min(...counts);
  const self = counter.matches(pod) ? 1 : 0;
  const isOver = (labelOf: LabelLookup) => countAt(counter, labelOf) + self - least > maxSkew;
  if (whenUnsatisfiable === "ScheduleAnyway") return { cost: (labelOf) => (isOver(labelOf) ? looseSpreadCost : 0) };
  return {
    obstacle(labelOf) {
      if (labelOf(counter.key) === undefined) return `${noMatch} (missing required label)`;
      return isOver(labelOf) ? noMatch : undefined;
    },
  };
}

/** The first of a group that is to be together may be anywhere. */
export function affinityRule(pod: Pod, counters: readonly Counter[]): Rule {
  const isFirst = counters.every(({ total, matches }) => total === 0 && matches(pod));
  if (isFirst) return {};
  if (counters.some(({ key }) => key === hostLabel)) return { obstacle: () => neverTogether };
  return {
    obstacle: (labelOf) =>
      counters.some((counter) => countAt(counter, labelOf) === 0) ? "didn't match pod affinity rules" : undefined,
  };
}
const neverTogether = "didn't match pod affinity rules: every Pod has a host of its own";

export const antiAffinityRule = (counters: readonly Counter[]): Rule => ({
  obstacle: (labelOf) =>
    counters.some((counter) => countAt(counter, labelOf) > 0) ? "didn't match pod anti-affinity rules" : undefined,
});

export const wardRule = (wards: readonly Counter[]): Rule => ({
  obstacle: (labelOf) =>
    wards.some((ward) => countAt(ward, labelOf) > 0) ? "didn't satisfy existing pods anti-affinity rules" : undefined,
});
