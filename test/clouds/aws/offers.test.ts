import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InstanceTypeInfo } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DroverError } from "../../../src/base/errors.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { keptPrices, openOffers } from "../../../src/clouds/aws/offers.ts";
import { shippedPrices } from "../../../src/clouds/aws/prices.ts";
import type { Running } from "../../../src/clouds/aws/quotas.ts";
import type { Offer } from "../../../src/clouds/cloud.ts";
import { openAwsFake } from "../../../src/clouds/sim/aws/open.ts";

const infos: InstanceTypeInfo[] = JSON.parse(readFileSync(new URL("./instance-types.json", import.meta.url), "utf8"));
const zones = ["us-east-1a", "us-east-1b"];
const zoneIds = async () => ({ "us-east-1a": "use1-az4" });
type Input = { NextToken?: string; MaxResults?: number; Filters?: { Name: string; Values: string[] }[] };

/** AWS in a few lines: pages of `pageSize`, and `broken` actions that fail. */
function fakeAws(pageSize = 7) {
  const calls: string[] = [];
  const broken = new Set<string>();
  const instances = [{ InstanceId: "i-theirs", InstanceType: "c7a.medium" }];
  const answers: Record<string, [key: string, (input: Input) => readonly unknown[]]> = {
    DescribeInstanceTypes: ["InstanceTypes", () => infos],
    DescribeInstanceTypeOfferings: [
      "InstanceTypeOfferings",
      () =>
        infos.flatMap(({ InstanceType }) =>
          zones
            .filter((zone) => InstanceType !== "t3.nano" || zone === "us-east-1b")
            .map((Location) => ({ InstanceType, Location })),
        ),
    ],
    DescribeSpotPriceHistory: [
      "SpotPriceHistory",
      () => [{ InstanceType: "c7a.medium", AvailabilityZone: "us-east-1a", SpotPrice: "0.0123" }],
    ],
    ListServiceQuotas: [
      "Quotas",
      () => [
        { QuotaCode: "L-1216C47A", Value: 5 },
        { QuotaCode: "L-OTHER", Value: 1 },
        { QuotaCode: "L-DB2E81BA", Value: 0 },
      ],
    ],
    DescribeInstances: ["Reservations", () => [{ Instances: instances }]],
  };
  const send = (async (_service: string, command: { input: object }) => {
    const action = command.constructor.name.replace(/Command$/, "");
    calls.push(action);
    if (broken.has(action)) throw new DroverError("CLOUD_AUTH", `no ${action} for you`);
    const [key, rows] = answers[action] ?? ["", () => []];
    const input = command.input as Input;
    const from = Number(input.NextToken ?? 0);
    const all = rows(input);
    const next = from + pageSize;
    return { [key]: all.slice(from, next), NextToken: next < all.length ? String(next) : "" };
  }) as Send;
  return { send, calls, broken, instances };
}

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "offers-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function opened(aws = fakeAws(), more: { region?: string; running?: () => Running[]; cacheDir?: string } = {}) {
  const told: string[] = [];
  const clock = new VirtualClock();
  const options = { send: aws.send, clock, region: "us-east-1", zones: async () => zones, zoneIds };
  const offers = openOffers({ ...options, tell: (message) => told.push(message), ...more });
  return { aws, told, clock, offers };
}
const find = (offers: readonly Offer[], type: string, capacityType = "on-demand", zone = "us-east-1a") =>
  offers.find((each) => each.type === type && each.capacityType === capacityType && each.zone === zone);

test("a type is offered in each zone that has it, on demand and as spot, with its price", async () => {
  const offers = await opened().offers();
  const of = (type: string) =>
    offers
      .filter((each) => each.type === type)
      .map(({ zone, capacityType, priceUsdPerHour }) => `${zone} ${capacityType} ${priceUsdPerHour.toFixed(4)}`);
  expect(of("c7a.medium")).toEqual([
    "us-east-1a on-demand 0.0513",
    "us-east-1a spot 0.0123",
    "us-east-1b on-demand 0.0513",
    "us-east-1b spot 0.0205",
  ]);
  expect(of("t3.nano")).toEqual(["us-east-1b on-demand 0.0052", "us-east-1b spot 0.0021"]);
  expect(find(offers, "c7a.medium")?.labels).toMatchObject({
    "topology.kubernetes.io/region": "us-east-1",
    "topology.k8s.aws/zone-id": "use1-az4",
  });
  expect(find(offers, "c7a.medium", "spot", "us-east-1b")?.labels).not.toHaveProperty("topology.k8s.aws/zone-id");
});

test("types of unknown price are left out, and that is said once", async () => {
  const { offers, told } = opened();
  expect(find(await offers(), "r9g.large")).toBeUndefined();
  await offers();
  expect(told).toEqual(["Instance types without a known price are not offered, 1: r9g.large."]);
});

