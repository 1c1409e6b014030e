import type { Random } from "../../base/random.ts";

/** A log-normal wait, given by its median and its 99th percentile in ms. */
export type Latency = { p50Ms: number; p99Ms: number };

/** The steps of a machine's life. Figures of `ec2Latencies` follow measurements of m7i.large with a baked image. */
export type Latencies = {
  launchCall: Latency;
  otherCall: Latency;
  /** From the answer of the launch until the machine is listed. */
  visible: Latency;
  pendingToRunning: Latency;
  /** From running until the agent answers. */
  agent: Latency;
  pull: Latency;
  containerStart: Latency;
  /** From registration until the balancer calls a target healthy. */
  targetHealthy: Latency;
  terminate: Latency;
};

export const ec2Latencies: Latencies = {
  launchCall: { p50Ms: 1_500, p99Ms: 5_000 },
  otherCall: { p50Ms: 120, p99Ms: 800 },
  visible: { p50Ms: 300, p99Ms: 10_000 },
  pendingToRunning: { p50Ms: 7_000, p99Ms: 45_000 },
  agent: { p50Ms: 6_000, p99Ms: 30_000 },
  pull: { p50Ms: 4_000, p99Ms: 30_000 },
  containerStart: { p50Ms: 1_500, p99Ms: 6_000 },
  targetHealthy: { p50Ms: 40_000, p99Ms: 180_000 },
  terminate: { p50Ms: 20_000, p99Ms: 90_000 },
};

/** 2.326 standard deviations lie between the median and the 99th percentile. */
export function drawMs(random: Random, { p50Ms, p99Ms }: Latency): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return p50Ms * Math.exp((normal * Math.log(p99Ms / p50Ms)) / 2.326);
}
