import type { Pod } from "../api/types.gen.ts";
import type { Contact } from "../clouds/box.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { Action, Notice } from "./reconciler.ts";
import type { Seat } from "./roster.ts";

/** What a balancer says of a Pod's readiness gate. */
export type GateState = {
  type: string;
  open: boolean;
  reason: string;
  message: string;
  /** `Service web`: whose balancer it is. Absent: nobody's any more. */
  of?: string;
};

/** Everything that decides what is done with a Pod. */
export type PodWorld = {
  pod: Pod;
  seat?: Seat | undefined;
  machine?: Machine | undefined;
  /** The machine has certainly ended; `cause` is the provider's word. */
  gone: boolean;
  cause?: string | undefined;
  /** The machine was stopped so long ago and may be started again. */
  stoodStillMs?: number | undefined;
  hasNode: boolean;
  contact?: Contact | undefined;
  /** That the machine can't be reached was told in these words already. */
  isUnreachedTold?: boolean;
  /** Its owner has all its Pods: this one can be replaced. */
  spare: boolean;
  gates: readonly GateState[];
  /** No balancer can send the machine a connection any more. */
  released: boolean;
  /** How long no balancer has been allowed to open another; undefined while one still may. */
  drainingForMs?: number | undefined;
  toldUpTo: number;
  /** What the Pod's files come from as it is now, and as the machine was last told, in this process. */
  sources: string;
  sourcesSent?: { sources: string; ageMs: number } | undefined;
};

/** The machine's own events, each told once. */
export function planReported({ pod, machine, contact, toldUpTo }: PodWorld): Action[] {
  if (!machine || contact?.report?.uid !== pod.metadata.uid) return [];
  const fresh = contact?.report?.events.filter(({ id }) => id > toldUpTo) ?? [];
  const upTo = Math.max(toldUpTo, ...fresh.map(({ id }) => id));
  if (upTo === toldUpTo) return [];
  const initNames = new Set(pod.spec.initContainers?.map(({ name }) => name));
  const notices = fresh.map(({ id, type, reason, message, container, atMs }): Notice => {
    const list = initNames.has(container ?? "") ? "initContainers" : "containers";
    const part = container === undefined ? {} : { fieldPath: `spec.${list}{${container}}` };
    return { about: pod, type, reason, message, source: "kubelet", occurrence: { id, atMs }, ...part };
  });
  return [{ do: "tellReported", machineId: machine.id, upTo, notices }];
}
