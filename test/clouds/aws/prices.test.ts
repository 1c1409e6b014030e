import { expect, test } from "vitest";
import { VirtualClock } from "../../../src/base/virtual.ts";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { costPerHour } from "../../../src/clouds/aws/charges.ts";
import { listSpotPrices, onDemandUsdPerHour, refreshPrices, shippedPrices } from "../../../src/clouds/aws/prices.ts";

test.for([
  ["t4g.nano", 0.0042],
  ["t3.small", 0.0208],
  ["m7g.large", 0.0816],
  ["c5.xlarge", 0.17],
  ["nobody.knows", undefined],
] as const)("the shipped price of %s", ([type, usd]) => {
  expect(onDemandUsdPerHour(shippedPrices, type)).toBe(usd);
});

test("the shipped table says where and when it is from, and knows more than a thousand types", () => {
  const { region, date, source, onDemand } = shippedPrices;
  expect([region, date]).toEqual(["us-east-1", "2026-07-20"]);
  expect(source).toContain("Pricing API");
  expect(Object.values(onDemand).reduce((sum, sizes) => sum + Object.keys(sizes).length, 0)).toBeGreaterThan(1_000);
});

const entry = (instanceType: string, usd: string) =>
  JSON.stringify({
    product: { attributes: { instanceType } },
    terms: { OnDemand: { term: { priceDimensions: { rate: { unit: "Hrs", pricePerUnit: { USD: usd } } } } } },
  });

/** A price list of two pages; what was asked for is in `inputs`. */
function priceList(...pages: string[][]) {
  const inputs: object[] = [];
  const send = (async (_service: string, { input }: { input: { NextToken?: string } }) => {
    inputs.push(input);
    const page = Number(input.NextToken ?? 0);
    return { PriceList: pages[page], ...(page + 1 < pages.length && { NextToken: String(page + 1) }) };
  }) as Send;
  return { send, inputs };
}

test("a region's prices come from every page of the price list; what has none is left out", async () => {
  const reservation = JSON.stringify({ product: { attributes: { servicecode: "AmazonEC2" } }, terms: {} });
  const { send, inputs } = priceList(
    [entry("t3.nano", "0.0060000000"), entry("t3.micro", "0.012"), reservation],
    [entry("m7g.large", "0.0978"), entry("free.large", "0")],
  );
  expect(await refreshPrices(send, "eu-central-1", new VirtualClock())).toEqual({
    region: "eu-central-1",
    date: "2026-01-01",
    source: "AWS Pricing API, GetProducts",
    onDemand: { t3: { nano: 0.006, micro: 0.012 }, m7g: { large: 0.0978 } },
  });
  expect(inputs[1]).toMatchObject({
    ServiceCode: "AmazonEC2",
    NextToken: "1",
    Filters: [
      { Type: "TERM_MATCH", Field: "regionCode", Value: "eu-central-1" },
      { Field: "operatingSystem", Value: "Linux" },
      { Field: "preInstalledSw", Value: "NA" },
      { Field: "tenancy", Value: "Shared" },
      { Field: "capacitystatus", Value: "Used" },
      { Field: "marketoption", Value: "OnDemand" },
    ],
  });
});

test("a region that the price list does not know is refused", async () => {
  await expect(refreshPrices(priceList([]).send, "mars-1", new VirtualClock())).rejects.toThrow(
    "AWS' price list names no price for region mars-1.",
  );
});

test("the newest spot price of a type and zone counts, whatever the order of the list", async () => {
  const row = (usd: string, second: number) => ({
    ...{ InstanceType: "t3.nano", AvailabilityZone: "us-east-1a", SpotPrice: usd },
    Timestamp: new Date(second * 1_000),
  });
  const send = (async () => ({
    SpotPriceHistory: [row("0.002", 20), row("0.001", 10), row("0", 30)],
  })) as unknown as Send;
  expect([...(await listSpotPrices(send, new VirtualClock()))]).toEqual([["t3.nano us-east-1a", 0.002]]);
});

test("the cost of what stands there, line by line", () => {
  const { usdPerHour, lines } = costPerHour({
    machines: [{ type: "t4g.small", count: 3, usdPerHour: 0.0168 }],
    volumes: [{ sizeGib: 20 }, { sizeGib: 20 }, { sizeGib: 20, iops: 4_000, mibPerSecond: 225 }],
    publicAddresses: 5,
    networkBalancers: 1,
    applicationBalancers: 0,
    privateZones: 1,
  });
  expect(lines.map(({ what, count, usdPerHour: usd }) => `${count} ${what}: ${usd.toFixed(5)}`)).toEqual([
    "3 t4g.small: 0.05040",
    "3 gp3 disks, 60 GiB together: 0.01890",
    "5 public IPv4 addresses: 0.02500",
    "1 network load balancers, traffic not counted: 0.02250",
    "1 private zones: 0.00068",
  ]);
  expect(usdPerHour).toBeCloseTo(0.11749, 5);
});
