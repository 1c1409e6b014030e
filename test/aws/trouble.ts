import type { CallFault, Service } from "../../src/clouds/sim/aws/calls.ts";
import type { Instance } from "../../src/clouds/sim/aws/instances.ts";
import { type AwsCluster, type AwsClusterOptions, openAwsCluster } from "./cluster.ts";
import { deploy, isDone, readyPods } from "./web.ts";

/** What people see of trouble at AWS, and what drover may have made of it. */

/** `Kind Reason: message` of every Event that warns, each once. */
export const warned = ({ view }: AwsCluster): string[] => [
  ...new Set(
    view
      .list("events")
      .filter(({ type }) => type === "Warning")
      .map(({ involvedObject, reason, message }) => `${involvedObject.kind} ${reason}: ${message}`),
  ),
];

/** What the Pods say of why they have no machine. */
export const unscheduled = (cluster: AwsCluster): string[] => [
  ...new Set(
    cluster
      .pods()
      .flatMap(({ status }) =>
        (status?.conditions ?? []).flatMap(({ type, status: is, message }) =>
          type === "PodScheduled" && is === "False" ? (message ?? "") : [],
        ),
      ),
  ),
];

/** A Deployment of `replicas` that serves behind a load balancer, and whatever goes on is counted from then on. */
export async function serving(
  replicas: number,
  options: AwsClusterOptions = {},
  prepare: (cluster: AwsCluster) => void = () => {},
) {
  const cluster = await openAwsCluster(options);
  prepare(cluster);
  await deploy(cluster, replicas);
  cluster.world.calls.clear();
  const before = [...cluster.world.instances.values()];
  let least = replicas;
  /** Lets time pass and looks every second. */
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await cluster.clock.advance(1_000);
      least = Math.min(least, readyPods(cluster).length);
    }
  };
  return {
    cluster,
    before,
    pass,
    /** The fewest Pods that were ready. */
    least: () => least,
    /** Ends after `untilDone` seconds of real trouble at most: how long it took. */
    async finish(limitSeconds: number): Promise<number> {
      const startMs = cluster.clock.monotonicMs();
      while (!isDone(cluster, replicas)) {
        if (cluster.clock.monotonicMs() - startMs > limitSeconds * 1_000)
          throw new Error(`the rollout is not done ${limitSeconds} s after the trouble: ${warned(cluster).join("\n")}`);
        await pass(1);
      }
      return (cluster.clock.monotonicMs() - startMs) / 1_000;
    },
    callsOf: (action: string): number => cluster.world.calls.get(action) ?? 0,
    /** Instances that were launched since. */
    launched: (): Instance[] => [...cluster.world.instances.values()].filter((each) => !before.includes(each)),
  };
}

export const ended = (instances: readonly Instance[], { clock }: AwsCluster): Instance[] =>
  instances.filter(({ shuttingDownAtMs }) => shuttingDownAtMs <= clock.monotonicMs());

/** All of a service's actions, or one of them, fail for so long. */
export function outage(
  { world, clock }: AwsCluster,
  service: Service,
  action: string,
  fault: CallFault,
  seconds: number,
): void {
  const fromMs = clock.monotonicMs();
  world.conditions.outages.push({ service, action, fault, fromMs, untilMs: fromMs + seconds * 1_000 });
}
