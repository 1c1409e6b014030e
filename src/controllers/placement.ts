import { labelSelectorMatcher } from "../api/labels.ts";
import type { NodeSelectorTerm, Pod } from "../api/types.gen.ts";
import type { MachineTemplate, Offer, Placement } from "../clouds/cloud.ts";

/** A Pod that needs a machine. Demands of one `owner` are spread over zones and fail together. */
export type Demand = { pod: Pod; owner: string; template: MachineTemplate };

export type PlacementWorld = {
  demands: readonly Demand[];
  offers: readonly Offer[];
  /** Pools (see `poolOf`) that could not give a machine lately. */
  skipped: ReadonlySet<string>;
  /** Machines that each owner has already, by `owner/zone`. */
  zoneCounts: ReadonlyMap<string, number>;
  /** How many machines more the budget allows. */
  machinesLeft: number;
};

export type Wave = { owner: string; template: MachineTemplate; placement: Placement; pods: readonly Pod[] };
export type Placed = { waves: readonly Wave[]; refused: readonly { pod: Pod; message: string }[] };

/** Machines that one call asks for at most. */
const slotsMax = 100;

export const poolOf = ({ type, zone, capacityType }: Placement): string => `${type}/${zone}/${capacityType}`;

const capacityLabels = ["karpenter.sh/capacity-type", "drover.dev/capacity-type"];

/** The labels of the Node that an offer makes. */
export const offerLabels = (offer: Pick<Offer, "type" | "zone" | "capacityType" | "architecture">) => ({
  "kubernetes.io/os": "linux",
  "kubernetes.io/arch": offer.architecture,
  "node.kubernetes.io/instance-type": offer.type,
  "topology.kubernetes.io/zone": offer.zone,
  ...Object.fromEntries(capacityLabels.map((label) => [label, offer.capacityType])),
});

const requiredTerms = ({ spec }: Pod): readonly NodeSelectorTerm[] | undefined =>
  spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;

function asksForCapacityType(pod: Pod): boolean {
  const keys = (requiredTerms(pod) ?? []).flatMap(({ matchExpressions }) => matchExpressions ?? []);
  const named = [...Object.keys(pod.spec.nodeSelector ?? {}), ...keys.map(({ key }) => key)];
  return capacityLabels.some((label) => named.includes(label));
}

/** Whether the Pod's selector and required affinity allow the offer. Nobody gets a spot machine without asking. */
function allows(pod: Pod, offer: Offer): boolean {
  const labels = offerLabels(offer);
  if (offer.capacityType === "spot" && !asksForCapacityType(pod)) return false;
  if (!labelSelectorMatcher({ matchLabels: pod.spec.nodeSelector ?? {} })(labels)) return false;
  const terms = requiredTerms(pod);
  if (!terms) return true;
  return terms.some(({ matchExpressions = [] }) => labelSelectorMatcher({ matchExpressions })(labels));
}

type Left = { machines: number; cpuMillis: number; memoryBytes: number };

/** What is left of a type while a plan hands it out; elastic types share it over zones. */
function ledger(offers: readonly Offer[]) {
  const accounts = new Map<string, Left>();
  const accountOf = (offer: Offer): Left => {
    const id = offer.elastic ? offer.type : poolOf(offer);
    const known = accounts.get(id) ?? { ...offer.left };
    accounts.set(id, known);
    return known;
  };
  for (const offer of offers) accountOf(offer);
  return {
    of: accountOf,
    hasRoom(offer: Offer, { cpuMillis, memoryBytes }: MachineTemplate): boolean {
      const left = accountOf(offer);
      if (left.machines < 1) return false;
      return !offer.elastic || (left.cpuMillis >= cpuMillis && left.memoryBytes >= memoryBytes);
    },
    take(offer: Offer, { cpuMillis, memoryBytes }: MachineTemplate): void {
      const left = accountOf(offer);
      left.machines -= 1;
      left.cpuMillis -= cpuMillis;
      left.memoryBytes -= memoryBytes;
    },
  };
}

