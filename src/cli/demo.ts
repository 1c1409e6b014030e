import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { startDetached } from "./daemon.ts";
import { runDemo } from "./demo-run.ts";
import { endCluster } from "./end-cluster.ts";
import { type CloudName, cloudNames, clusterPaths } from "./home.ts";
import { connect } from "./kube.ts";
import { prepareLocal } from "./prepare-local.ts";
import { type Terminal, terminal } from "./print.ts";

type Options = { cloud: CloudName; cleanup: boolean; yes: boolean; speed: string };

/** The demonstration's clusters, so that it never touches one of the user's own. */
const clusterOf = (cloud: CloudName): string => (cloud === "local" ? "demo" : `demo-${cloud}`);

/** What `npm start` runs: set-up, real manifests on real machines, a rolling update under load, a report. */
export const demoCommand = (): Command =>
  new Command("demo")
    .description(
      "Set everything up, run manifests/web.yaml on machines and roll it under load (what `npm start` does).",
    )
    .addOption(new Option("--cloud <name>", "where the machines are").choices(cloudNames).default("local"))
    .option("--cleanup", "end the demonstration's clusters and everything they started", false)
    .option("-y, --yes", "agree to the installation of system packages", false)
    .option("--speed <factor>", "how fast simulated time passes", "60")
    .action((options: Options) => (options.cleanup ? cleanUp(terminal()) : demonstrate(options, terminal())));

async function demonstrate({ cloud, yes, speed }: Options, io: Terminal): Promise<void> {
  const paths = clusterPaths(clusterOf(cloud));
  if (cloud === "local") await prepareLocal(io, yes);
  io.say(io.strong(`Starting drover (cloud ${cloud})`));
  const serving = await startDetached(paths, cloud, cloud === "sim" ? ["--speed", speed] : [], systemClock);
  const api = connect(serving.kubeconfig);
  const manifest = fileURLToPath(new URL("../../manifests/web.yaml", import.meta.url));
  const report = await runDemo({ api, manifest, io, clock: systemClock });
  api.close();
  io.say("");
  io.say(`The cluster goes on. Use it:  kubectl --kubeconfig ${serving.kubeconfig} get pods,services,nodes`);
  io.say("Stop it and remove everything:  npm start -- --cleanup");
  io.out(JSON.stringify(report));
  if (report.lost > 0) throw new DroverError("CLOUD_UNAVAILABLE", `${report.lost} requests were lost`);
}

async function cleanUp(io: Terminal): Promise<void> {
  for (const cloud of cloudNames) {
    const paths = clusterPaths(clusterOf(cloud));
    if (!existsSync(paths.folder)) continue;
    for (const line of await endCluster(paths, systemClock)) io.say(line);
  }
  io.say("nothing of the demonstration is left running");
}