test("what runs is taken from the quota, other people's instances and drover's newest too, each once", async () => {
  const running = (): Running[] => [
    { id: "i-theirs", type: "c7a.medium", capacityType: "on-demand" },
    { id: "i-new", type: "m5.large", capacityType: "on-demand" },
    { id: "i-spot", type: "m5.large", capacityType: "spot" },
  ];
  const offers = await opened(fakeAws(), { running }).offers();
  expect(find(offers, "m7g.large")).toMatchObject({
    quota: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances (L-1216C47A)",
    quotaCpuMillis: 2_000,
    left: { machines: 1, cpuMillis: 2_000 },
  });
  expect(find(offers, "g4dn.xlarge")?.left.machines).toBe(0);
  expect(find(offers, "m7g.large", "spot")?.quota).toBeUndefined();
});

test("nothing is asked twice within its time, and offers that are the same are the same objects", async () => {
  const { offers, aws, clock } = opened();
  const first = await offers();
  const asked = aws.calls.length;
  await clock.advance(14_000);
  expect(await offers()).toBe(first);
  expect(aws.calls.slice(asked)).toEqual([]);
  await clock.advance(2_000);
  expect(await offers()).toBe(first);
  expect(aws.calls.slice(asked)).toEqual(["DescribeInstances"]);
});

test("the catalog outlives the process for a day, and longer when AWS can't be asked", async () => {
  const asked = async (aws: ReturnType<typeof fakeAws>, laterMs: number) => {
    const { offers, clock } = opened(aws, { cacheDir: folder });
    await clock.advance(laterMs);
    expect((await offers()).length).toBeGreaterThan(50);
    return aws.calls.filter((call) => call.startsWith("DescribeInstanceType")).length;
  };
  expect(await asked(fakeAws(100), 0)).toBe(2);
  expect(await asked(fakeAws(100), 80_000_000)).toBe(0);
  const broken = fakeAws(100);
  broken.broken.add("DescribeInstanceTypes");
  expect(await asked(broken, 90_000_000)).toBe(2);
  expect(await asked(fakeAws(100), 90_000_000)).toBe(2);
});

test("without types there are no offers, and the refusal is AWS' own", async () => {
  const aws = fakeAws();
  aws.broken.add("DescribeInstanceTypes");
  await expect(opened(aws).offers()).rejects.toThrow("no DescribeInstanceTypes for you");
});

test("what may not be read is done without, and said", async () => {
  const aws = fakeAws();
  for (const action of ["ListServiceQuotas", "DescribeInstances", "DescribeSpotPriceHistory"]) aws.broken.add(action);
  const { offers, told } = opened(aws);
  const [first] = await offers();
  expect(first?.quota).toBeUndefined();
  expect(first?.left.machines).toBeGreaterThan(1_000);
  expect(told.sort()).toEqual([
    "Instance types without a known price are not offered, 1: r9g.large.",
    "Of the instances that count against quotas only drover's own are known: no DescribeInstances for you",
    "Spot prices are taken to be 40 % of those on demand: no DescribeSpotPriceHistory for you",
    "The account's quotas are unknown, so launches are not held back for them: no ListServiceQuotas for you",
  ]);
});

test("prices of another region are said to be that, until its own are kept", async () => {
  const note = "Prices are those of us-east-1 (2026-07-20): those of eu-central-1 are not known here and differ.";
  const before = opened(fakeAws(), { region: "eu-central-1", cacheDir: folder });
  await before.offers();
  expect(before.told).toContain(note);
  const own = { ...shippedPrices, region: "eu-central-1", onDemand: { c7a: { medium: 0.06 } } };
  await keptPrices(folder, "eu-central-1").write(own);
  const after = opened(fakeAws(), { region: "eu-central-1", cacheDir: folder });
  expect(find(await after.offers(), "c7a.medium")?.priceUsdPerHour).toBe(0.06);
  expect(after.told).not.toContain(note);
});

test("the simulated AWS is understood through the real road of calls", async () => {
  const clock = new VirtualClock();
  const { clients } = openAwsFake({ clock, random: seededRandom(1) });
  const told: string[] = [];
  const options = { send: openSend(clients, clock), clock, region: "us-east-1", zones: async () => zones, zoneIds };
  const reading = openOffers({ ...options, tell: (message) => told.push(message) })();
  await clock.advance(60_000);
  const offers = await reading;
  const found = find(offers, "t4g.small");
  expect(told).toEqual([]);
  expect(found).toMatchObject({ architecture: "arm64", cpuMillis: 400, priceUsdPerHour: 0.0168 });
  expect(found?.quota).toMatch(/L-1216C47A/);
  expect(find(offers, "t4g.small", "spot")?.priceUsdPerHour).toBeLessThan(0.0168);
});
