import { createHash } from "node:crypto";
import type { KubeObject } from "../api/object.ts";
import type { Event } from "../api/types.gen.ts";
import { type Clock, rfc3339, rfc3339Micro } from "../base/clock.ts";
import type { Client } from "../registry/client.ts";
import type { View } from "../registry/view.ts";
import type { Notice } from "./reconciler.ts";

const manager = { manager: "kube-controller-manager" };
/** The API refuses longer ones. */
const messageMax = 1_024;

/** The same notice about the same object has the same name, so that a repeat finds the first, after a restart too. */
function eventName({ about, type, reason, message, source, fieldPath, isLatest }: Notice): string {
  const text = [about.metadata.uid, type, reason, isLatest ? "" : message, source, fieldPath].join("\n");
  return `${about.metadata.name}.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

const messageOf = ({ message }: Notice): string => message.slice(0, messageMax);

const namespaceOf = (about: KubeObject): string => about.metadata.namespace || "default";

/** The scheduler writes Events in the newer form: no count, a MicroTime and what it was doing. */
const schedulerActions: Record<string, string> = { Scheduled: "Binding", FailedScheduling: "Scheduling" };

/** The last occurrence that was counted. */
const occurrenceAnnotation = "drover.dev/occurrence";

function firstEvent(notice: Notice, nowMs: number): Event {
  const { about, type, reason, source, fieldPath, occurrence } = notice;
  const { name, namespace, uid, resourceVersion } = about.metadata;
  const part = fieldPath === undefined ? {} : { fieldPath };
  const reference = { kind: about.kind, apiVersion: about.apiVersion, name, uid, resourceVersion, ...part };
  const annotations = occurrence && { [occurrenceAnnotation]: String(occurrence.id) };
  const common = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: eventName(notice), namespace: namespaceOf(about), ...(annotations && { annotations }) },
    involvedObject: namespace ? { ...reference, namespace } : reference,
    type,
    reason,
    message: messageOf(notice),
    reportingComponent: source,
  };
  if (source === "default-scheduler") {
    const action = schedulerActions[reason] ?? reason;
    return { ...common, source: {}, action, eventTime: rfc3339Micro(nowMs), reportingInstance: "drover" };
  }
  const now = rfc3339(nowMs);
  return { ...common, source: { component: source }, firstTimestamp: now, lastTimestamp: now, count: 1 };
}

function repeated(before: Event, notice: Notice, nowMs: number): Event | undefined {
  const { occurrence } = notice;
  const event = { ...before, message: messageOf(notice) };
  if (occurrence) {
    const annotations = event.metadata.annotations ?? {};
    if (Number(annotations[occurrenceAnnotation] ?? 0) >= occurrence.id) return undefined;
    const metadata = {
      ...event.metadata,
      annotations: { ...annotations, [occurrenceAnnotation]: String(occurrence.id) },
    };
    return { ...event, metadata, count: (event.count ?? 1) + 1, lastTimestamp: rfc3339(nowMs) };
  }
  if (event.eventTime) {
    const series = { count: (event.series?.count ?? 1) + 1, lastObservedTime: rfc3339Micro(nowMs) };
    return { ...event, series };
  }
  return { ...event, count: (event.count ?? 1) + 1, lastTimestamp: rfc3339(nowMs) };
}

/** The notice was written down before, and is still there. */
export const isTold = (view: View, notice: Notice): boolean =>
  view.get("events", namespaceOf(notice.about), eventName(notice)) !== undefined;

/** Writes a notice down as an Event, or counts it when it was written before. */
export async function tell(client: Client, clock: Clock, notice: Notice): Promise<void> {
  const key = { resource: "events" as const, namespace: namespaceOf(notice.about), name: eventName(notice) };
  const nowMs = notice.occurrence?.atMs ?? clock.wallMs();
  if (client.view.get("events", key.namespace, key.name)) {
    await client.update(key, (event) => repeated(event, notice, nowMs), manager);
  } else {
    await client.create("events", firstEvent(notice, nowMs), manager);
  }
}

/** What concerns no one object is told where `kubectl get events` looks first. */
export const clusterNotice = (reason: string, message: string): Notice => ({
  about: { apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } },
  type: "Warning",
  reason,
  message,
  source: "drover",
});

/** When an Event was last written, or its creation. */
export const eventTime = (event: Event): string | undefined =>
  event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
