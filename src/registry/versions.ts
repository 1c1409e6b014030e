import { decodeObject } from "../api/decode.ts";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { autoscalerToV1, autoscalerToV2 } from "./autoscalers.ts";
import { eventToCore, eventToEvents } from "./events.ts";
import { encode, Stored } from "./stored.ts";

const conversions: Readonly<Record<string, (object: KubeObject) => unknown>> = {
  "autoscaling/v1 HorizontalPodAutoscaler": autoscalerToV1,
  "autoscaling/v2 HorizontalPodAutoscaler": autoscalerToV2,
  "v1 Event": eventToCore,
  "events.k8s.io/v1 Event": eventToEvents,
};

/** The same object as `kind`, which is its own kind or another form of it. Parts are shared. */
export function convert(object: KubeObject, kind: Kind): KubeObject {
  if (object.apiVersion === kind.apiVersion) return object;
  const to = conversions[`${kind.apiVersion} ${kind.kind}`];
  return to === undefined ? object : decodeObject(kind, to(object)).object;
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
