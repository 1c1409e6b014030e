import type { KubeObject } from "../api/object.ts";
import type { Pod } from "../api/types.gen.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { Client } from "../registry/client.ts";
import type { LaunchRecord } from "../registry/view.ts";
import { condition, isActive, isFinished, isReady } from "./owned.ts";

/** A Pod's place in a launch. `machine` once the provider has answered, as it was then. */
export type Seat = { recordName: string; slot: number; requestedAt: string; machine?: Machine };

/** Which Pod has which machine, kept up to date from the launch records, and Pods by uid. */
export type Roster = {
  /**
   * The seat of a Pod that has a machine or may yet get one. There are two when a launch was refused that had happened
   * all the same; then it is the one of the Pod's Node, or while it has none the newest.
   */
  seatOf(podUid: string): Seat | undefined;
  /** Every launch that has a place for this Pod. */
  recordNamesOf(podUid: string): readonly string[];
  podUidOf(machineId: string): string | undefined;
  podByUid(uid: string): Pod | undefined;
  /** Pods that need a machine and have no seat. */
  waiting(): Iterable<Pod>;
  isWaiting(podUid: string): boolean;
  /** A Pod or a machine is between two states in which it can stay. */
  isBusy(): boolean;
  /** Machines that the records know of, ended ones included until their record goes. */
  machineIds(): Iterable<string>;
  close(): void;
};

const isRecord = (object: KubeObject): object is LaunchRecord => object.kind === "Launch";
/** The one scheduler there is; a Pod that names another is left to it. */
const needsMachine = (pod: Pod): boolean =>
  isActive(pod) &&
  !pod.spec.nodeName &&
  (pod.spec.schedulingGates ?? []).length === 0 &&
  (pod.spec.schedulerName ?? "default-scheduler") === "default-scheduler";

/** On its way: up to a Node, from ready containers to ready, or out. */
function isMoving(pod: Pod, isSeated: boolean): boolean {
  if (isFinished(pod)) return false;
  if (pod.metadata.deletionTimestamp !== undefined) return true;
  if (!pod.spec.nodeName) return isSeated;
  return condition(pod, "ContainersReady")?.status === "True" && !isReady(pod);
}

export function openRoster(client: Client): Roster {
  const seats = new Map<string, Seat[]>();
  const podUids = new Map<string, string>();
  const podKeys = new Map<string, { namespace: string; name: string }>();
  const waiting = new Set<string>();
  const moving = new Set<string>();
  const unmanned = new Set<string>();

  function podByUid(uid: string): Pod | undefined {
    const key = podKeys.get(uid);
    const pod = key && client.view.get("pods", key.namespace, key.name);
    return pod?.metadata.uid === uid ? pod : undefined;
  }

  function seatOf(uid: string): Seat | undefined {
    const [first, ...others] = seats.get(uid) ?? [];
    if (!first || others.length === 0) return first;
    const nodeName = podByUid(uid)?.spec.nodeName;
    const byAge = [first, ...others].sort((a, b) => (ageOf(a) < ageOf(b) ? 1 : -1));
    return byAge.find(({ machine }) => machine?.id === nodeName) ?? byAge[0];
  }

  function sort(uid: string): void {
    const pod = podByUid(uid);
    const isSeated = seats.has(uid);
    put(waiting, uid, pod !== undefined && !isSeated && needsMachine(pod));
    put(moving, uid, pod !== undefined && isMoving(pod, isSeated));
    put(unmanned, uid, isSeated && (pod === undefined || isFinished(pod)));
  }

  function forget(record: LaunchRecord): void {
    for (const uid of record.spec.slots) {
      const left = (seats.get(uid) ?? []).filter(({ recordName }) => recordName !== record.metadata.name);
      if (left.length > 0) seats.set(uid, left);
      else seats.delete(uid);
    }
    for (const { id } of record.status?.machines ?? []) podUids.delete(id);
    for (const uid of record.spec.slots) sort(uid);
  }

  function learn(record: LaunchRecord): void {
    const { spec, status } = record;
    const given = new Map(status?.machines.map((machine) => [machine.slot, machine]));
    spec.slots.forEach((uid, slot) => {
      const machine = given.get(slot);
      const seat: Seat = { recordName: record.metadata.name, slot, requestedAt: spec.requestedAt };
      if (machine) podUids.set(machine.id, uid);
      if (machine) seats.set(uid, [...(seats.get(uid) ?? []), { ...seat, machine }]);
      else if (!status?.done) seats.set(uid, [...(seats.get(uid) ?? []), seat]);
      sort(uid);
    });
  }

  const stop = client.subscribe(({ key, before, after }) => {
    if (key.resource === "launches.drover.dev") {
      if (before && isRecord(before)) forget(before);
      if (after && isRecord(after)) learn(after);
    } else if (key.resource === "pods") {
      if (before?.metadata.uid) podKeys.delete(before.metadata.uid);
      if (after?.metadata.uid) podKeys.set(after.metadata.uid, { namespace: key.namespace, name: key.name });
      for (const uid of new Set([before?.metadata.uid, after?.metadata.uid])) if (uid) sort(uid);
    }
  });
  const pods = client.view.list("pods");
  for (const { metadata } of pods) {
    podKeys.set(metadata.uid ?? "", { namespace: metadata.namespace ?? "", name: metadata.name });
  }
  for (const record of client.view.list("launches.drover.dev")) learn(record);
  for (const { metadata } of pods) sort(metadata.uid ?? "");

  return {
    seatOf,
    recordNamesOf: (podUid) => (seats.get(podUid) ?? []).map(({ recordName }) => recordName),
    podUidOf: (machineId) => podUids.get(machineId),
    podByUid,
    waiting: () => [...waiting].flatMap((uid) => podByUid(uid) ?? []),
    isWaiting: (podUid) => waiting.has(podUid),
    isBusy: () => moving.size + unmanned.size > 0,
    machineIds: () => podUids.keys(),
    close: stop,
  };
}

const ageOf = ({ requestedAt, recordName }: Seat): string => `${requestedAt} ${recordName}`;

function put(set: Set<string>, id: string, isIn: boolean): void {
  if (isIn) set.add(id);
  else set.delete(id);
}
