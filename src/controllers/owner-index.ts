import { kinds } from "../api/kinds.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { OwnerReference } from "../api/types.gen.ts";
import type { Client } from "../registry/client.ts";

/** Who is owned by whom, over all kinds, kept up to date from the change stream. */
export type OwnerIndex = {
  dependentsOf(uid: string): readonly KubeObject[];
  close(): void;
};

const idOf = ({ resource, namespace, name }: ObjectKey): string => JSON.stringify([resource, namespace, name]);

export function openOwnerIndex(client: Client): OwnerIndex {
  const dependents = new Map<string, Map<string, ObjectKey>>();

  function forget(key: ObjectKey, { metadata }: KubeObject): void {
    for (const { uid } of metadata.ownerReferences ?? []) {
      const keys = dependents.get(uid);
      keys?.delete(idOf(key));
      if (keys?.size === 0) dependents.delete(uid);
    }
  }

  function learn(key: ObjectKey, { metadata }: KubeObject): void {
    for (const { uid } of metadata.ownerReferences ?? []) {
      const keys = dependents.get(uid) ?? new Map<string, ObjectKey>();
      dependents.set(uid, keys.set(idOf(key), key));
    }
  }

  const close = client.subscribe(({ key, before, after }) => {
    if (before) forget(key, before);
    if (after) learn(key, after);
  });
  for (const resource of new Set([...kinds.values()].map((kind) => kind.resource))) {
    for (const object of client.view.list(resource)) {
      const { namespace = "", name } = object.metadata;
      learn({ resource, namespace, name }, object);
    }
  }
  return {
    dependentsOf: (uid) =>
      [...(dependents.get(uid)?.values() ?? [])].flatMap(
        ({ resource, namespace, name }) => client.view.get(resource, namespace, name) ?? [],
      ),
    close,
  };
}

/** Where an owner is to be found; undefined for kinds that the table does not have. */
export function ownerKey({ apiVersion, kind, name }: OwnerReference, namespace: string): ObjectKey | undefined {
  const known = kinds.get(`${apiVersion}/${kind}`);
  return known && { resource: known.resource, namespace: known.namespaced ? namespace : "", name };
}

/** The resource of an object of the table. */
export const resourceOfObject = ({ apiVersion, kind }: KubeObject): string | undefined =>
  kinds.get(`${apiVersion}/${kind}`)?.resource;
