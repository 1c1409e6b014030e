import type { KubeObject } from "../api/object.ts";

/** Names that the same field has in the core group and in events.k8s.io. */
const names: readonly (readonly [core: string, events: string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["reportingComponent", "reportingController"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
];

function renamed(object: KubeObject, apiVersion: string, pairs: readonly (readonly [string, string])[]): unknown {
  const to = new Map(pairs);
  return {
    ...Object.fromEntries(Object.entries(object).map(([name, value]) => [to.get(name) ?? name, value])),
    apiVersion,
  };
}

export const eventToEvents = (object: KubeObject): unknown => renamed(object, "events.k8s.io/v1", names);

export const eventToCore = (object: KubeObject): unknown =>
  renamed(
    object,
    "v1",
    names.map(([core, events]) => [events, core] as const),
  );