const fits = (offer: Offer, template: MachineTemplate): boolean =>
  offer.architecture === template.architecture &&
  offer.cpuMillis >= template.cpuMillis &&
  offer.memoryBytes >= template.memoryBytes;

/**
 * Gives each Pod the cheapest machine that fits, spread over the zones that cost the same, and gathers what is equal
 * into waves of up to 100.
 */
export function place({ demands, offers, skipped, zoneCounts, machinesLeft }: PlacementWorld): Placed {
  const accounts = ledger(offers);
  const counts = new Map(zoneCounts);
  const waves = new Map<string, Wave & { pods: Pod[] }>();
  const refused: { pod: Pod; message: string }[] = [];
  let budget = machinesLeft;
  for (const { pod, owner, template } of demands) {
    const able = offers.filter((offer) => fits(offer, template) && allows(pod, offer) && !skipped.has(poolOf(offer)));
    const open = able.filter((offer) => accounts.hasRoom(offer, template));
    const countOf = ({ zone }: Offer) => counts.get(`${owner}/${zone}`) ?? 0;
    const [best] = open.sort((a, b) => a.priceUsdPerHour - b.priceUsdPerHour || countOf(a) - countOf(b));
    if (!best || budget < 1) {
      const why = best
        ? "the limit on machines of this cluster is reached"
        : refusal(pod, template, offers, skipped, accounts);
      refused.push({ pod, message: why });
      continue;
    }
    budget--;
    accounts.take(best, template);
    counts.set(`${owner}/${best.zone}`, countOf(best) + 1);
    addToWave(waves, { pod, owner, template }, best);
  }
  return { waves: [...waves.values()], refused };
}

function addToWave(waves: Map<string, Wave & { pods: Pod[] }>, { pod, owner, template }: Demand, offer: Offer): void {
  const { type, zone, capacityType } = offer;
  const placement = { type, zone, capacityType };
  for (let number = 0; ; number++) {
    const id = [owner, template.hash, poolOf(placement), number].join("\n");
    const wave = waves.get(id) ?? { owner, template, placement, pods: [] };
    if (wave.pods.length >= slotsMax) continue;
    wave.pods.push(pod);
    waves.set(id, wave);
    return;
  }
}

const gib = (memoryBytes: number): string => `${(memoryBytes / 2 ** 30).toFixed(2)} GiB`;
const amount = ({ cpuMillis, memoryBytes }: { cpuMillis: number; memoryBytes: number }): string =>
  `${cpuMillis}m CPU and ${gib(memoryBytes)}`;

/** Why no offer will do, in the scheduler's manner, with the numbers. */
function refusal(
  pod: Pod,
  template: MachineTemplate,
  offers: readonly Offer[],
  skipped: ReadonlySet<string>,
  accounts: ReturnType<typeof ledger>,
): string {
  const reasons = new Map<string, number>();
  for (const offer of offers) {
    const reason = obstacle(pod, template, offer, skipped, accounts.of(offer));
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const listed = [...reasons].sort(([a], [b]) => (a < b ? -1 : 1)).map(([reason, count]) => `${count} ${reason}`);
  const needs = `The machine needs ${amount(template)}, its own overhead included.`;
  return `0/${offers.length} machine offers are available: ${listed.join(", ") || "none is made"}. ${needs}`;
}

function obstacle(pod: Pod, template: MachineTemplate, offer: Offer, skipped: ReadonlySet<string>, left: Left): string {
  if (offer.architecture !== template.architecture) return `of architecture ${offer.architecture}`;
  if (!allows(pod, offer)) return "didn't match Pod's node affinity/selector";
  if (offer.cpuMillis < template.cpuMillis) return "Insufficient cpu";
  if (offer.memoryBytes < template.memoryBytes) return "Insufficient memory";
  if (skipped.has(poolOf(offer))) return "had no capacity lately";
  if (offer.elastic && left.machines > 0) return `with only ${amount(left)} left`;
  return "with no machine left of the quota";
}
