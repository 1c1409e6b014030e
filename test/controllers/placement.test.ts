import { expect, test } from "vitest";
import type { Pod } from "../../src/api/types.gen.ts";
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
  skipped: new Set(),
  zoneCounts: new Map(),
  machinesLeft: 100,
  ...more,
});
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
    { demands: demands(2), skipped: new Set(["small/a/on-demand"]) },
    "small/b×2",
  ],
  [
    "a zone asked for by the Pod is kept",
    { demands: demands(2, template(), { nodeSelector: { "topology.kubernetes.io/zone": "b" } }) },
    "small/b×2",
  ],
  ["the budget ends the placing", { demands: demands(3), machinesLeft: 1 }, "small/a×1 refused refused"],
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
      machinesLeft: 999,
      offers: [offer("x", "a", { left: { machines: 500, cpuMillis: 0, memoryBytes: 0 } })],
    },
    "x/a×100 x/a×50",
  ],
] as const)("%s", ([_name, more, want]) => {
  expect(told(world(more))).toBe(want);
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
