import { type LabelLookup, type LabelMatcher, labelSelectorMatcher } from "../api/labels.ts";
import type { LabelSelector, Pod, PodAffinityTerm, TopologySpreadConstraint } from "../api/types.gen.ts";
import { affinityRule, antiAffinityRule, type Counter, countAt, spreadRule, wardRule } from "./neighbour-rules.ts";
import { canonicalLabel, hostLabel, zoneLabel } from "./offer-labels.ts";

/** A Pod that has a machine, and the labels of its Node. */
export type Seat = { pod: Pod; labelOf: LabelLookup };
export type NamespaceLabels = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** How a Pod sees the domains (zones, mostly) in which it might be. */
type Judgement = {
  /** Why it may not be there, in the scheduler's words; absent: it may. */
  obstacle(labelOf: LabelLookup): string | undefined;
  /** Higher is better. */
  score(labelOf: LabelLookup): number;
};

export type Neighbours = {
  /** Labels that divide offers into domains in which this run's Pods may fare differently. */
  keys: readonly string[];
  /** `domains`: one offer's labels for each domain that the Pod's own selector and affinity allow. */
  judge(pod: Pod, domains: readonly LabelLookup[]): Judgement;
  /** From now on the Pod is there. */
  seat(seat: Seat): void;
};

const hard = "requiredDuringSchedulingIgnoredDuringExecution";
const soft = "preferredDuringSchedulingIgnoredDuringExecution";

const affinityTerms = ({ spec }: Pod) => spec.affinity?.podAffinity?.[hard] ?? [];
const antiTerms = ({ spec }: Pod) => spec.affinity?.podAntiAffinity?.[hard] ?? [];
const softTerms = ({ spec }: Pod) => [
  ...(spec.affinity?.podAffinity?.[soft] ?? []).map(({ weight, podAffinityTerm: term }) => ({ weight, term })),
  ...(spec.affinity?.podAntiAffinity?.[soft] ?? []).map(({ weight, podAffinityTerm: term }) => ({
    weight: -weight,
    term,
  })),
];
const spreads = ({ spec }: Pod) => spec.topologySpreadConstraints ?? [];
/** Each Pod has a host of its own: by host Pods are always apart and never together. */
const isOfHost = ({ topologyKey }: { topologyKey: string }): boolean => topologyKey === hostLabel;

/** Whether it matters to this Pod where others are. */
export const looksAround = (pod: Pod): boolean =>
  [...spreads(pod), ...affinityTerms(pod), ...antiTerms(pod), ...softTerms(pod)].length > 0;

/** The selector with the Pod's own values for `matchLabelKeys`, as the API server would have merged them. */
function merged(
  selector: LabelSelector | undefined,
  pod: Pod,
  { matchLabelKeys = [], mismatchLabelKeys = [] }: Partial<PodAffinityTerm>,
): LabelSelector | undefined {
  const labels = pod.metadata.labels ?? {};
  const own = (keys: readonly string[], operator: string) =>
    keys.flatMap((key) => (labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }]));
  const more = [...own(matchLabelKeys, "In"), ...own(mismatchLabelKeys, "NotIn")];
  if (!selector || more.length === 0) return selector;
  return { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), ...more] };
}

