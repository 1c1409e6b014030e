import { expect, test } from "vitest";
import type { NodeSelectorRequirement, Pod } from "../../src/api/types.gen.ts";
import type { MachineTemplate, Offer } from "../../src/clouds/cloud.ts";
import { type PlacementWorld, place } from "../../src/controllers/placement.ts";
import type { Demand } from "../../src/controllers/selection.ts";

const gib = 2 ** 30;
const template = (memoryGib = 1, cpuMillis = 1_000): MachineTemplate => ({
  hash: `${memoryGib}/${cpuMillis}`,
  image: "debian-12",
  userData: "",
  architecture: "amd64",
  cpuMillis,
  memoryBytes: memoryGib * gib,
  diskBytes: 0,
  prefetch: [],
});
const pod = (name: string, spec: Partial<Pod["spec"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, uid: name },
  spec: { containers: [], ...spec },
});
const offer = (type: string, zone: string, more: Partial<Offer> = {}): Offer => ({
  type,
  zone,
  capacityType: "on-demand",
  architecture: "amd64",
  cpuMillis: 2_000,
  memoryBytes: 4 * gib,
  elastic: false,
  priceUsdPerHour: 1,
  left: { machines: 10, cpuMillis: 0, memoryBytes: 0 },
  ...more,
});
const demands = (count: number, of: MachineTemplate = template(), spec: Partial<Pod["spec"]> = {}): Demand[] =>
  Array.from({ length: count }, (_, index) => ({ pod: pod(`p${index}`, spec), owner: "web", template: of }));
const world = (more: Partial<PlacementWorld>): PlacementWorld => ({
  demands: [],
  offers: [
    offer("small", "a"),
    offer("small", "b"),
    offer("large", "a", { priceUsdPerHour: 2, memoryBytes: 16 * gib }),
  ],
  zoneCounts: new Map(),
  machinesMax: 100,
  ...more,
});
const left = (machines: number) => ({ machines, cpuMillis: 0, memoryBytes: 0 });
const small = [offer("small", "a"), offer("small", "b")];
/** Two CPUs each, of a quota that has `cpuMillis` left. */
const shared = (zone: string, cpuMillis: number) =>
  offer("s", zone, { quota: "Q", quotaCpuMillis: 2_000, left: { machines: 99, cpuMillis, memoryBytes: 0 } });
const prefers = (type: string): Partial<Pod["spec"]> => {
  const matchExpressions = [{ key: "node.kubernetes.io/instance-type", operator: "In", values: [type] }];
  const preferred = [{ weight: 1, preference: { matchExpressions } }];
  return { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } } };
};

const requires = (key: string, ...values: string[]): Partial<Pod["spec"]> => {
  const nodeSelectorTerms = [{ matchExpressions: [{ key, operator: "In", values }] }];
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } };
};

/** `small/a×2` for each wave, then what is refused. */
const told = (given: PlacementWorld): string => {
  const { waves, refused } = place(given);
  const placed = waves.map(({ placement, pods }) => `${placement.type}/${placement.zone}×${pods.length}`);
  return [...placed.sort(), ...refused.map(() => "refused")].join(" ");
};

