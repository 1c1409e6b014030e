import type { Random } from "../../../base/random.ts";
import { drawMs, type Latency } from "../latency.ts";

/** The steps that take time at AWS; log-normal through p50 and p99, in ms. */
export type AwsLatencies = {
  /** Calls by action; `default` for all others. */
  calls: Readonly<Record<string, Latency>> & { default: Latency };
  /** More for each instance of a RunInstances. */
  perInstanceMs: number;
  /** From the answer until others see what was made. */
  instanceVisible: Latency;
  otherVisible: Latency;
  /** A mixture: `share` of the instances takes the first way, the others the second. */
  pendingToRunning: readonly { share: number; latency: Latency }[];
  /** From running until cloud-init has begun and the console shows the host keys. */
  cloudInit: Latency;
  /** From there until the machine takes its Pod. */
  agent: Latency;
  shuttingDown: Latency;
  volumeCreate: Latency;
  volumeAttach: Latency;
  volumeDetach: Latency;
  networkBalancerActive: Latency;
  applicationBalancerActive: Latency;
  networkTargetHealthy: Latency;
  applicationTargetHealthy: Latency;
  /** From deregistering until no new connection comes. */
  deregister: Latency;
  /** How long network interfaces of a deleted load balancer hold their security groups. */
  interfacesLinger: Latency;
  /** While a zone's change is being taken in, no other one is. */
  changeTaken: Latency;
  changeInSync: Latency;
};

const of = (p50Ms: number, p99Ms: number): Latency => ({ p50Ms, p99Ms });

/** §3 of the AWS facts. */
export const ec2Latencies: AwsLatencies = {
  calls: { default: of(250, 1_000), RunInstances: of(1_500, 5_000), TerminateInstances: of(1_000, 5_000) },
  perInstanceMs: 20,
  instanceVisible: of(300, 10_000),
  otherVisible: of(300, 5_000),
  pendingToRunning: [
    { share: 0.7, latency: of(7_000, 20_000) },
    { share: 0.3, latency: of(17_000, 45_000) },
  ],
  cloudInit: of(6_000, 30_000),
  agent: of(8_000, 30_000),
  shuttingDown: of(35_000, 180_000),
  volumeCreate: of(2_000, 10_000),
  volumeAttach: of(3_000, 15_000),
  volumeDetach: of(6_000, 60_000),
  networkBalancerActive: of(120_000, 300_000),
  applicationBalancerActive: of(130_000, 300_000),
  networkTargetHealthy: of(45_000, 200_000),
  applicationTargetHealthy: of(20_000, 60_000),
  deregister: of(15_000, 90_000),
  interfacesLinger: of(60_000, 240_000),
  changeTaken: of(300, 2_000),
  changeInSync: of(20_000, 60_000),
};

const none = of(0, 0);

/** Everything is done at once: for tests of what is asked rather than of how long it takes. */
export const noLatencies: AwsLatencies = {
  calls: { default: none },
  perInstanceMs: 0,
  instanceVisible: none,
  otherVisible: none,
  pendingToRunning: [{ share: 1, latency: none }],
  cloudInit: none,
  agent: none,
  shuttingDown: none,
  volumeCreate: none,
  volumeAttach: none,
  volumeDetach: none,
  networkBalancerActive: none,
  applicationBalancerActive: none,
  networkTargetHealthy: none,
  applicationTargetHealthy: none,
  deregister: none,
  interfacesLinger: none,
  changeTaken: none,
  changeInSync: none,
};

export const draw = (random: Random, latency: Latency): number => (latency.p50Ms === 0 ? 0 : drawMs(random, latency));

export function drawMixture(random: Random, ways: AwsLatencies["pendingToRunning"]): number {
  let chosen = random.next();
  for (const { share, latency } of ways) {
    if (chosen < share) return draw(random, latency);
    chosen -= share;
  }
  return draw(random, ways.at(-1)?.latency ?? none);
}
