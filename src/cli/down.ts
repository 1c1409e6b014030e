import { existsSync, rmSync } from "node:fs";
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { agree } from "./agree.ts";
import { type AwsFlags, withAwsPlaceFlags } from "./aws-flags.ts";
import { endCluster } from "./end-cluster.ts";
import { type CloudName, type ClusterPaths, cloudNames, clusterName, clusterPaths } from "./home.ts";
import { openLog } from "./log.ts";
import { columns, type Terminal, terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";
import { endServing, findServing } from "./serving.ts";

type Options = { cloud: CloudName; cluster?: string; data?: string } & AtAws;
type AtAws = { yes: boolean; keepVolumes: boolean } & AwsFlags;

const refused = "Nothing was ended.";

export const downCommand = (): Command =>
  withAwsPlaceFlags(new Command("down"))
    .description("End a cluster: its server, machines, load balancers, volumes, names and files. Says what first.")
    .addOption(new Option("--cloud <name>", "where the machines are").choices(cloudNames).default("local"))
    .option("--cluster <name>", "name of the cluster; by default the cloud's", clusterName)
    .option("--data <dir>", "where its objects are kept; by default in ~/.drover/clusters")
    .option("-y, --yes", "don't ask", false)
    .option("--keep-volumes", "leave the disks of PersistentVolumes, with their data (--cloud aws)", false)
    .action(down);

async function down(options: Options): Promise<void> {
  const io = terminal();
  const paths = clusterPaths(options.cluster ?? options.cloud, options.data);
  const serving = findServing(paths);
  if (serving && serving.cloud !== options.cloud) {
    throw new DroverError("USAGE", `The cluster ${paths.cluster} is served with --cloud ${serving.cloud}: say so.`);
  }
  if (serving) io.say(`drover serve (process ${serving.pid}) serves this cluster and is ended first.`);
  if (options.cloud === "aws") return downAws(options, paths, io);
  if (!serving && !existsSync(paths.folder) && !existsSync(paths.data)) {
    return io.say(`there is no cluster ${paths.cluster} on this computer`);
  }
  await agree(io, `End the cluster ${paths.cluster} with all its machines and files?`, options.yes, refused);
  for (const line of await endCluster(paths, systemClock)) io.say(line);
}

/** Says what the cluster has at AWS, asks, and ends it with the cluster's files. */
export async function downAws(options: AtAws, paths: ClusterPaths, io: Terminal): Promise<void> {
  const { keepVolumes, yes } = options;
  const { costLines, findBelongings, isNothing, rowsOf } = await import("./down-belongings.ts");
  const { endAtAws } = await import("./down-aws.ts");
  const log = openLog("warn");
  const cloud = await awsCloud({ paths, aws: options, clock: systemClock, log });
  try {
    const found = await findBelongings(cloud, paths.cluster);
    const shown = keepVolumes ? { ...found, volumes: [] } : found;
    if (isNothing(shown)) io.say(`nothing of the cluster ${paths.cluster} is at AWS`);
    else {
      for (const line of columns([["KIND", "ID", "WHAT", "FOR"], ...rowsOf(shown)])) io.out(line);
      for (const line of costLines(shown, keepVolumes)) io.out(line);
    }
    await agree(io, `End all of this and remove the files of the cluster ${paths.cluster}?`, yes, refused);
    // A server would make again what it finds missing.
    await endServing(paths, systemClock);
    await endAtAws(cloud, systemClock, keepVolumes, (line) => io.say(line));
    removeFiles(paths);
    io.say(`removed cluster ${paths.cluster}`);
  } finally {
    await cloud.close();
  }
}

/** The identity goes last: with it a crash in between leaves a cluster that can still be reached. */
function removeFiles({ data, folder, identity, serving, kubeconfig, log }: ClusterPaths): void {
  for (const path of [data, serving, kubeconfig, log, identity, folder]) rmSync(path, { recursive: true, force: true });
}
