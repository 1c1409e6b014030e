import { join } from "node:path";
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { type AwsFlags, withAwsPlaceFlags } from "./aws-flags.ts";
import { clusterPaths } from "./home.ts";
import { openLog } from "./log.ts";
import { columns, terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";

/** Shows the prices that machines are chosen by; `--refresh` asks AWS for today's. */
export const pricesCommand = (): Command =>
  withAwsPlaceFlags(new Command("prices"))
    .description("Say which prices machines on AWS are chosen by; --refresh asks AWS for today's of the region.")
    .option("--refresh", "ask the Pricing API (some fifteen calls) and keep the answer", false)
    .action(prices);

async function prices({ refresh, ...aws }: AwsFlags & { refresh: boolean }): Promise<void> {
  const io = terminal();
  const paths = clusterPaths("aws");
  const log = openLog("warn");
  const cloud = await awsCloud({ paths, aws, clock: systemClock, log });
  try {
    const { keptPrices } = await import("../clouds/aws/offers.ts");
    const { refreshPrices, shippedPrices } = await import("../clouds/aws/prices.ts");
    const kept = keptPrices(join(paths.home, "aws"), cloud.region);
    if (refresh) await kept.write(await refreshPrices(cloud.send, cloud.region, systemClock));
    const { region, date, source, onDemand } = (await kept.read()) ?? shippedPrices;
    const types = Object.values(onDemand).reduce((sum, sizes) => sum + Object.keys(sizes).length, 0);
    for (const line of columns([
      ["REGION", "DATE", "TYPES", "SOURCE"],
      [region, date, String(types), source],
    ]))
      io.out(line);
    if (refresh) io.say("A running drover serve goes by them from its next start on.");
  } finally {
    await cloud.close();
  }
}
