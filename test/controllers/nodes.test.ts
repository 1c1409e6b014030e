import { expect, test } from "vitest";
import type { Node, Pod } from "../../src/api/types.gen.ts";
import type { Launch, Machine } from "../../src/clouds/cloud.ts";
import { type NodeWorld, planNode } from "../../src/controllers/nodes.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const machine: Machine = {
  id: "i-1",
  launchId: "l",
  slot: 0,
  state: "running",
  type: "t3.small",
  zone: "a",
  address: "10.0.0.1",
};
const launch: Launch = {
  id: "l",
  cluster: "test",
  placement: { type: "t3.small", zone: "a", capacityType: "spot", labels: { "topology.kubernetes.io/region": "r" } },
  slots: ["u"],
  owner: { namespace: "default", kind: "ReplicaSet", name: "web" },
  names: ["web-1"],
  template: {
    hash: "",
    image: "",
    userData: "",
    architecture: "arm64",
    cpuMillis: 1_500,
    memoryBytes: 2 ** 30,
    diskBytes: 0,
    gpus: 1,
    prefetch: [],
  },
};
const pod = (more: Partial<Pod["metadata"]> = {}, nodeName?: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "default", uid: "u", ...more },
  spec: { containers: [], ...(nodeName !== undefined && { nodeName }) },
});
const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "i-1", uid: "n", resourceVersion: "1" },
  spec: {},
};
const world = (more: Partial<NodeWorld>): NodeWorld => ({
  machineId: "i-1",
  pod: pod(),
  machine,
  gone: false,
  launch,
  reachable: true,
  ...more,
});

test.for<[string, Partial<NodeWorld>, string]>([
  ["made when the machine runs", {}, "create"],
  ["not made before", { machine: { ...machine, state: "pending" } }, ""],
  ["kept up to date", { node }, "write i-1"],
  ["gone with the machine", { node, gone: true }, "delete i-1"],
  ["gone with the Pod", { node, pod: undefined }, "delete i-1"],
  ["not made again when somebody has deleted it: its Pod goes", { pod: pod({}, "i-1") }, "delete p"],
  ["no concern of a Pod that goes already", { pod: pod({ deletionTimestamp: "t" }, "i-1") }, ""],
])("a Node is %s", ([_name, more, want]) => {
  const told = planNode(world(more), nowMs).actions.map((action) =>
    action.do === "write" || action.do === "delete" ? `${action.do} ${action.key.name}` : action.do,
  );
  expect(told.join()).toBe(want);
});

test("a Node whose machine runs is tainted no longer, but for what others say of it", () => {
  const mine = { key: "dedicated", value: "db", effect: "NoSchedule" };
  const taints = [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }, mine];
  const tainted = { ...node, spec: { taints } };
  const [write] = planNode(world({ node: tainted }), nowMs).actions;
  expect(write?.do === "write" && write.next["spec"]).toEqual({ taints: [mine] });
  const [status] = planNode(world({ node: tainted, machine: { ...machine, state: "pending" } }), nowMs).actions;
  expect(status?.do === "write" && status.subresource).toBe("status");
});

test("a Node says what its machine is", () => {
  const [create] = planNode(world({}), nowMs).actions;
  expect(create?.do === "create" && create.object).toMatchObject({
    metadata: {
      name: "i-1",
      labels: {
        "kubernetes.io/arch": "arm64",
        "node.kubernetes.io/instance-type": "t3.small",
        "topology.kubernetes.io/zone": "a",
        "karpenter.sh/capacity-type": "spot",
        "topology.kubernetes.io/region": "r",
      },
    },
    status: {
      capacity: { cpu: "1500m", memory: "1073741824", "nvidia.com/gpu": "1", pods: "1" },
      addresses: [{ type: "InternalIP", address: "10.0.0.1" }, { type: "Hostname" }],
      conditions: [{ type: "Ready", status: "True", reason: "MachineRunning" }],
    },
  });
});
