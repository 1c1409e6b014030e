import { seededRandom } from "../../src/base/random.ts";
import { balancerTag } from "../../src/clouds/aws/balancer-tags.ts";
import { claimOf, clusterTag } from "../../src/clouds/aws/tags.ts";
import { drawnCallFaults } from "../../src/clouds/sim/aws/faults.ts";
import { type AwsLatencies, ec2Latencies } from "../../src/clouds/sim/aws/latencies.ts";
import { receivingAt } from "../../src/clouds/sim/aws/target-health.ts";
import type { Volume } from "../../src/clouds/sim/aws/volumes.ts";
import type { AwsWorld } from "../../src/clouds/sim/aws/world.ts";
import type { Latency } from "../../src/clouds/sim/latency.ts";
import { passing } from "../contract/passing.ts";
import { type AwsCluster, openAwsCluster } from "./cluster.ts";
import { apply, isDone, living, readyPods, remove } from "./web.ts";

export type CrashPoint = {
  seed: number;
  /** Number of the cloud call of the rollout at which drover dies, from 0 on. */
  call: number;
  /** Which calls are counted. Default: all of them. */
  counts?: (action: string) => boolean;
  moment: "before" | "after";
  /** What the next process starts with. */
  store: "kept" | "lost";
  /** What is rolled. Default: two machines behind a load balancer. */
  workload?: Workload;
};

/** What people have made, and roll out. */
export type Workload = {
  replicas: number;
  /** Makes what is missing, with this image; `web:2` is the rollout. */
  apply(cluster: AwsCluster, image: string): Promise<void>;
  remove(cluster: AwsCluster): Promise<void>;
  /** Its machines serve by turns: somebody always gets connections. */
  alwaysServes: boolean;
  /** What they do while they wait for the rollout: machines that they end by hand. */
  waiting?(cluster: AwsCluster): readonly string[];
  /** What is wrong with it once the rollout is done. */
  problems(cluster: AwsCluster): string[];
};

/** What came of it. `calls`: how many cloud calls the rollout took until it was done or drover died. */
export type CrashOutcome = { problems: string[]; calls: number; action: string };

/** Everything a tenth as slow as at AWS: the order of things is the same, the run shorter. */
function faster(latencies: AwsLatencies, factor: number): AwsLatencies {
  const of = ({ p50Ms, p99Ms }: Latency): Latency => ({ p50Ms: p50Ms / factor, p99Ms: p99Ms / factor });
  const entries = Object.entries(latencies).map(([name, value]) => {
    if (name === "calls")
      return [name, Object.fromEntries(Object.entries(latencies.calls).map(([action, each]) => [action, of(each)]))];
    if (name === "pendingToRunning")
      return [name, latencies.pendingToRunning.map(({ share, latency }) => ({ share, latency: of(latency) }))];
    return [name, typeof value === "number" ? value / factor : of(value as Latency)];
  });
  return Object.fromEntries(entries) as AwsLatencies;
}

const port = 8_080;

const web: Workload = {
  replicas: 2,
  apply: (cluster, image) => apply(cluster, 2, image),
  remove,
  alwaysServes: true,
  problems: () => [],
};

/** A rollout during which drover dies at one call; the next process is given the same manifests and has to end it. */
export async function crash({
  seed,
  call,
  moment,
  store,
  counts = () => true,
  workload = web,
}: CrashPoint): Promise<CrashOutcome> {
  const random = seededRandom(seed * 7_919 + call);
  const active = { faults: false };
  const faults = drawnCallFaults(random, { "lost-reply": 0.05, "lost-request": 0.02 }, () => active.faults);
  const cluster = await openAwsCluster({ seed, faults, latencies: faster(ec2Latencies, 10) });
  const problems: string[] = [];
  const isRolled = () => isDone(cluster, workload.replicas);
  try {
    await workload.apply(cluster, "web:1");
    await cluster.until("all serve", () => readyPods(cluster).length === workload.replicas);
    active.faults = true;
    let calls = 0;
    let action = "";
    cluster.dieBy((name) => {
      if (!counts(name) || calls++ !== call) return undefined;
      action = name;
      return moment;
    });
    await workload.apply(cluster, "web:2");
    await cluster.until("the end of the rollout or of drover", () => cluster.isDead() || isRolled());
    const serving = servingNow(cluster);
    const byHand = new Set<string>();
    await cluster.restart(store === "kept");
    await workload.apply(cluster, "web:2");
    await cluster.until("the rollout is done", () => {
      const receiving = receivingAt(cluster.world, cluster.clock.monotonicMs()).length;
      for (const id of workload.waiting?.(cluster) ?? []) byHand.add(id);
      if (workload.alwaysServes && serving.length > 0 && receiving === 0)
        problems.push("nobody gets connections any more");
      return isRolled();
    });
    active.faults = false;
    if (cluster.world.loadBalancers.size !== 1) problems.push("there is more than one load balancer");
    problems.push(...duplicates(cluster), ...workload.problems(cluster));
    if (store === "lost") problems.push(...ended(cluster, serving, byHand), ...unclaimed(cluster, serving));
    else problems.push(...(await leaks(cluster, workload)));
    return { problems, calls, action };
  } catch (error) {
    return { problems: [...problems, String(error)], calls: -1, action: "" };
  } finally {
    await cluster.close();
  }
}

