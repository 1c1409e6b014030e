import type { KubeObject } from "../api/object.ts";
import type { Node, NodeCondition, Pod } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Launch, Machine } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import { offerLabels } from "./offer-labels.ts";
import { isFinished, isSame, keyOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import type { Roster } from "./roster.ts";

export type NodeWorld = {
  machineId: string;
  node?: Node | undefined;
  pod?: Pod | undefined;
  machine?: Machine | undefined;
  /** Positively ended, or known to no launch record. */
  gone: boolean;
  launch?: Launch | undefined;
  reachable: boolean;
};

const source = "node-controller";
/** Nodes that stand for machines; all others are none of ours. */
const machineLabel = "drover.dev/machine";

/** A Node has it from its creation on, until somebody has seen that it is ready. */
const notReadyTaint = "node.kubernetes.io/not-ready";

export type NodeOptions = { view: View; roster: Roster; poll: Pick<Poll, "sight">; boxes: Pick<Boxes, "contact"> };

/** Machines as Nodes: made when a machine runs, gone with it; one that a user deletes takes its Pod along. */
export const nodeReconciler = ({ view, roster, poll, boxes }: NodeOptions): Reconciler<NodeWorld> => ({
  name: "nodes",
  watches: {
    nodes: (object) => [keyOf("nodes", object)],
    "launches.drover.dev": (object) => {
      const { machines = [] } = view.get("launches.drover.dev", "", object.metadata.name)?.status ?? {};
      return machines.map(({ id }) => ({ resource: "nodes", namespace: "", name: id }));
    },
    pods: (object) => {
      const machine = roster.seatOf(object.metadata.uid ?? "")?.machine;
      return machine ? [{ resource: "nodes", namespace: "", name: machine.id }] : [];
    },
  },
  observe({ name }) {
    const node = view.get("nodes", "", name);
    const uid = roster.podUidOf(name);
    if (uid === undefined) {
      const isOurs = node?.metadata.labels?.[machineLabel] !== undefined;
      return isOurs ? { machineId: name, node, gone: true, reachable: false } : undefined;
    }
    const sight = poll.sight(name);
    const record = view.get("launches.drover.dev", "", roster.seatOf(uid)?.recordName ?? "");
    const reachable = boxes.contact(name)?.reachable ?? false;
    const { machine, gone } = sight;
    return { machineId: name, node, pod: roster.podByUid(uid), machine, gone, launch: record?.spec, reachable };
  },
  plan: planNode,
});

export function planNode(world: NodeWorld, nowMs: number): Plan {
  const { node, pod, machine, gone, launch } = world;
  if (gone || !pod || isFinished(pod)) {
    if (!node || node.metadata.deletionTimestamp !== undefined) return { actions: [] };
    return { actions: [{ do: "delete", key: keyOf("nodes", node), uid: node.metadata.uid ?? "" }] };
  }
  if (node) return planStatus(world, node, nowMs);
  if (pod.spec.nodeName) return pod.metadata.deletionTimestamp === undefined ? planReplacement(pod) : { actions: [] };
  if (machine?.state !== "running" || machine.address === undefined || !launch) return { actions: [] };
  const object = { ...nodeOf(machine, launch), status: statusOf(world, machine, launch, nowMs) };
  return { actions: [{ do: "create", resource: "nodes", object }] };
}

/** The Node was there when the Pod was bound to it, so somebody has taken it away. */
function planReplacement(pod: Pod): Plan {
  const message = `Node ${pod.spec.nodeName} was deleted`;
  const told = { about: pod, type: "Normal", reason: "NodeDeleted", message, source } as const;
  return { actions: [{ do: "delete", key: keyOf("pods", pod), uid: pod.metadata.uid ?? "", told }] };
}

function planStatus(world: NodeWorld, node: Node, nowMs: number): Plan {
  const { machine, launch } = world;
  if (!machine || !launch) return { actions: [] };
  const { taints = [] } = node.spec ?? {};
  const others = taints.filter(({ key }) => key !== notReadyTaint);
  if (machine.state === "running" && others.length < taints.length) {
    const next = { ...node, spec: { ...node.spec, taints: others } };
    return { actions: [{ do: "write", key: keyOf("nodes", node), next }] };
  }
  const status = { ...node.status, ...statusOf(world, machine, launch, nowMs) };
  if (isSame(status, node.status)) return { actions: [] };
  const write: Action = { do: "write", key: keyOf("nodes", node), next: { ...node, status }, subresource: "status" };
  return { actions: [write] };
}

function nodeOf(machine: Machine, { placement, template }: Launch): KubeObject {
  const labels = offerLabels({ ...placement, architecture: template.architecture });
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: machine.id, labels: { ...labels, "kubernetes.io/hostname": machine.id, [machineLabel]: "true" } },
    spec: { providerID: `drover://${machine.zone}/${machine.id}` },
  };
}

function statusOf({ node, reachable }: NodeWorld, machine: Machine, { template }: Launch, nowMs: number) {
  const gpus = template.gpus ? { "nvidia.com/gpu": `${template.gpus}` } : {};
  const resources = { cpu: `${template.cpuMillis}m`, memory: `${template.memoryBytes}`, ...gpus, pods: "1" };
  const addresses = [
    ...(machine.address === undefined ? [] : [{ type: "InternalIP", address: machine.address }]),
    { type: "Hostname", address: machine.id },
  ];
  const said =
    machine.state === "running"
      ? {
          status: "True",
          reason: "MachineRunning",
          message: `The machine runs; its agent ${reachable ? "answers" : "is silent"}.`,
        }
      : { status: "Unknown", reason: "MachineNotRunning", message: `The machine is ${machine.state}.` };
  return {
    capacity: node?.status?.capacity ?? resources,
    allocatable: node?.status?.allocatable ?? resources,
    addresses,
    conditions: [readiness(node, said, nowMs)],
    nodeInfo: node?.status?.nodeInfo ?? nodeInfo(machine, template.architecture),
  };
}

function readiness(
  node: Node | undefined,
  said: { status: string; reason: string; message: string },
  nowMs: number,
): NodeCondition {
  const before = node?.status?.conditions?.find(({ type }) => type === "Ready");
  const now = rfc3339(nowMs);
  const lastTransitionTime = before?.status === said.status ? (before.lastTransitionTime ?? now) : now;
  const isSame = before?.status === said.status && before.message === said.message;
  const lastHeartbeatTime = isSame ? (before.lastHeartbeatTime ?? now) : now;
  return { type: "Ready", ...said, lastHeartbeatTime, lastTransitionTime };
}

const nodeInfo = ({ id }: Machine, architecture: string) => ({
  machineID: id,
  systemUUID: id,
  bootID: "",
  kernelVersion: "",
  osImage: "Linux",
  containerRuntimeVersion: "drover://1",
  kubeletVersion: "v1.34.0-drover",
  kubeProxyVersion: "",
  operatingSystem: "linux",
  architecture,
});
