import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../base/clock.ts";
import { mergeKubeconfigFile, writeKubeconfigFile } from "../server/kubeconfig.ts";
import { type AwsFlags, withAwsFlags } from "./aws-flags.ts";
import { openControlPlane } from "./control-plane.ts";
import { type CloudName, cloudNames, clusterName, clusterPaths } from "./home.ts";
import { openLog } from "./log.ts";
import { terminal } from "./print.ts";
import { forgetServing, writeServing } from "./serving.ts";

type Options = {
  cloud: CloudName;
  cluster?: string;
  data?: string;
  port: number;
  kubeconfig?: string;
  speed: number;
  cold: boolean;
  templates?: string;
  maxMachines: number;
  maxUsdPerHour?: number;
  balancer: "own" | "names";
  logLevel: string;
} & AwsFlags;

const number =
  (least: number, most: number, what: "number" | "whole number" = "number") =>
  (text: string) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    const isWhole = what === "number" || Number.isInteger(value);
    if (isWhole && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a ${what} from ${least} to ${most} is expected.`);
  };

export const serveCommand = (): Command =>
  withAwsFlags(new Command("serve"))
    .description("Serve the Kubernetes API and realise what it is given as machines, until SIGINT or SIGTERM.")
    .addOption(new Option("--cloud <name>", "where the machines are").choices(cloudNames).default("local"))
    .option("--cluster <name>", "name of the cluster; by default the cloud's", clusterName)
    .option("--data <dir>", "where objects are kept; by default in ~/.drover/clusters")
    .option("--port <number>", "port on 127.0.0.1, 0 for any free one", number(0, 65_535, "whole number"), 6_443)
    .option("--kubeconfig <file>", "write a kubeconfig of its own here instead of a context into ~/.kube/config")
    .option("--speed <factor>", "how fast simulated time passes (--cloud sim)", number(0.1, 10_000), 10)
    .option("--templates <dir>", "cloud-init templates of your own, which stand in for drover's of the same name")
    .option("--max-machines <number>", "machines that there may be at once", number(1, 100_000, "whole number"), 1_000)
    .option(
      "--max-usd-per-hour <number>",
      "what all machines may cost together; balancers and disks are not counted",
      number(0, 1_000_000),
    )
    .addOption(
      new Option("--balancer <what>", "of a Service of type ClusterIP that says nothing: its own, or only names")
        .choices(["own", "names"])
        .default("own"),
    )
    .option("--cold", "boot every machine instead of cloning a saved one (--cloud local)", false)
    .addOption(
      new Option("--log-level <level>", "how much is logged")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .action(serve);

async function serve(options: Options): Promise<void> {
  const io = terminal();
  const { cloud, cluster = cloud, port, speed, cold, maxMachines: machinesMax } = options;
  const paths = clusterPaths(cluster, options.data);
  const log = openLog(options.logLevel);
  const templates = options.templates === undefined ? {} : { templatesDir: resolve(options.templates) };
  const plane = await openControlPlane({
    ...{ paths, cloud, port, speed, cold, machinesMax, ...templates, aws: options },
    namesByDefault: options.balancer === "names",
    ...(options.maxUsdPerHour !== undefined && { usdPerHourMax: options.maxUsdPerHour }),
    clock: systemClock,
    log,
  });
  const name = cluster === cloud ? `drover-${cloud}` : `drover-${cluster}`;
  const access = { name, server: `https://127.0.0.1:${plane.port}`, identity: plane.identity };
  const kubeconfig = options.kubeconfig ?? firstKubeconfig();
  if (options.kubeconfig === undefined) await mergeKubeconfigFile(kubeconfig, access, systemClock);
  else await writeKubeconfigFile(kubeconfig, access);
  writeServing(paths, { port: plane.port, cloud, kubeconfig });
  io.out(
    `drover is ready at ${access.server} (cloud ${cloud}, cluster ${cluster}): kubectl --kubeconfig ${kubeconfig} --context ${name}`,
  );
  await endSignal();
  io.say("drover stops; its machines go on and serve. Start it again to adopt them.");
  forgetServing(paths);
  await plane.close();
}

/** The file that kubectl would write to. */
const firstKubeconfig = (): string => process.env["KUBECONFIG"]?.split(":")[0] || join(homedir(), ".kube", "config");

const endSignal = (): Promise<void> =>
  new Promise((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