/** Counts Pods by domain while a run places more of them. `namespaces`: labels of namespaces, for their selectors. */
export function openNeighbours(
  pods: readonly Pod[],
  seats: readonly Seat[],
  namespaces: NamespaceLabels = new Map(),
): Neighbours {
  const taken = [...seats];
  const counters = new Map<string, Counter>();
  /** Pods that are there and want no Pod of a kind beside them. */
  const wards = new Map<Counter, Counter>();
  const terms = [...pods, ...seats.map(({ pod }) => pod)].flatMap((pod) => [
    ...[...spreads(pod), ...affinityTerms(pod), ...antiTerms(pod)],
    ...softTerms(pod).map(({ term }) => term),
  ]);
  const keys = new Set([zoneLabel, ...terms.filter((term) => !isOfHost(term)).map(keyOf)]);

  function counterOf(key: string, selector: LabelSelector | undefined, inNamespace: NamespaceTest): Counter {
    const id = JSON.stringify([key, selector, inNamespace.id]);
    const known = counters.get(id);
    if (known) return known;
    const bySelector: LabelMatcher = labelSelectorMatcher(selector);
    const matches = (pod: Pod) => inNamespace.has(pod.metadata.namespace ?? "") && bySelector(pod.metadata.labels);
    const counter: Counter = { key, matches, counts: new Map(), total: 0 };
    for (const seat of taken) count(counter, seat);
    counters.set(id, counter);
    return counter;
  }
  const termCounter = (pod: Pod, term: PodAffinityTerm): Counter =>
    counterOf(keyOf(term), merged(term.labelSelector, pod, term), namespaceTest(pod, term, namespaces));
  const spreadCounter = (pod: Pod, constraint: TopologySpreadConstraint): Counter => {
    const own = namespaceTest(pod, {}, namespaces);
    return counterOf(keyOf(constraint), merged(constraint.labelSelector, pod, constraint), own);
  };

  function raiseWards({ pod, labelOf }: Seat): void {
    for (const term of antiTerms(pod)) {
      const domain = labelOf(keyOf(term));
      if (isOfHost(term) || domain === undefined) continue;
      const counter = termCounter(pod, term);
      const ward = wards.get(counter) ?? { ...counter, counts: new Map() };
      ward.counts.set(domain, 1);
      wards.set(counter, ward);
    }
  }
  for (const seat of seats) raiseWards(seat);

  return {
    keys: [...keys],
    judge(pod, domains) {
      const rules = [
        ...spreads(pod)
          .filter((constraint) => !isOfHost(constraint))
          .map((constraint) => spreadRule(constraint, spreadCounter(pod, constraint), pod, domains)),
        affinityRule(
          pod,
          affinityTerms(pod).map((term) => termCounter(pod, term)),
        ),
        antiAffinityRule(
          antiTerms(pod)
            .filter((term) => !isOfHost(term))
            .map((term) => termCounter(pod, term)),
        ),
        wardRule([...wards.values()].filter(({ matches }) => matches(pod))),
      ];
      const likes = softTerms(pod)
        .filter(({ term }) => !isOfHost(term))
        .map(({ weight, term }) => ({ weight, counter: termCounter(pod, term) }));
      return {
        obstacle(labelOf) {
          for (const rule of rules) {
            const why = rule.obstacle?.(labelOf);
            if (why !== undefined) return why;
          }
          return undefined;
        },
        score: (labelOf) =>
          rules.reduce((sum, rule) => sum - (rule.cost?.(labelOf) ?? 0), 0) +
          likes.reduce((sum, { weight, counter }) => sum + weight * countAt(counter, labelOf), 0),
      };
    },
    seat(seat) {
      taken.push(seat);
      for (const counter of counters.values()) count(counter, seat);
      raiseWards(seat);
    },
  };
}

const keyOf = ({ topologyKey }: { topologyKey: string }): string => canonicalLabel(topologyKey);

type NamespaceTest = { id: string; has: (namespace: string) => boolean };

/** Where a term looks: in the Pod's own namespace unless it says otherwise. */
function namespaceTest(
  { metadata }: Pod,
  { namespaces = [], namespaceSelector }: Partial<PodAffinityTerm>,
  labels: NamespaceLabels,
): NamespaceTest {
  const own = namespaceSelector || namespaces.length > 0 ? [] : [metadata.namespace ?? ""];
  const named = new Set([...namespaces, ...own]);
  const bySelector = labelSelectorMatcher(namespaceSelector);
  return {
    id: JSON.stringify([[...named].sort(), namespaceSelector]),
    has: (name) =>
      named.has(name) || (namespaceSelector !== undefined && bySelector({ ...labels.get(name), [nameLabel]: name })),
  };
}
const nameLabel = "kubernetes.io/metadata.name";

/** A Pod that is on its way out is not counted: its domain is about to have one fewer. */
function count(counter: Counter, { pod, labelOf }: Seat): void {
  if (pod.metadata.deletionTimestamp !== undefined || !counter.matches(pod)) return;
  counter.total++;
  const domain = labelOf(counter.key);
  if (domain !== undefined) counter.counts.set(domain, (counter.counts.get(domain) ?? 0) + 1);
}
