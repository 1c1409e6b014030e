import type { KubeObject, ObjectKey, Resource } from "../api/object.ts";
import type { ObjectMeta, OwnerReference, Pod } from "../api/types.gen.ts";
import { parseTimeMs } from "../base/clock.ts";

/** What every planner asks of metadata, Pods and owners. */

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (isFields(value) && !Array.isArray(value) && Object.keys(value).length === 0);

/** Equal but for fields without content (null, undefined, `{}`), as the API adds and drops them. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isFields(a) || !isFields(b)) return isEmpty(a) && isEmpty(b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const isSameIn = (key: string) => isSame(a[key], Object.hasOwn(b, key) ? b[key] : undefined);
  return Object.keys(a).every(isSameIn) && Object.keys(b).every((key) => Object.hasOwn(a, key) || isEmpty(b[key]));
}

export const controllerOf = ({ ownerReferences }: ObjectMeta): OwnerReference | undefined =>
  ownerReferences?.find(({ controller }) => controller);

export const keyOf = (resource: Resource, { metadata }: Pick<KubeObject, "metadata">): ObjectKey => ({
  resource,
  namespace: metadata.namespace ?? "",
  name: metadata.name,
});

export const controllerRef = (owner: KubeObject): OwnerReference => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

export const adopted = <T extends KubeObject>(object: T, owner: KubeObject): T => ({
  ...object,
  metadata: {
    ...object.metadata,
    ownerReferences: [...(object.metadata.ownerReferences ?? []), controllerRef(owner)],
  },
});

export const released = <T extends KubeObject>(object: T, owner: KubeObject): T => ({
  ...object,
  metadata: {
    ...object.metadata,
    ownerReferences: (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid),
  },
});

/** Milliseconds since the epoch; an absent time is long ago. */
export const timeMs = (text: string | undefined): number => (text === undefined ? 0 : parseTimeMs(text) || 0);

export const isFinished = ({ status }: Pod): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";

/** Neither finished nor on its way out. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;

export const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((each) => each.type === type);

export const isReady = (pod: Pod): boolean => condition(pod, "Ready")?.status === "True";

/** When a Ready Pod has been ready for `minReadySeconds`; undefined while it is not ready. */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = condition(pod, "Ready");
  return ready?.status === "True" ? timeMs(ready.lastTransitionTime) + minReadySeconds * 1_000 : undefined;
}
