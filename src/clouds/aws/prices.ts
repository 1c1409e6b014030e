import { readFileSync } from "node:fs";
import { DescribeSpotPriceHistoryCommand } from "@aws-sdk/client-ec2";
import { type Filter, GetProductsCommand } from "@aws-sdk/client-pricing";
import { z } from "zod";
import { type Clock, dateOf, rfc3339 } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Send } from "./api.ts";
import { allPages } from "./pages.ts";

/** USD an hour for Linux on demand, by family and size. */
export const priceTableShape = z.object({
  region: z.string(),
  /** The day on which these were AWS' prices. */
  date: z.string(),
  source: z.string(),
  onDemand: z.record(z.string(), z.record(z.string(), z.number().positive())),
});
export type PriceTable = z.infer<typeof priceTableShape>;

/** The prices that drover comes with: of us-east-1. */
export const shippedPrices: PriceTable = priceTableShape.parse(
  JSON.parse(readFileSync(new URL("./data/prices.json", import.meta.url), "utf8")),
);

export function onDemandUsdPerHour({ onDemand }: PriceTable, type: string): number | undefined {
  const [family = "", size = ""] = type.split(".");
  return onDemand[family]?.[size];
}

/** What one has to know of a table that is of another region, in a sentence; undefined: it is of this one. */
export const regionNote = ({ region: of, date }: PriceTable, region: string): string | undefined =>
  of === region ? undefined : `Prices are those of ${of} (${date}): those of ${region} are not known here and differ.`;

const filter = (Field: string, Value: string): Filter => ({ Type: "TERM_MATCH", Field, Value });

/** The part of a price list's entry that is looked at. */
const product = z.object({
  product: z.object({ attributes: z.object({ instanceType: z.string() }) }),
  terms: z.object({
    OnDemand: z
      .record(
        z.string(),
        z.object({
          priceDimensions: z.record(z.string(), z.object({ pricePerUnit: z.record(z.string(), z.string()) })),
        }),
      )
      .default({}),
  }),
});

/**
 * Today's prices of a region from the Pricing API (`pricing:GetProducts`), some fifteen calls.
 * @throws CLOUD_INVALID: the list has no price of this region; CLOUD_AUTH, CLOUD_THROTTLED, CLOUD_UNAVAILABLE
 */
export async function refreshPrices(
  send: Send,
  region: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<PriceTable> {
  const Filters = [
    filter("regionCode", region),
    filter("operatingSystem", "Linux"),
    filter("preInstalledSw", "NA"),
    filter("tenancy", "Shared"),
    filter("capacitystatus", "Used"),
    filter("marketoption", "OnDemand"),
  ];
  const list = await allPages(
    (NextToken) =>
      send("pricing", new GetProductsCommand({ ServiceCode: "AmazonEC2", Filters, MaxResults: 100, NextToken }), {
        signal,
      }),
    ({ PriceList }) => PriceList as readonly unknown[] | undefined,
  );
  const onDemand: PriceTable["onDemand"] = {};
  for (const [type, usd] of list.flatMap(priceOf)) {
    const [family = "", size = ""] = type.split(".");
    onDemand[family] = { ...onDemand[family], [size]: usd };
  }
  if (Object.keys(onDemand).length === 0) {
    throw new DroverError("CLOUD_INVALID", `AWS' price list names no price for region ${region}.`, { region });
  }
  return { region, date: rfc3339(clock.wallMs()).slice(0, 10), source: "AWS Pricing API, GetProducts", onDemand };
}

/**
 * Entries are JSON as text, which the SDK gives as String objects; those without a price in USD, and what is not an
 * instance, say nothing.
 */
function priceOf(entry: unknown): [type: string, usd: number][] {
  const isText = typeof entry === "string" || entry instanceof String;
  const parsed = product.safeParse(isText ? JSON.parse(String(entry)) : entry);
  if (!parsed.success) return [];
  const { instanceType } = parsed.data.product.attributes;
  const usd = Object.values(parsed.data.terms.OnDemand)
    .flatMap(({ priceDimensions }) => Object.values(priceDimensions))
    .map(({ pricePerUnit }) => Number(pricePerUnit["USD"]))
    .find((price) => price > 0);
  return usd === undefined ? [] : [[instanceType, usd]];
}

/** A spot machine's price while AWS has not told it, as a part of the one on demand: it is mostly lower. */
export const spotShare = 0.4;

/** Today's spot price where it is known (`TYPE ZONE`), else a share of the price on demand. */
export const spotUsdPerHour = (
  known: ReadonlyMap<string, number>,
  type: string,
  zone: string,
  onDemand: number,
): number => known.get(`${type} ${zone}`) ?? onDemand * spotShare;

/** The newest spot price of every type and zone, by `TYPE ZONE`. */
export async function listSpotPrices(send: Send, clock: Clock, signal?: AbortSignal): Promise<Map<string, number>> {
  const StartTime = dateOf(clock.wallMs());
  const rows = await allPages(
    (NextToken) =>
      send(
        "ec2",
        new DescribeSpotPriceHistoryCommand({
          ProductDescriptions: ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"],
          StartTime,
          MaxResults: 1_000,
          NextToken,
        }),
        { signal },
      ),
    ({ SpotPriceHistory }) => SpotPriceHistory,
  );
  const priced = rows
    .filter(({ SpotPrice }) => Number(SpotPrice) > 0)
    .sort((a, b) => Number(a.Timestamp ?? 0) - Number(b.Timestamp ?? 0));
  return new Map(priced.map((each) => [`${each.InstanceType} ${each.AvailabilityZone}`, Number(each.SpotPrice)]));
}
