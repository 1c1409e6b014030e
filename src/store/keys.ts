/** Keys of the store: `/registry/<group>/<plural>/<namespace>/<name>`; the core group is `core`. */
import type { ObjectKey, Resource } from "../api/object.ts";

/** All keys of a kind, or of one namespace of it, begin with this. */
export function keyPrefix(resource: Resource, namespace = ""): string {
  const dot = resource.indexOf(".");
  const [plural, group] = dot < 0 ? [resource, "core"] : [resource.slice(0, dot), resource.slice(dot + 1)];
  return `/registry/${group}/${plural}/${namespace === "" ? "" : `${namespace}/`}`;
}

export const storeKey = ({ resource, namespace, name }: ObjectKey): string => keyPrefix(resource, namespace) + name;

/** The first key after all that begin with `prefix`. */
export const prefixEnd = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

/** The object that a key of the store belongs to. */
export function parseKey(key: string): ObjectKey {
  const [, , group = "", plural = "", ...rest] = key.split("/");
  const resource = group === "core" ? plural : `${plural}.${group}`;
  const name = rest.pop() ?? "";
  return { resource, namespace: rest.join("/"), name };
}
