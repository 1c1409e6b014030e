import type { Binding, BoundContainer } from "../../../src/clouds/box.ts";
import type { Launch } from "../../../src/clouds/cloud.ts";
import { container } from "../../machines/agent-kit.ts";

/** A launch of small machines, one for each slot. */
export const launchOf = (id: string, slots: readonly string[], more: Partial<Launch> = {}): Launch => ({
  id,
  cluster: "test",
  template: {
    hash: "0123456789abcdef",
    image: "debian-12",
    userData: "#cloud-config\n",
    architecture: "amd64",
    cpuMillis: 500,
    memoryBytes: 2 ** 29,
    diskBytes: 2 ** 33,
    prefetch: [],
  },
  placement: { type: "sim.small", zone: "sim-a", capacityType: "on-demand" },
  slots,
  owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
  names: slots,
  ...more,
});

/** What a machine is told of a Pod with one container. */
export const bindingOf = (uid: string, fields: Partial<BoundContainer> = {}): Binding => ({
  version: 1,
  uid,
  namespace: "default",
  name: `pod-${uid}`,
  hostname: `pod-${uid}`,
  nameservers: [],
  searchDomains: [],
  hostAliases: [],
  restartPolicy: "Always",
  graceSeconds: 30,
  activeDeadlineSeconds: 0,
  volumes: [],
  initContainers: [],
  containers: [container("web", undefined, { image: "web:1", env: [["GREETING", "hello"]], ...fields })],
});
