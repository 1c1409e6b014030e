import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import type { ManagedFieldsEntry } from "../api/types.gen.ts";

export const recordUpdate = (
  _kind: Kind,
  before: KubeObject | undefined,
  _after: KubeObject,
  _who: { manager: string; subresource?: string; time: string },
): ManagedFieldsEntry[] | undefined => before?.metadata.managedFields;
const grows = new Set([
  "Pod",
  "PodTemplate",
  "ReplicationController",
  "Deployment",
  "ReplicaSet",
  "StatefulSet",
  "DaemonSet",
  "Job",
  "CronJob",
  "PodDisruptionBudget",
  "Ingress",
  "IngressClass",
  "NetworkPolicy",
  "EndpointSlice",
  "PriorityClass",
  "CustomResourceDefinition",
]);
export const hasGeneration = (kind: Kind): boolean => grows.has(kind.kind);
