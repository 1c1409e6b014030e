import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { type AwsFlags, withAwsPlaceFlags } from "./aws-flags.ts";
import { endCluster } from "./end-cluster.ts";
import { clusterName, clusterPaths, homeFolder } from "./home.ts";
import { columns, terminal } from "./print.ts";
import { findServing } from "./serving.ts";

type Options = { cloud?: "aws"; cluster: string; end?: string; all?: true } & AwsFlags;

/** Lists what drover has made on this computer, and ends what the user names. */
export const gcCommand = (): Command =>
  withAwsPlaceFlags(new Command("gc"))
    .description(
      "List the clusters on this computer and what of them still runs; --end ends one with everything in it, --all every one. With --cloud aws: list what a cluster has at AWS; --end ends one machine, balancer or volume.",
    )
    .addOption(new Option("--cloud <name>", "look at AWS instead of this computer").choices(["aws"]))
    .option("--cluster <name>", "the cluster to look for (--cloud aws)", clusterName, "aws")
    .option("--end <name>", "end this cluster: its server, machines, balancers, network and files")
    .option("--all", "end every cluster of this computer so")
    .action(async ({ cloud, cluster, end, all, ...aws }: Options) => {
      const io = terminal();
      if (cloud === "aws") {
        const { gcAtAws } = await import("./down-gc.ts");
        return gcAtAws(cluster, aws, end);
      }
      const ending = all ? clusters() : end === undefined ? [] : [end];
      for (const name of ending) for (const line of await endCluster(clusterPaths(name), systemClock)) io.say(line);
      for (const line of columns([["CLUSTER", "SERVED BY"], ...clusters().map(describe)])) io.out(line);
    });

function clusters(): string[] {
  const folder = join(homeFolder(), "clusters");
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function describe(cluster: string): string[] {
  const serving = findServing(clusterPaths(cluster));
  return [cluster, serving === undefined ? "nobody" : `process ${serving.pid}, port ${serving.port}`];
}
