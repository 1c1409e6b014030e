import { type LabelLookup, nodeRequirementsMatcher } from "../api/labels.ts";
import type { NodeSelectorRequirement, NodeSelectorTerm, PodSpec } from "../api/types.gen.ts";
import type { Offer } from "../clouds/cloud.ts";
import { capacityLabels, offerLabel } from "./offer-labels.ts";

/** One requirement of a label, as its reader would say it: `kubernetes.io/arch=arm64`. */
export type Wish = { text: string; isMet: (labelOf: LabelLookup) => boolean };

/** What a Pod says of the machine it wants: selector, node affinity, tolerations. */
export type NodeChoice = {
  /** All that selector and affinity require, each by itself. */
  wishes: readonly Wish[];
  /** Why no new machine can ever be right; absent: one can. */
  impossible?: string;
  /** Why this offer is not, as the words after a number of offers; absent: it is. */
  obstacle(offer: Offer): string | undefined;
  /** The sum of the weights of the preferences that the offer meets. */
  score(offer: Offer): number;
};

/** What a cloud says of offers that nobody gets who does not name one: `previous-generation`, `bare-metal`. */
const classLabel = "drover.dev/instance-class";
/** Whoever requires one of these has named the machine, and so has who prefers one and would get it. */
const namingLabels = [
  "node.kubernetes.io/instance-type",
  "beta.kubernetes.io/instance-type",
  "karpenter.k8s.aws/instance-family",
  "karpenter.k8s.aws/instance-generation",
  "karpenter.k8s.aws/instance-gpu-name",
  classLabel,
];
/** As `namingLabels`, of one class alone: the previous generation has the same hypervisors. */
const namingByClass: Readonly<Record<string, string>> = { xen: "karpenter.k8s.aws/instance-hypervisor" };

/** The part of a Pod that is looked at. */
type Wishful = { spec: Pick<PodSpec, "nodeSelector" | "affinity" | "tolerations"> };

type Term = { matches: (labelOf: LabelLookup) => boolean; keys: ReadonlySet<string> };

const none = new Set<string>();
const never: Term = { matches: () => false, keys: none };

/** A term without anything in it selects nothing, and so does one by a Node's name: the machine has none yet. */
function termOf({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm): Term {
  if (matchFields.length > 0 || matchExpressions.length === 0) return never;
  return {
    matches: nodeRequirementsMatcher(matchExpressions),
    keys: new Set(matchExpressions.map(({ key }) => key)),
  };
}

const names = (keys: readonly string[], ...sets: ReadonlySet<string>[]): boolean =>
  keys.some((key) => sets.some((set) => set.has(key)));

const wishOf = (text: string, requirement: NodeSelectorRequirement): Wish => ({
  text,
  isMet: nodeRequirementsMatcher([requirement]),
});

const textOf = ({ key, operator, values = [] }: NodeSelectorRequirement): string =>
  [key, operator, values.join(" or ")].filter(Boolean).join(" ");

/** A spot machine is as if tainted `karpenter.sh/capacity-type=spot`; a toleration of everything does not ask for it. */
const toleratesSpot = ({ spec }: Wishful): boolean =>
  (spec.tolerations ?? []).some(
    ({ key, operator, value }) =>
      key !== undefined && capacityLabels.includes(key) && (operator === "Exists" || value === "spot"),
  );

const mismatch = "didn't match Pod's node affinity/selector";

export function nodeChoice(pod: Wishful): NodeChoice {
  const selector = Object.entries(pod.spec.nodeSelector ?? {});
  const selections = selector.map(([key, value]) => ({ key, operator: "In", values: [value] }));
  const selects = nodeRequirementsMatcher(selections);
  const selected = new Set(selector.map(([key]) => key));
  const affinity = pod.spec.affinity?.nodeAffinity;
  const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const terms: readonly Term[] = required?.map(termOf) ?? [{ matches: () => true, keys: none }];
  const preferred = (affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, preference }) => ({
    ...termOf(preference),
    weight,
  }));
  const wantsSpot = toleratesSpot(pod) || preferred.some(({ keys }) => names(capacityLabels, keys));
  const isByNodeName = required?.length !== undefined && required.every(({ matchFields }) => matchFields?.length);
  function isNamed(instanceClass: string, met: readonly Term[], labelOf: LabelLookup): boolean {
    const naming = [...namingLabels, namingByClass[instanceClass] ?? classLabel];
    return (
      met.some(({ keys }) => names(naming, selected, keys)) ||
      preferred.some(({ matches, keys }) => names(naming, keys) && matches(labelOf))
    );
  }
  return {
    ...(isByNodeName && { impossible: namedNode }),
    wishes: [
      ...selections.map((each) => wishOf(`${each.key}=${each.values.join()}`, each)),
      ...(required ?? []).flatMap((term) => (term.matchExpressions ?? []).map((each) => wishOf(textOf(each), each))),
    ],
    obstacle(offer) {
      const labelOf = (key: string) => offerLabel(offer, key);
      const met = selects(labelOf) ? terms.filter(({ matches }) => matches(labelOf)) : [];
      if (met.length === 0) return mismatch;
      const instanceClass = offer.labels?.[classLabel];
      if (instanceClass !== undefined && !isNamed(instanceClass, met, labelOf)) {
        return `of class ${instanceClass}, which only a selector by name gets`;
      }
      const isWanted = offer.capacityType !== "spot" || wantsSpot;
      if (isWanted || met.some(({ keys }) => names(capacityLabels, selected, keys))) return undefined;
      return "of spot capacity, which is not asked for";
    },
    score(offer) {
      const labelOf = (key: string) => offerLabel(offer, key);
      return preferred.reduce((sum, { matches, weight }) => sum + (matches(labelOf) ? weight : 0), 0);
    },
  };
}

const namedNode =
  "Node affinity by matchFields names a Node, and a Pod gets a new machine that has no name yet: " +
  "use matchExpressions on labels";
