import type { KubeObject } from "../api/object.ts";
import { systemClock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { AwsCloud } from "../clouds/aws/cloud.ts";
import type { AwsFlags } from "./aws-flags.ts";
import { type Belongings, findBelongings, rowsOf } from "./down-belongings.ts";
import { type ClusterPaths, clusterPaths } from "./home.ts";
import { connect } from "./kube.ts";
import { openLog } from "./log.ts";
import { columns, terminal } from "./print.ts";
import { awsCloud } from "./provider.ts";
import { findServing } from "./serving.ts";

/** What the cluster's server says of its machines: those that are Nodes with a Pod. */
type Claimed = { machines: ReadonlySet<string> };

/** Lists what carries the cluster's tag at AWS, with whether its server knows it, and ends the one that is named. */
export async function gcAtAws(cluster: string, aws: AwsFlags, end: string | undefined): Promise<void> {
  const io = terminal();
  const paths = clusterPaths(cluster);
  const log = openLog("warn");
  const cloud = await awsCloud({ paths, aws, clock: systemClock, log });
  try {
    if (end !== undefined) io.say(await endOne(cloud, await findBelongings(cloud, cluster), end));
    const claimed = await claimedBy(paths);
    const rows = rowsOf(await findBelongings(cloud, cluster)).map((row) => [...row, knownTo(claimed, row)]);
    for (const line of columns([["KIND", "ID", "WHAT", "FOR", "KNOWN"], ...rows])) io.out(line);
    if (!claimed) io.say(`Nobody serves the cluster ${cluster} on this computer, so it is not known what it needs.`);
  } finally {
    await cloud.close();
  }
}

function knownTo(claimed: Claimed | undefined, [kind = "", id = ""]: readonly string[]): string {
  if (kind !== "machine" || !claimed) return "";
  return claimed.machines.has(id) ? "yes" : "no: unclaimed";
}

/** Undefined: nobody serves the cluster here. */
async function claimedBy(paths: ClusterPaths): Promise<Claimed | undefined> {
  const serving = findServing(paths);
  if (!serving) return undefined;
  const api = connect(serving.kubeconfig);
  try {
    const { body } = await api.request("GET", "/api/v1/nodes");
    const { items = [] } = body as KubeObject & { items?: readonly KubeObject[] };
    return { machines: new Set(items.map(({ metadata }) => metadata.name)) };
  } finally {
    api.close();
  }
}

/** Ends one thing by the id that the list shows. Returns what was done, in words. @throws USAGE: there is none */
export async function endOne(
  cloud: Pick<AwsCloud, "machines" | "balancers" | "volumes">,
  { machines, balancers, volumes }: Belongings,
  wanted: string,
): Promise<string> {
  const machine = machines.find(({ id }) => id === wanted);
  if (machine) {
    await cloud.machines.terminate([machine.id]);
    return `machine ${wanted} ends`;
  }
  const balancer = balancers.find(({ id }) => id === wanted);
  if (balancer) {
    await cloud.balancers.remove(balancer.id);
    return `balancer ${wanted} ends; its security group follows within minutes (run gc again)`;
  }
  const volume = volumes.find(({ id, handle }) => handle === wanted || id === wanted);
  if (volume?.state === "available") {
    await cloud.volumes.remove(volume.id);
    return `volume ${wanted} is deleted with its data`;
  }
  if (volume)
    throw new DroverError("USAGE", `The volume ${wanted} is attached to ${volume.machineId}: end that first.`);
  throw new DroverError("USAGE", `The cluster has no machine, balancer or volume ${wanted} at AWS.`);
}
