import { expect, test } from "vitest";
import type { Pod, PodAffinityTerm, TopologySpreadConstraint } from "../../src/api/types.gen.ts";
import type { MachineTemplate, Offer } from "../../src/clouds/cloud.ts";
import type { Seat } from "../../src/controllers/neighbours.ts";
import { type PlacementWorld, place } from "../../src/controllers/placement.ts";

const zoneKey = "topology.kubernetes.io/zone";
const hostKey = "kubernetes.io/hostname";
const template: MachineTemplate = {
  ...{ hash: "h", image: "debian-12", userData: "", architecture: "amd64", prefetch: [] },
  ...{ cpuMillis: 1_000, memoryBytes: 2 ** 30, diskBytes: 0 },
};
const offer = (zone: string, priceUsdPerHour = 1, type = "small", labels: Record<string, string> = {}): Offer => ({
  ...{ type, zone, capacityType: "on-demand", architecture: "amd64", elastic: false, priceUsdPerHour, labels },
  ...{ cpuMillis: 2_000, memoryBytes: 4 * 2 ** 30, left: { machines: 100, cpuMillis: 0, memoryBytes: 0 } },
});
type Spec = Partial<Pod["spec"]>;
const pod = (app: string, spec: Spec = {}, more: Partial<Pod["metadata"]> = {}): Pod => ({
  ...{ apiVersion: "v1", kind: "Pod" },
  metadata: { name: app, namespace: "default", labels: { app }, ...more },
  spec: { containers: [], ...spec },
});
const seat = (app: string, zone: string, spec: Spec = {}, more: Partial<Pod["metadata"]> = {}): Seat => ({
  pod: pod(app, spec, more),
  labelOf: (key) => (key === zoneKey ? zone : undefined),
});
const app = (name: string) => ({ matchLabels: { app: name } });
const spread = (more: Partial<TopologySpreadConstraint> = {}): Spec => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: zoneKey, whenUnsatisfiable: "DoNotSchedule", labelSelector: app("web"), ...more },
  ],
});
const beside = (name: string, more: Partial<PodAffinityTerm> = {}): PodAffinityTerm => ({
  ...{ topologyKey: zoneKey, labelSelector: app(name), ...more },
});
const near = (...terms: PodAffinityTerm[]): Spec => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const apart = (...terms: PodAffinityTerm[]): Spec => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const rather = (kind: "podAffinity" | "podAntiAffinity", podAffinityTerm: PodAffinityTerm): Spec => ({
  affinity: { [kind]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 50, podAffinityTerm }] } },
});

/** Zone a is the cheapest by far. */
const cheapA = [offer("a", 1), offer("b", 2), offer("c", 3)];
/** `a×2 b×1`, and `refused` for each Pod without a machine. */
function placed(count: number, spec: Spec, seats: Seat[] = [], more: Partial<PlacementWorld> = {}): string {
  const demands = Array.from({ length: count }, () => ({ pod: pod("web", spec), owner: "web", template }));
  const world = { demands, offers: cheapA, zoneCounts: new Map(), machinesMax: 100, seats };
  const { waves, refused } = place({ ...world, ...more });
  const zones = waves.map(({ placement, pods }) => `${placement.zone}×${pods.length}`).sort();
  return [...zones, ...refused.map(() => "refused")].join(" ");
}

