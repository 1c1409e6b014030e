import type { Pod } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import { controllerOf, isActive, keyOf } from "./owned.ts";
import type { PodWorld } from "./pod-world.ts";
import type { Action } from "./reconciler.ts";

const words = {
  interruption: "The provider takes the machine away",
  rebalance: "The provider says that the machine is likely to be taken away",
  retirement: "The provider retires the machine's host",
} as const;

/** Whether the Pod's ReplicaSet has all the Pods that it is to have, so that one can be spared. */
export function canBeSpared(view: View, { metadata }: Pod): boolean {
  const owner = controllerOf(metadata);
  const set = owner && view.get("replicasets.apps", metadata.namespace ?? "", owner.name);
  return (set?.status?.availableReplicas ?? 0) >= (set?.spec.replicas ?? 1);
}

/**
 * A Pod whose machine is to end is replaced in good time: at once when the machine will be taken away, in any other case
 * when nothing else is missing. A bare Pod, which nobody would replace, stays to the end.
 */
export function planNotice({ pod, contact, spare }: PodWorld): Action[] {
  const notice = contact?.report?.uid === pod.metadata.uid ? contact?.report?.notice : undefined;
  if (!notice || !isActive(pod) || controllerOf(pod.metadata) === undefined) return [];
  if (notice.kind !== "interruption" && !spare) return [];
  const when = notice.atMs === undefined ? "" : ` at ${rfc3339(notice.atMs)}`;
  const message = `${words[notice.kind]}${when}: the Pod is replaced`;
  const told = { about: pod, type: "Warning", reason: "MachineLeaving", message, source: "drover" } as const;
  return [{ do: "delete", key: keyOf("pods", pod), uid: pod.metadata.uid ?? "", told }];
}