/** Instances by the Pod that they were launched for. */
function byPod({ world }: AwsCluster): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, tags, launchIndex } of world.instances.values()) {
    const uid = claimOf(Object.fromEntries(tags), launchIndex)?.podUid;
    if (uid) found.set(uid, [...(found.get(uid) ?? []), id]);
  }
  return found;
}

/** Pods that ever got more than one instance. */
export const duplicates = (cluster: AwsCluster): string[] =>
  [...byPod(cluster)].flatMap(([uid, ids]) => (ids.length > 1 ? [`Pod ${uid} got the instances ${ids.join()}`] : []));

/** Instances that serve now. */
const servingNow = (cluster: AwsCluster): string[] =>
  living(cluster)
    .filter((instance) => instance.shuttingDownAtMs > cluster.clock.monotonicMs())
    .filter((instance) => cluster.world.bodies.serving(instance, port).serves)
    .map(({ id }) => id);

/** Without its store drover ends nothing that serves: the next revision's machines are claimed, all others left alone. */
function ended({ world, clock }: AwsCluster, serving: readonly string[], byHand: ReadonlySet<string>): string[] {
  const nowMs = clock.monotonicMs();
  return serving.flatMap((id) => {
    const instance = world.instances.get(id);
    return instance && instance.shuttingDownAtMs <= nowMs && !byHand.has(id)
      ? [`instance ${id} served and was ended`]
      : [];
  });
}

/** What served as it is applied again has its Pod again: none was launched in its place. */
function unclaimed({ world, ...cluster }: AwsCluster, serving: readonly string[]): string[] {
  const nodes = new Set(cluster.pods().map(({ spec }) => spec.nodeName));
  const owners = new Set(cluster.pods().map(({ metadata }) => metadata.ownerReferences?.[0]?.name));
  return serving.flatMap((id) => {
    const { tags = new Map(), launchIndex = 0 } = world.instances.get(id) ?? {};
    const owner = claimOf(Object.fromEntries(tags), launchIndex)?.owner.name;
    return owners.has(owner) && !nodes.has(id) ? [`instance ${id} served ${owner} and was not claimed`] : [];
  });
}

/** With its store drover leaves nothing behind once everything is deleted; what is kept for the next launch goes at last. */
async function leaks(cluster: AwsCluster, workload: Workload): Promise<string[]> {
  const { clock, cloud } = cluster;
  await workload.remove(cluster);
  const limitMs = clock.monotonicMs() + 900_000;
  while (clock.monotonicMs() < limitMs && leftOver(cluster).length > 0) await clock.advance(1_000);
  const left = leftOver(cluster);
  await passing(cloud, clock).removeRest();
  return [...left, ...kept(cluster)];
}

const isOurs = ({ tags }: { tags: ReadonlyMap<string, string> }): boolean => tags.has(clusterTag);

/** A root disk goes with its instance. */
function isGone({ instances, nowMs }: AwsWorld, { attachment, goneAtMs }: Volume): boolean {
  const instance = instances.get(attachment?.instanceId ?? "");
  return (
    nowMs() >= goneAtMs || (attachment?.deleteOnTermination === true && nowMs() >= (instance?.terminatedAtMs ?? 0))
  );
}

/** What serves nobody and goes on. */
function leftOver(cluster: AwsCluster): string[] {
  const { world } = cluster;
  const volumes = [...world.volumes.values()].filter((volume) => isOurs(volume) && !isGone(world, volume));
  return [
    ...living(cluster).map(({ id }) => `instance ${id} is left over`),
    ...[...world.loadBalancers.values()].filter(isOurs).map(({ name }) => `load balancer ${name} is left over`),
    ...[...world.targetGroups.values()].filter(isOurs).map(({ name }) => `target group ${name} is left over`),
    ...volumes.map(({ id }) => `volume ${id} is left over`),
    // A balancer's own group goes with the last of its network interfaces.
    ...groupsOf(world, (tags) => tags.has(balancerTag)),
  ];
}

const groupsOf = ({ securityGroups }: AwsWorld, isMeant: (tags: ReadonlyMap<string, string>) => boolean): string[] =>
  [...securityGroups.values()]
    .filter((group) => isOurs(group) && isMeant(group.tags))
    .map(({ name }) => `security group ${name} is left over`);

/** What drover keeps for the next launch, and has to know to be able to remove it. */
function kept({ world }: AwsCluster): string[] {
  return [
    ...groupsOf(world, () => true),
    ...[...world.launchTemplates.values()].filter(isOurs).map(({ name }) => `launch template ${name} is left over`),
  ];
}
