import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { encode, Stored } from "./stored.ts";

/** The same object as `kind`, which is its own kind or another form of it. Parts are shared. */
export function convert(object: KubeObject, kind: Kind): KubeObject {
  if (object.apiVersion === kind.apiVersion) return object;
  return { ...object, apiVersion: kind.apiVersion };
}

const versions = new WeakMap<Stored, Stored>();

/** A stored object in the version that was asked for. */
export function asVersion(stored: Stored, kind: Kind): Stored {
  if (!isServedTwice(kind) || stored.object.apiVersion === kind.apiVersion) return stored;
  const known = versions.get(stored);
  if (known !== undefined) return known;
  const object = convert(stored.object, kind);
  const converted = new Stored(stored.key, stored.revision, encode(object), object);
  versions.set(stored, converted);
  return converted;
}

const isServedTwice = ({ kind }: Kind): boolean => kind === "Event" || kind === "HorizontalPodAutoscaler";
