import type { Offer } from "../clouds/cloud.ts";

/** Under which a Node says `on-demand` or `spot`. */
export const capacityLabels = ["karpenter.sh/capacity-type", "drover.dev/capacity-type"];

/** Earlier names of labels, and other programs' names for the same thing. */
const aliases: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": "kubernetes.io/arch",
  "beta.kubernetes.io/os": "kubernetes.io/os",
  "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
  "topology.ebs.csi.aws.com/zone": "topology.kubernetes.io/zone",
};

export const zoneLabel = "topology.kubernetes.io/zone";
export const hostLabel = "kubernetes.io/hostname";

export const canonicalLabel = (key: string): string => aliases[key] ?? key;

type Labelled = Pick<Offer, "type" | "zone" | "capacityType" | "architecture" | "labels">;

/** One label of the Node that an offer makes; aliases are understood. A new machine has no host name yet. */
export function offerLabel(offer: Labelled, key: string): string | undefined {
  const canonical = canonicalLabel(key);
  switch (canonical) {
    case "kubernetes.io/os":
      return "linux";
    case "kubernetes.io/arch":
      return offer.architecture;
    case "node.kubernetes.io/instance-type":
      return offer.type;
    case zoneLabel:
      return offer.zone;
    default:
      return capacityLabels.includes(canonical) ? offer.capacityType : offer.labels?.[canonical];
  }
}

/** All labels of the Node that an offer makes, but for its host name. */
export const offerLabels = (offer: Labelled): Record<string, string> => ({
  ...offer.labels,
  ...Object.fromEntries(
    [
      "kubernetes.io/os",
      "kubernetes.io/arch",
      "node.kubernetes.io/instance-type",
      "topology.kubernetes.io/zone",
      ...capacityLabels,
    ].map((key) => [key, offerLabel(offer, key) ?? ""]),
  ),
});
