import type { BalancerSpec, Target } from "../../src/clouds/balancer.ts";

/** A balancer as a Service's is: every target serves every port. */
export const networkSpec = (given: {
  id: string;
  targets: readonly Target[];
  ports?: readonly number[];
  clusterAddress?: string;
  scheme?: BalancerSpec["scheme"];
  sourceRanges?: readonly string[];
}): BalancerSpec => {
  const { id, targets, ports = [80], clusterAddress, scheme = "internet-facing", sourceRanges = [] } = given;
  return {
    id,
    cluster: "test",
    kind: "network",
    name: `default/${id}`,
    scheme,
    ...(clusterAddress !== undefined && { clusterAddress }),
    listeners: ports.map((port) => ({ port, protocol: "TCP", forward: [{ groupId: `${port}-TCP`, weight: 1 }] })),
    groups: ports.map((port) => ({ id: `${port}-TCP`, protocol: "TCP", targets, drainSeconds: 30 })),
    sourceRanges,
    annotations: {},
  };
};