test.for([
  ["the cheapest that fits, spread over zones", { demands: demands(4) }, "small/a×2 small/b×2"],
  [
    "zones are evened out with what is there",
    { demands: demands(2), zoneCounts: new Map([["web/a", 5]]) },
    "small/b×2",
  ],
  ["what needs more takes a larger type", { demands: demands(1, template(8)) }, "large/a×1"],
  [
    "a pool that had no capacity is left out",
    { demands: demands(2), skipped: { all: new Set(["small/a/on-demand"]), byOwner: new Map() } },
    "small/b×2",
  ],
  [
    "a zone asked for by the Pod is kept",
    { demands: demands(2, template(), { nodeSelector: { "topology.kubernetes.io/zone": "b" } }) },
    "small/b×2",
  ],
  [
    "nobody gets a machine with GPUs unasked",
    { demands: demands(1), offers: [offer("g", "a", { gpus: 1 })] },
    "refused",
  ],
  [
    "who names a type gets it with its GPUs",
    {
      demands: demands(1, template(), { nodeSelector: { "node.kubernetes.io/instance-type": "g" } }),
      offers: [offer("g", "a", { gpus: 1 })],
    },
    "g/a×1",
  ],
  ["the budget ends the placing", { demands: demands(3), machinesMax: 1 }, "small/a×1 refused refused"],
  [
    "a quota is shared out once",
    { demands: demands(2), offers: [offer("small", "a", { left: { machines: 1, cpuMillis: 0, memoryBytes: 0 } })] },
    "small/a×1 refused",
  ],
  [
    "nobody gets a spot machine unasked",
    { demands: demands(1), offers: [offer("s", "a", { capacityType: "spot" })] },
    "refused",
  ],
  [
    "who asks for spot gets it",
    {
      demands: demands(1, template(), { nodeSelector: { "karpenter.sh/capacity-type": "spot" } }),
      offers: [offer("s", "a", { capacityType: "spot" }), offer("t", "a")],
    },
    "s/a×1",
  ],
  [
    "more than a hundred are several calls",
    {
      demands: demands(150),
      machinesMax: 999,
      offers: [offer("x", "a", { left: { machines: 500, cpuMillis: 0, memoryBytes: 0 } })],
    },
    "x/a×100 x/a×50",
  ],
  [
    "the cheapest of a zone may come last",
    { demands: demands(2), offers: [offer("dear", "a", { priceUsdPerHour: 2 }), ...small] },
    "small/a×1 small/b×1",
  ],
  [
    "a zone with fewer of the owner's machines may cost a tenth more",
    { demands: demands(4), offers: [offer("s", "a"), offer("s", "b", { priceUsdPerHour: 1.1 })] },
    "s/a×2 s/b×2",
  ],
  [
    "but not more than that",
    { demands: demands(4), offers: [offer("s", "a"), offer("s", "b", { priceUsdPerHour: 1.11 })] },
    "s/a×4",
  ],
  [
    "a preference comes before the price",
    {
      demands: demands(2, template(), prefers("large")),
      offers: [...small, offer("large", "a", { priceUsdPerHour: 9 })],
    },
    "large/a×2",
  ],
  [
    "and is no more than that",
    { demands: demands(2, template(), prefers("none")), offers: small },
    "small/a×1 small/b×1",
  ],
  [
    "who allows both gets spot while there is some, then on-demand",
    {
      demands: demands(3, template(), {
        tolerations: [{ key: "karpenter.sh/capacity-type", operator: "Exists" }],
      }),
      offers: [offer("s", "a", { capacityType: "spot", priceUsdPerHour: 0.3, left: left(2) }), offer("s", "a")],
    },
    "s/a×1 s/a×2",
  ],
  [
    "machines with graphics processors are for who asks",
    {
      demands: demands(2, { ...template(), gpus: 1 }),
      offers: [offer("plain", "a"), offer("gpu", "a", { gpus: 1, priceUsdPerHour: 5 })],
    },
    "gpu/a×2",
  ],
  [
    "and must have enough of them",
    { demands: demands(1, { ...template(), gpus: 2 }), offers: [offer("gpu", "a", { gpus: 1 })] },
    "refused",
  ],
  [
    "volumes pin a Pod to their zone",
    { demands: demands(2).map((demand) => ({ ...demand, zones: new Set(["b"]) })) },
    "small/b×2",
  ],
  [
    "types of one quota share what is left of it",
    { demands: demands(4), offers: [shared("a", 6_000), shared("b", 6_000)] },
    "s/a×2 s/b×1 refused",
  ],
  [
    "what calls under way are about to take is taken",
    {
      demands: demands(3),
      offers: [offer("small", "a", { left: left(5) })],
      underway: [
        { placement: { type: "small", zone: "a", capacityType: "on-demand" }, template: template(), machines: 3 },
      ],
    },
    "small/a×2 refused",
  ],
  [
    "and from a quota too",
    {
      demands: demands(2),
      offers: [shared("a", 6_000)],
      underway: [{ placement: { type: "s", zone: "a", capacityType: "on-demand" }, template: template(), machines: 2 }],
    },
    "s/a×1 refused",
  ],
] as const)("%s", ([_name, more, want]) => {
  expect(told(world(more))).toBe(want);
});