test.for<[string, number, Spec, Seat[], string]>([
  ["without a wish the cheapest zone takes all", 3, {}, [], "a×3"],
  ["a spread is kept whatever it costs", 4, spread(), [], "a×2 b×1 c×1"],
  ["a larger skew lets the cheap zone run ahead", 4, spread({ maxSkew: 2 }), [], "a×2 b×2"],
  ["Pods that are there count", 2, spread(), [seat("web", "a"), seat("web", "b")], "a×1 c×1"],
  ["Pods of another kind do not", 1, spread(), [seat("db", "a")], "a×1"],
  ["nor those of another namespace", 1, spread(), [seat("web", "a", {}, { namespace: "other" })], "a×1"],
  [
    "nor those that are going",
    1,
    spread(),
    [seat("web", "a", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
    "a×1",
  ],
  [
    "a Pod that its own selector does not match spreads by the others",
    3,
    spread({ labelSelector: app("db") }),
    [],
    "a×3",
  ],
  ["only zones that the Pod may be in count", 2, { ...spread(), nodeSelector: { [zoneKey]: "a" } }, [], "a×2"],
  ["too few domains count as an empty one", 2, spread({ minDomains: 4 }), [seat("web", "a")], "b×1 c×1"],
  ["and then there is an end", 3, spread({ minDomains: 4 }), [seat("web", "a")], "b×1 c×1 refused"],
  [
    "a spread that need not be kept is kept while it can",
    3,
    spread({ whenUnsatisfiable: "ScheduleAnyway" }),
    [],
    "a×1 b×1 c×1",
  ],
  ["hosts are always spread", 3, spread({ topologyKey: hostKey }), [], "a×3"],
  ["offers without the label are out", 1, spread({ topologyKey: "rack" }), [], "refused"],
  ["near others", 2, near(beside("db")), [seat("db", "b")], "b×2"],
  ["near nobody", 1, near(beside("db")), [], "refused"],
  ["the first of a group may be anywhere, the others join it", 3, near(beside("web")), [], "a×3"],
  ["or join those that are there", 2, near(beside("web")), [seat("web", "c")], "c×2"],
  ["near two kinds at once", 1, near(beside("db"), beside("log")), [seat("db", "b"), seat("log", "c")], "refused"],
  ["on the host of another is nobody", 1, near(beside("db", { topologyKey: hostKey })), [seat("db", "a")], "refused"],
  ["apart from its like", 4, apart(beside("web")), [], "a×1 b×1 c×1 refused"],
  ["apart from others", 2, apart(beside("db")), [seat("db", "a")], "b×2"],
  ["apart by host is always so", 3, apart(beside("web", { topologyKey: hostKey })), [], "a×3"],
  ["others may want to be alone", 2, {}, [seat("db", "a", apart(beside("web")))], "b×2"],
  ["apart in a namespace that is named", 1, apart(beside("db", { namespaces: ["x"] })), [seat("db", "a")], "a×1"],
  [
    "apart in every namespace",
    1,
    apart(beside("db", { namespaceSelector: {} })),
    [seat("db", "a", {}, { namespace: "x" })],
    "b×1",
  ],
  ["rather near, whatever it costs", 2, rather("podAffinity", beside("db")), [seat("db", "c")], "c×2"],
  ["rather apart", 3, rather("podAntiAffinity", beside("web")), [], "a×1 b×1 c×1"],
])("%s", ([_name, count, spec, seats, want]) => {
  expect(placed(count, spec, seats)).toBe(want);
});

test("a namespace is found by its labels and by its name", () => {
  const namespaces = new Map([["x", { team: "blue" }]]);
  const seats = [seat("db", "a", {}, { namespace: "x" })];
  const by = (matchLabels: Record<string, string>) =>
    placed(1, apart(beside("db", { namespaceSelector: { matchLabels } })), seats, { namespaces });
  expect([by({ team: "blue" }), by({ team: "red" }), by({ "kubernetes.io/metadata.name": "x" })]).toEqual([
    "b×1",
    "a×1",
    "b×1",
  ]);
});

test("a revision spreads by itself with matchLabelKeys", () => {
  const labels = (hash: string) => ({ labels: { app: "web", hash } });
  const old = [seat("web", "b", {}, labels("1")), seat("web", "c", {}, labels("1"))];
  const spec = spread({ matchLabelKeys: ["hash"] });
  const demand = { pod: pod("web", spec, labels("2")), owner: "web", template };
  const world = { offers: cheapA, zoneCounts: new Map(), machinesMax: 9, seats: old };
  const zones = place({ ...world, demands: [demand, demand, demand] }).waves.map(({ placement }) => placement.zone);
  expect(zones.sort()).toEqual(["a", "b", "c"]);
});

test("any label of the offers divides them into domains", () => {
  const racks = [offer("a", 1, "x", { rack: "1" }), offer("a", 2, "y", { rack: "2" })];
  const demands = [1, 2].map(() => ({ pod: pod("web", spread({ topologyKey: "rack" })), owner: "web", template }));
  const world = { offers: racks, zoneCounts: new Map(), machinesMax: 9 };
  expect(place({ ...world, demands }).waves.map(({ placement }) => placement.type)).toEqual(["x", "y"]);
});

test.for([
  [spread({ minDomains: 4 }), "2 didn't match pod topology spread constraints"],
  [spread({ topologyKey: "rack" }), "2 didn't match pod topology spread constraints (missing required label)"],
  [near(beside("db")), "2 didn't match pod affinity rules"],
  [near(beside("db", { topologyKey: hostKey })), "2 didn't match pod affinity rules: every Pod has a host of its own"],
  [apart(beside("web")), "2 didn't match pod anti-affinity rules"],
] as const)("the refusal names the rule and what it removed: %#", ([spec, reason]) => {
  const seats = [seat("web", "a"), seat("web", "b")];
  const world = { offers: [offer("a"), offer("b")], zoneCounts: new Map(), machinesMax: 9 };
  const { refused } = place({ ...world, seats, demands: [{ pod: pod("web", spec), owner: "web", template }] });
  expect(refused.map(({ message }) => message)).toEqual([
    `0/2 machine offers are available: ${reason}. The machine needs 1000m CPU and 1.00 GiB, its own overhead included.`,
  ]);
});
