import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import { type AwsFlags, withAwsFlags } from "./aws-flags.ts";
import { startDetached } from "./daemon.ts";
import { agreeOnCost, awsImages, cleanUpAws, operatorFlags, rememberFlags, withImage } from "./demo-aws.ts";
import { onPort, publishablePort } from "./demo-port.ts";
import { type DemoPlan, runDemo } from "./demo-run.ts";
import { endCluster } from "./end-cluster.ts";
import { type CloudName, type ClusterPaths, cloudNames, clusterPaths } from "./home.ts";
import { connect } from "./kube.ts";
import { readManifests } from "./manifests.ts";
import { prepareLocal } from "./prepare-local.ts";
import { type Terminal, terminal } from "./print.ts";

type Options = { cloud: CloudName; cleanup: boolean; yes: boolean; speed: string } & AwsFlags;

/** The demonstration's clusters, so that it never touches one of the user's own. */
const clusterOf = (cloud: CloudName): string => (cloud === "local" ? "demo" : `demo-${cloud}`);

/** What `npm start` runs: set-up, real manifests on real machines, a rolling update under load, a report. */
export const demoCommand = (): Command =>
  withAwsFlags(new Command("demo"))
    .description(
      "Set everything up, run manifests/web.yaml on machines and roll it under load (what `npm start` does).",
    )
    .addOption(new Option("--cloud <name>", "where the machines are").choices(cloudNames).default("local"))
    .option("--cleanup", "end the demonstration's clusters and everything they started", false)
    .option("-y, --yes", "agree to the installation of system packages, or to what AWS costs", false)
    .option("--speed <factor>", "how fast simulated time passes", "60")
    .action((options: Options) => (options.cleanup ? cleanUp(terminal()) : demonstrate(options, terminal())));

async function demonstrate(options: Options, io: Terminal): Promise<void> {
  const { cloud, yes } = options;
  const paths = clusterPaths(clusterOf(cloud));
  const manifest = fileURLToPath(new URL("../../manifests/web.yaml", import.meta.url));
  const { plan, flags } = await (cloud === "aws"
    ? planAtAws(options, paths, manifest, io)
    : planHere(options, manifest));
  if (cloud === "local") await prepareLocal(io, yes);
  io.say(io.strong(`Starting drover (cloud ${cloud})`));
  const serving = await startDetached(paths, cloud, flags, systemClock);
  const api = connect(serving.kubeconfig);
  const report = await runDemo({ api, io, clock: systemClock, ...plan });
  api.close();
  io.say("");
  io.say(`The cluster goes on. Use it:  kubectl --kubeconfig ${serving.kubeconfig} get pods,services,nodes`);
  io.say("Stop it and remove everything:  npm start -- --cleanup");
  io.out(JSON.stringify(report));
  if (report.lost > 0) throw new DroverError("CLOUD_UNAVAILABLE", `${report.lost} requests were lost`);
}

type Prepared = {
  plan: DemoPlan;
  /** For `drover serve`. */
  flags: readonly string[];
};

async function planHere({ cloud, speed }: Options, manifest: string): Promise<Prepared> {
  const port = await publishablePort();
  const plan = { objects: onPort(readManifests(manifest), port), port, next: "web:2", slow: true, stepMinutes: 10 };
  return { plan, flags: cloud === "sim" ? ["--speed", speed] : [] };
}

async function planAtAws(aws: Options, paths: ClusterPaths, manifest: string, io: Terminal): Promise<Prepared> {
  const objects = withImage(readManifests(manifest), awsImages.first);
  await agreeOnCost(io, { paths, aws, objects, yes: aws.yes });
  const flags = [...givenFlags(), ...(await operatorFlags(aws, io))];
  rememberFlags(paths, flags);
  // A target takes AWS minutes to call healthy, and two Pods are replaced one after the other.
  return { plan: { objects, port: 80, next: awsImages.next, slow: false, stepMinutes: 30 }, flags };
}

/** What the demonstration's own command line says of AWS, the server is told as well. */
function givenFlags(): string[] {
  const given = process.argv.slice(process.argv.indexOf("demo") + 1);
  return given.filter((word, index) => {
    if (["--yes", "-y", "--cleanup", "--cloud"].includes(word) || word.startsWith("--cloud=")) return false;
    return given[index - 1] !== "--cloud";
  });
}

async function cleanUp(io: Terminal): Promise<void> {
  for (const cloud of cloudNames) {
    const paths = clusterPaths(clusterOf(cloud));
    if (!existsSync(paths.folder)) continue;
    if (cloud === "aws") await cleanUpAws(paths, givenFlags(), io);
    else for (const line of await endCluster(paths, systemClock)) io.say(line);
  }
  io.say("nothing of the demonstration is left running");
}