test("Pods of higher priority come first, those of equal priority in their order", () => {
  const queue = [0, 5, 0, 9].map((priority, index) => ({
    ...{ pod: pod(`p${index}-${priority}`, { priority }), owner: "web", template: template() },
  }));
  const { waves } = place(world({ demands: queue, machinesMax: 3, offers: [offer("small", "a")] }));
  expect(waves.flatMap(({ pods }) => pods.map(({ metadata }) => metadata.name))).toEqual(["p3-9", "p1-5", "p0-0"]);
});

test("the labels of the offer go into the placement, so that the Node has them", () => {
  const labels = { "karpenter.k8s.aws/instance-family": "m7g" };
  const { waves } = place(world({ demands: demands(1), offers: [offer("small", "a", { labels })] }));
  expect(waves[0]?.placement).toMatchObject({ type: "small", zone: "a", capacityType: "on-demand", labels });
});

test("what machines may cost together ends the placing, and the refusal has the numbers", () => {
  const offers = [offer("small", "a", { priceUsdPerHour: 0.25 })];
  const spending = { usdPerHourMax: 1, usdPerHour: 0.5 };
  const { waves, refused } = place(world({ demands: demands(3), offers, spending }));
  expect(waves.map(({ pods, placement }) => [pods.length, placement.priceUsdPerHour])).toEqual([[2, 0.25]]);
  expect(refused.map(({ message }) => message)).toEqual([
    "the limit of $1.00/h of this cluster is reached: its machines cost $1.00/h, and small in a costs $0.25/h more (--max-usd-per-hour)",
  ]);
});

test("a computer's memory is shared by all machines on it, and a refusal has the numbers", () => {
  const left = { machines: 100, cpuMillis: 4_000, memoryBytes: 2.5 * gib };
  const host = offer("host", "local", { elastic: true, memoryBytes: 16 * gib, left });
  const { waves, refused } = place(world({ demands: demands(3), offers: [host] }));
  expect(waves.map(({ pods }) => pods.length)).toEqual([2]);
  expect(refused.map(({ message }) => message)).toEqual([
    "0/1 machine offers are available: 1 with only 2000m CPU and 0.50 GiB left. The machine needs 1000m CPU and 1.00 GiB, its own overhead included.",
  ]);
});

test("the refusal counts each obstacle", () => {
  const spec = { nodeSelector: { "topology.kubernetes.io/zone": "a" } };
  const { refused } = place(world({ demands: demands(1, template(64), spec) }));
  expect(refused[0]?.message).toBe(
    "0/3 machine offers are available: 2 Insufficient memory, 1 didn't match Pod's node affinity/selector. The machine needs 1000m CPU and 64.00 GiB, its own overhead included.",
  );
});

test("the refusal names what is required and no offer has", () => {
  const expressions = (...matchExpressions: NodeSelectorRequirement[]): Partial<Pod["spec"]> => ({
    affinity: {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } },
    },
  });
  const of = (spec: Partial<Pod["spec"]>) =>
    place(world({ demands: demands(1, template(), spec) })).refused[0]?.message;
  const type = "node.kubernetes.io/instance-type";
  const zone = "topology.kubernetes.io/zone";
  expect(of({ nodeSelector: { "karpenter.sh/nodepool": "default", [zone]: "a" } })).toMatch(
    /selector\. No offer has karpenter\.sh\/nodepool=default\. The machine needs/,
  );
  expect(of(expressions({ key: type, operator: "In", values: ["m5.larg", "m5.xlarg"] }))).toContain(
    `No offer has ${type} In m5.larg or m5.xlarg.`,
  );
  const cpu = "karpenter.k8s.aws/instance-cpu";
  expect(of(expressions({ key: cpu, operator: "Gt", values: ["400"] }, { key: "gpu", operator: "Exists" }))).toContain(
    `No offer has ${cpu} Gt 400, nor gpu Exists.`,
  );
  // Each is there, and nowhere both.
  expect(of({ nodeSelector: { [type]: "large", [zone]: "b" } })).not.toContain("No offer has");
});

