import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { OwnerReference } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { keyOf } from "./owned.ts";
import { type OwnerIndex, ownerKey, resourceOfObject } from "./owner-index.ts";
import type { Action, Plan, Reconciler } from "./reconciler.ts";
import { anyResource } from "./run.ts";

/** `waiting`: it goes itself, once this dependent has gone. `gone`: there is no object of this uid any more. */
export type OwnerState = { reference: OwnerReference; state: "present" | "waiting" | "gone" };

export type GarbageWorld = {
  key: ObjectKey;
  object: KubeObject;
  owners: readonly OwnerState[];
  dependents: readonly KubeObject[];
};

const foreground = "foregroundDeletion";
const orphan = "orphan";

/** Owner references: what has lost all its owners goes; owners wait for their dependents, or set them free. */
export const garbageReconciler = (view: View, index: OwnerIndex): Reconciler<GarbageWorld> => ({
  name: "garbage",
  watches: { [anyResource]: (object) => touched(object, view, index) },
  observe(key) {
    const object = view.get(key.resource, key.namespace, key.name);
    if (!object) return undefined;
    const owners = (object.metadata.ownerReferences ?? []).map((reference) => ({
      reference,
      state: stateOf(reference, key.namespace, view),
    }));
    const isSettled =
      object.metadata.deletionTimestamp === undefined && owners.every(({ state }) => state === "present");
    return { key, object, owners, dependents: isSettled ? [] : index.dependentsOf(object.metadata.uid ?? "") };
  },
  plan: planGarbage,
});

/** The object itself, owners that may wait for it, and when it is gone its dependents. */
function touched(object: KubeObject, view: View, index: OwnerIndex): ObjectKey[] {
  const resource = resourceOfObject(object);
  const { namespace = "", name, uid = "", ownerReferences = [], finalizers = [] } = object.metadata;
  if (resource === undefined) return [];
  const now = view.get(resource, namespace, name);
  const isThere = now?.metadata.uid === uid;
  const keys = ownerReferences
    .flatMap((reference) => ownerKey(reference, namespace) ?? [])
    .filter((owner) => view.get(owner.resource, owner.namespace, owner.name)?.metadata.deletionTimestamp !== undefined);
  const holds = finalizers.includes(foreground) || finalizers.includes(orphan);
  if (isThere && (ownerReferences.length > 0 || holds)) keys.push({ resource, namespace, name });
  const isGoing = !isThere || object.metadata.deletionTimestamp !== undefined;
  if (!isGoing) return keys;
  const dependents = index.dependentsOf(uid);
  return [...keys, ...dependents.map((each) => keyOf(resourceOfObject(each) ?? "", each))];
}

function stateOf(reference: OwnerReference, namespace: string, view: View): OwnerState["state"] {
  const key = ownerKey(reference, namespace);
  if (!key) return "present"; // Of a kind that is not known here: nothing is known of its end.
  const owner = view.get(key.resource, key.namespace, key.name);
  if (owner?.metadata.uid !== reference.uid) return "gone";
  const isWaiting = owner.metadata.deletionTimestamp !== undefined && owner.metadata.finalizers?.includes(foreground);
  return isWaiting && reference.blockOwnerDeletion ? "waiting" : "present";
}

export function planGarbage({ key, object, owners, dependents }: GarbageWorld): Plan {
  const { deletionTimestamp, finalizers = [], uid = "" } = object.metadata;
  if (deletionTimestamp !== undefined) {
    if (finalizers.includes(orphan)) return planOrphans(key, object, dependents);
    if (finalizers.includes(foreground)) return planForeground(key, object, dependents);
    return { actions: [] };
  }
  if (owners.length === 0) return { actions: [] };
  const present = owners.filter(({ state }) => state === "present");
  if (present.length === owners.length) return { actions: [] };
  if (present.length > 0) {
    const left = present.map(({ reference }) => reference);
    return { actions: [{ do: "write", key, next: withOwners(object, left) }] };
  }
  const isNested = owners.some(({ state }) => state === "waiting") && dependents.length > 0;
  const propagation = finalizers.includes(orphan) ? "Orphan" : isNested ? "Foreground" : "Background";
  return { actions: [{ do: "delete", key, uid, propagation }] };
}

/** Dependents are let go of, then the owner may go. */
function planOrphans(key: ObjectKey, object: KubeObject, dependents: readonly KubeObject[]): Plan {
  const uid = object.metadata.uid ?? "";
  if (dependents.length === 0) return { actions: [withoutFinalizer(key, object, orphan)] };
  const actions = dependents.map((each): Action => {
    const left = (each.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
    return { do: "write", key: keyOf(resourceOfObject(each) ?? "", each), next: withOwners(each, left) };
  });
  return { actions: [{ do: "together", actions }] };
}

/** The dependents queue themselves; the owner goes after the last one that holds it. */
function planForeground(key: ObjectKey, object: KubeObject, dependents: readonly KubeObject[]): Plan {
  const uid = object.metadata.uid ?? "";
  const isHolding = ({ metadata }: KubeObject) =>
    metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion) ?? false;
  return { actions: dependents.some(isHolding) ? [] : [withoutFinalizer(key, object, foreground)] };
}

function withOwners(object: KubeObject, left: readonly OwnerReference[]): KubeObject {
  const { ownerReferences: _, ...metadata } = object.metadata;
  return { ...object, metadata: left.length > 0 ? { ...metadata, ownerReferences: [...left] } : metadata };
}

function withoutFinalizer(key: ObjectKey, object: KubeObject, finalizer: string): Action {
  const { finalizers = [], ...metadata } = object.metadata;
  const left = finalizers.filter((each) => each !== finalizer);
  const next = { ...object, metadata: left.length > 0 ? { ...metadata, finalizers: left } : metadata };
  return { do: "write", key, next };
}
