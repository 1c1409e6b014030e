import { Command, InvalidArgumentError, Option } from "commander";
import type { Pod, PodTemplateSpec } from "../api/types.gen.ts";
import { parseTimeMs, systemClock } from "../base/clock.ts";
import type { Demand, Finding } from "../clouds/aws/doctor.ts";
import { gpusOf, machineSize } from "../machines/sizing.ts";
import { type AwsFlags, withAwsFlags } from "./aws-flags.ts";
import { clusterName, clusterPaths } from "./home.ts";
import { openLog } from "./log.ts";
import { readManifests } from "./manifests.ts";
import { columns, terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";

type Options = {
  cloud: "aws";
  cluster: string;
  replicas?: number;
  cpu?: string;
  memory?: string;
  filename?: string[];
  output?: "json";
} & AwsFlags;

const count = (text: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a number from 1 on is expected.");
};

export const doctorCommand = (): Command =>
  withAwsFlags(new Command("doctor"))
    .description(
      "Look whether a cluster on AWS will work and say what to fix; changes nothing. Ends with 1 if something is to be fixed.",
    )
    .addOption(new Option("--cloud <name>", "where the machines are to be").choices(["aws"]).default("aws"))
    .option("--cluster <name>", "name of the cluster", clusterName, "aws")
    .option("--replicas <number>", "machines that are wanted, for the quotas", count)
    .option("--cpu <quantity>", "CPU that each requests; by default what a Pod gets that requests nothing")
    .option("--memory <quantity>", "memory that each requests; by default as for --cpu")
    .option("-f, --filename <files...>", "manifests whose Pods are wanted")
    .addOption(new Option("-o, --output <format>", "json: an array of findings").choices(["json"]))
    .action(doctor);

async function doctor(options: Options): Promise<void> {
  const io = terminal();
  const { cluster, domain, createZone, image, operatorCidr: operatorCidrs } = options;
  // What the cloud would warn of is a finding here.
  const log = openLog("error");
  const demands = demandsOf(options);
  const cloud = await awsCloud({ paths: clusterPaths(cluster), aws: options, clock: systemClock, log });
  try {
    const { examine } = await import("../clouds/aws/doctor.ts");
    const findings = await examine({
      ...{ cloud, clock: systemClock, cluster, region: cloud.region },
      ...{ domain, createZone, image, operatorCidrs, demands },
      reach: options.proxyCommand === undefined ? (options.reach ?? "public") : "command",
      awsTimeMs: () => awsTimeMs(cloud.region),
    });
    const all: Finding[] = [{ check: "node", state: "ok", text: process.version }, ...findings];
    if (options.output === "json") io.out(JSON.stringify(all, null, 2));
    else for (const line of columns(all.map(({ check, state, text }) => [`${state}:`, check, text]))) io.out(line);
    if (all.some(({ state }) => state === "fix")) process.exitCode = 1;
  } finally {
    await cloud.close();
  }
}

/** The machines that the options and the manifests ask for. @throws USAGE naming the file */
export function demandsOf({
  replicas,
  cpu,
  memory,
  filename = [],
}: Pick<Options, "replicas" | "cpu" | "memory" | "filename">): Demand[] {
  const requests = { ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) };
  const container = { name: "each", resources: { requests } };
  const asked =
    replicas === undefined ? [] : [demandOf("--replicas", replicas, { containers: [container] } as Pod["spec"])];
  return [...asked, ...filename.flatMap(demandsOfFile)];
}

function demandsOfFile(file: string): Demand[] {
  return readManifests(file).flatMap((object) => {
    const { replicas = 1, template } = (object.spec ?? {}) as { replicas?: number; template?: PodTemplateSpec };
    const spec = object.kind === "Pod" ? (object as Pod).spec : template?.spec;
    return spec === undefined ? [] : [demandOf(`${object.kind} ${object.metadata.name}`, replicas, spec)];
  });
}

function demandOf(name: string, machines: number, spec: Pod["spec"]): Demand {
  const { cpuMillis: cpu, memoryBytes } = machineSize(spec);
  return { name, machines, cpuMillis: cpu, memoryBytes, gpus: gpusOf(spec) };
}

const timeoutMs = 5_000;

/** Any answer of AWS carries its time; whoever sent it need not be logged in. */
async function awsTimeMs(region: string): Promise<number | undefined> {
  const url =
    process.env["AWS_ENDPOINT_URL_STS"] ?? process.env["AWS_ENDPOINT_URL"] ?? `https://sts.${region}.amazonaws.com/`;
  try {
    const { headers } = await fetch(url, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const at = parseTimeMs(headers.get("date") ?? "");
    return Number.isNaN(at) ? undefined : at;
  } catch {
    return undefined;
  }
}