const size = template(0.5, 500);
const cheap = offer("t4g.small", "us-east-1a", { priceUsdPerHour: 0.0168 });
const dear = offer("m7g.large", "us-east-1b", { priceUsdPerHour: 0.0816 });
const spots = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    offer(`s${index}`, "us-east-1a", { capacityType: "spot", priceUsdPerHour: 0.01 }),
  );
const shortOf = (count: number) => ({
  all: new Set(spots(count).map(({ type }) => `${type}/us-east-1a/spot`)),
  byOwner: new Map(),
});
/** A spot machine or one on demand. */
const either = requires("karpenter.sh/capacity-type", "spot", "on-demand");
test.for<[string, Partial<PlacementWorld>, string]>([
  [
    "the cheapest",
    { demands: demands(1, size), offers: [cheap, dear] },
    "t4g.small in us-east-1a, on demand, $0.0168/h: the cheapest of 2 offers that fit 500m CPU and 0.50 GiB",
  ],
  [
    "the cheapest but for pools that are left alone",
    {
      demands: demands(1, size),
      offers: [cheap, dear],
      skipped: { all: new Set(["t4g.small/us-east-1a/on-demand"]), byOwner: new Map() },
    },
    "m7g.large in us-east-1b, on demand, $0.0816/h: the only offer that fits 500m CPU and 0.50 GiB; t4g.small in us-east-1a had no capacity lately",
  ],
  [
    "on demand, where spot is short in many pools",
    { demands: demands(1, size, either), offers: [...spots(11), cheap, dear], skipped: shortOf(10) },
    "t4g.small in us-east-1a, on demand, $0.0168/h: of 3 offers that fit 500m CPU and 0.50 GiB; " +
      "s10 in us-east-1a at $0.01/h was passed over: spot is short in 10 pools; " +
      "s0 in us-east-1a had no capacity lately; s1 in us-east-1a had no capacity lately; " +
      "s2 in us-east-1a had no capacity lately, and 7 more offers",
  ],
  [
    "on demand, where a quota refuses spot",
    {
      demands: demands(1, size, either),
      offers: [...spots(1), cheap],
      skipped: { ...shortOf(0), spotFull: new Set(["web"]) },
    },
    "t4g.small in us-east-1a, on demand, $0.0168/h: of 2 offers that fit 500m CPU and 0.50 GiB; " +
      "s0 in us-east-1a at $0.01/h was passed over: a quota has refused spot machines",
  ],
  [
    "as spot, where another owner's quota is full",
    {
      demands: demands(1, size, either),
      offers: [...spots(1), cheap],
      skipped: { ...shortOf(0), spotFull: new Set(["other"]) },
    },
    "s0 in us-east-1a, spot, $0.01/h: the cheapest of 2 offers that fit 500m CPU and 0.50 GiB",
  ],
  [
    "the next as spot, where it is short in some pools only",
    { demands: demands(1, size, either), offers: [...spots(10), cheap], skipped: shortOf(9) },
    "s9 in us-east-1a, spot, $0.01/h: the cheapest of 2 offers that fit 500m CPU and 0.50 GiB; " +
      "s0 in us-east-1a had no capacity lately; s1 in us-east-1a had no capacity lately; " +
      "s2 in us-east-1a had no capacity lately, and 6 more offers",
  ],
  [
    "the only one, as spot",
    {
      demands: demands(1, { ...size, gpus: 1 }, { nodeSelector: { "karpenter.sh/capacity-type": "spot" } }),
      offers: [cheap, { ...dear, capacityType: "spot", gpus: 1, priceUsdPerHour: 1.2 }],
    },
    "m7g.large in us-east-1b, spot, $1.20/h: the only offer that fits 500m CPU and 0.50 GiB and 1 GPU",
  ],
  [
    "preferred to the cheapest",
    { demands: demands(1, size, prefers("m7g.large")), offers: [cheap, dear] },
    "m7g.large in us-east-1b, on demand, $0.0816/h: of 2 offers that fit 500m CPU and 0.50 GiB; t4g.small in us-east-1a at $0.0168/h was passed over: the Pod prefers others",
  ],
  [
    "taken because the cheapest is used up",
    { demands: demands(1, size), offers: [{ ...cheap, left: left(0) }, dear] },
    "m7g.large in us-east-1b, on demand, $0.0816/h: of 2 offers that fit 500m CPU and 0.50 GiB; t4g.small in us-east-1a at $0.0168/h was passed over: it has no room left",
  ],
  [
    "in a zone with fewer of them",
    {
      demands: demands(1, size),
      offers: [cheap, { ...cheap, zone: "us-east-1b", priceUsdPerHour: 0.0175 }],
      zoneCounts: new Map([["web/us-east-1a", 1]]),
    },
    "t4g.small in us-east-1b, on demand, $0.0175/h: of 2 offers that fit 500m CPU and 0.50 GiB; t4g.small in us-east-1a at $0.0168/h was passed over: its zone has more of these Pods",
  ],
])("why a machine was chosen: %s", ([_name, more, want]) => {
  expect(place(world(more)).waves.map(({ reason }) => reason)).toEqual([want]);
});

test("a refusal counts every constraint by what it removed", () => {
  const of = (type: string, more: Partial<Offer>) => offer(type, "a", more);
  const offers = [
    of("arm", { architecture: "arm64" }),
    of("cheap", { capacityType: "spot" }),
    of("cheap", { capacityType: "spot", zone: "b" }),
    of("metal", { labels: { "drover.dev/instance-class": "bare-metal" } }),
    of("few", { cpuMillis: 500 }),
    of("thin", { memoryBytes: 1 }),
    of("poor", { zone: "b" }),
    of("gone", {}),
    shared("a", 1_000),
  ];
  const pinned = demands(1).map((demand) => ({ ...demand, zones: new Set(["a"]) }));
  const { refused } = place(
    world({ demands: pinned, offers, skipped: { all: new Set(["gone/a/on-demand"]), byOwner: new Map() } }),
  );
  expect(refused[0]?.message).toBe(
    "0/9 machine offers are available: 1 Insufficient cpu, 1 Insufficient memory, 1 had no capacity lately, " +
      "1 had volume node affinity conflict, 1 of architecture arm64, " +
      "1 of class bare-metal, which only a selector by name gets, 2 of spot capacity, which is not asked for, " +
      "1 with only 1 vCPU left of the quota Q. The machine needs 1000m CPU and 1.00 GiB, its own overhead included.",
  );
});

test("a thousand Pods of fifty sizes find their machines among five thousand offers at once", () => {
  const zones = ["a", "b", "c", "d", "e"];
  const offers = Array.from({ length: 5_000 }, (_, index) =>
    offer(`type${index % 1_000}`, zones[Math.floor(index / 1_000)] ?? "", { priceUsdPerHour: 1 + (index % 1_000) }),
  );
  const many = demands(1_000).map((demand, index) => ({ ...demand, template: template(1, 500 + (index % 50)) }));
  const before = process.cpuUsage();
  const { waves } = place(world({ demands: many, offers, machinesMax: 2_000 }));
  const { user, system } = process.cpuUsage(before);
  expect(waves.reduce((sum, { pods }) => sum + pods.length, 0)).toBe(1_000);
  // About 0.05 s; looking at every offer for every Pod would take many times the bound.
  expect((user + system) / 1_000_000).toBeLessThan(3);
});
