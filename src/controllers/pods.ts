import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { PersistentVolume, Pod, Service } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import type { Boxes } from "../clouds/box.ts";
import type { Machine } from "../clouds/cloud.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { isTold } from "./events.ts";
import { balancersFor, doorsOf, gatedBy } from "./gates.ts";
import { poolOf } from "./ledger.ts";
import { canBeSpared, planNotice } from "./machine-notice.ts";
import { unreached } from "./machine-silence.ts";
import { planStopped } from "./machine-stop.ts";
import type { Memory } from "./memory.ts";
import type { NamesBook } from "./names-book.ts";
import { isForgotten, type NamesOnly, selects } from "./names-only.ts";
import { controllerOf, isFinished, isSame, keyOf, timeMs } from "./owned.ts";
import { planEnd } from "./pod-end.ts";
import { hasToken, podsOnDisk, sourcesText, usersOf } from "./pod-sources.ts";
import { lostStatus, nextStatus, stageNotice } from "./pod-status.ts";
import { type GateState, type PodWorld, planReported } from "./pod-world.ts";
import type { Poll } from "./poll.ts";
import type { Action, Notice, Plan, Reconciler } from "./reconciler.ts";
import { isTakenByMachines, redirectsOf } from "./redirected-ports.ts";
import type { Roster } from "./roster.ts";

export type PodOptions = {
  view: View;
  roster: Roster;
  poll: Pick<Poll, "sight">;
  boxes: Pick<Boxes, "contact">;
  book: BalancerBook;
  memory: Memory;
  names: NamesBook;
  namesOnly: NamesOnly;
  clusterDomain?: string;
  clock: Clock;
};

/** Pods and their machines: binds, follows, tells, and sees to an orderly end. */
export const podReconciler = (options: PodOptions): Reconciler<PodWorld> => ({
  name: "pods",
  watches: {
    pods: (object) => [keyOf("pods", object)],
    nodes: (object) => podOn(options.roster, object.metadata.name),
    services: (object) => [...gatedPods(options.view, object), ...takingPods(options, object as Service)], // By its resource.
    "ingresses.networking.k8s.io": (object) => gatedPods(options.view, object),
    configmaps: (object) => usersOf(options.view, "configmaps", object),
    secrets: (object) => usersOf(options.view, "secrets", object),
    persistentvolumeclaims: (object) => usersOf(options.view, "persistentvolumeclaims", object),
    persistentvolumes: (object) => podsOnDisk(options.view, object as unknown as PersistentVolume), // By its resource.
    "launches.drover.dev": (object) => seatedPods(options.roster, object),
  },
  observe(key) {
    const { view, roster, poll, boxes, memory } = options;
    const pod = view.get("pods", key.namespace, key.name);
    if (!pod) return undefined;
    const seat = roster.seatOf(pod.metadata.uid ?? "");
    const machineId = seat?.machine?.id ?? "";
    const { machine = seat?.machine, gone, cause, stoodStillMs } = poll.sight(machineId);
    const isLost = gone && !isFinished(pod);
    if (isLost && !pod.status?.startTime) noteLoss(pod, options);
    const isTaken = boxes.contact(machineId)?.report?.notice?.kind === "interruption";
    if (machine && (isTaken || (isLost && wantOfCapacity.test(cause ?? "")))) notePool(machine, options);
    const sent = memory.sourcesSent.get(machineId);
    const contact = boxes.contact(machineId);
    const silence = unreached({ pod, machine, contact }, options.clock.wallMs());
    return {
      pod,
      seat,
      machine,
      gone,
      cause,
      stoodStillMs,
      hasNode: view.get("nodes", "", machineId) !== undefined,
      contact,
      isUnreachedTold: silence !== undefined && isTold(view, silence.notice),
      spare: canBeSpared(view, pod),
      gates: gatesOf(pod, machineId, options),
      ...drainOf(pod, machineId, options),
      toldUpTo: memory.toldUpTo.get(machineId) ?? 0,
      sources: sourcesText(view, pod) + redirectsText(options, pod),
      sourcesSent: sent && { sources: sent.sources, ageMs: options.clock.monotonicMs() - sent.atMs },
    };
  },
  plan: planPod,
});

/** Whether anybody may still be sent to the Pod's machine, and for how long nobody should have been. */
function drainOf(pod: Pod, machineId: string, { view, book, names, namesOnly, clusterDomain, clock }: PodOptions) {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  const forMs = book.drainingForMs(machineId);
  const domain = { clusterDomain: clusterDomain ?? "cluster.local" };
  if (machineId === "" || isForgotten(pod, { view, names, namesOnly, ...domain })) {
    return { released: machineId === "" || book.released(machineId), drainingForMs: forMs };
  }
  const goingMs = clock.wallMs() - (timeMs(deletionTimestamp) - deletionGracePeriodSeconds * 1_000);
  return { released: false, drainingForMs: forMs && Math.min(forMs, goingMs) };
}

/** Another text whenever the machine has other ports to redirect. */
function redirectsText({ view, namesOnly }: PodOptions, pod: Pod): string {
  const redirects = redirectsOf(view, namesOnly, pod);
  return redirects.length > 0 ? JSON.stringify(redirects) : "";
}

/** Pods on machines that a Service selects whose ports the machines take. */
const takingPods = ({ view, namesOnly }: PodOptions, service: Service): ObjectKey[] =>
  isTakenByMachines(service, namesOnly)
    ? view
        .list("pods", service.metadata.namespace)
        .filter(({ spec, metadata }) => spec.nodeName && selects(service, metadata.labels))
        .map((pod) => keyOf("pods", pod))
    : [];

/** Machines that end before they serve make their owner wait for the next one. */
function noteLoss({ metadata }: Pod, { memory, clock }: PodOptions): void {
  const { uid = "" } = metadata;
  if (memory.losses.has(uid)) return;
  memory.losses.set(uid, { owner: controllerOf(metadata)?.uid ?? uid, atMs: clock.wallMs() });
}

/** In the provider's words: `Server.InsufficientInstanceCapacity`, `Server.SpotInstanceTermination`. */
const wantOfCapacity = /capacity|spot/i;

/** A pool that takes a machine back has nothing for the next one either. */
function notePool({ type, zone, capacityType = "on-demand" }: Machine, { memory, clock }: PodOptions): void {
  const pool = poolOf({ type, zone, capacityType });
  if (!memory.poorPools.has(pool)) memory.poorPools.set(pool, clock.wallMs());
}

/** The Pod that has this machine. */
export function podOn(roster: Roster, machineId: string): ObjectKey[] {
  const pod = roster.podByUid(roster.podUidOf(machineId) ?? "");
  return pod ? [keyOf("pods", pod)] : [];
}

function seatedPods(roster: Roster, record: KubeObject): ObjectKey[] {
  const { slots } = record.spec as { slots: readonly string[] }; // Our own record.
  return slots.flatMap((uid) => roster.podByUid(uid) ?? []).map((pod) => keyOf("pods", pod));
}

/** Pods that wait, or waited, for the balancer of this Service or Ingress. */
const gatedPods = (view: View, { metadata }: KubeObject): ObjectKey[] =>
  view
    .list("pods", metadata.namespace)
    .filter(({ spec }) => spec.readinessGates?.some(({ conditionType }) => gatedBy(conditionType) === metadata.uid))
    .map((pod) => keyOf("pods", pod));

/** What the balancers say of each gate; without a word from them a gate stays as it is. */
function gatesOf(
  { spec, metadata, status }: Pod,
  machineId: string,
  { view, book, namesOnly }: PodOptions,
): GateState[] {
  const types = (spec.readinessGates ?? []).filter(({ conditionType }) => gatedBy(conditionType) !== undefined);
  if (types.length === 0) return [];
  const balancers = balancersFor(doorsOf(view, namesOnly, metadata.namespace), metadata.labels);
  return types.flatMap(({ conditionType: type }): GateState[] => {
    const balancer = balancers.find(({ uid }) => uid === gatedBy(type));
    if (!balancer) return [{ type, open: true, reason: "NoBalancer", message: "No balancer is to reach the Pod." }];
    const target = book.target(balancer.id, machineId);
    const state = target?.state;
    // One that drains in one group and is used by another is healthy in the other.
    if (state === "healthy" || (state === "draining" && book.isUsed(balancer.id, machineId))) {
      return [{ type, open: true, reason: "Healthy", message: "The balancer sends requests." }];
    }
    // One that was registered once more, for another port or share, goes on serving meanwhile.
    const isOpen = status?.conditions?.some((each) => each.type === type && each.status === "True");
    if (book.completeMs() === undefined || (isOpen && state === "initial")) return [];
    const reason = state === undefined ? "NotRegistered" : `Target${state[0]?.toUpperCase()}${state.slice(1)}`;
    const why = target?.reason === undefined ? "" : ` (${target.reason})`;
    const { of } = balancer;
    return [{ type, open: false, reason, of, message: `The balancer's target is ${state ?? "not registered"}${why}.` }];
  });
}

export function planPod(world: PodWorld, nowMs: number): Plan {
  const { pod, seat, machine } = world;
  const key = keyOf("pods", pod);
  if (pod.metadata.deletionTimestamp !== undefined) return planEnd(world, nowMs);
  if (isFinished(pod)) return { actions: [] };
  if (!seat?.machine && !seat) return { actions: [] };
  if (world.gone) return planLost(world, nowMs);
  const stopped = planStopped(world, nowMs);
  if (stopped) return stopped;
  const leaving = planNotice(world);
  if (leaving.length > 0) return { actions: leaving };
  const isRunning = machine?.state === "running" && machine.address !== undefined;
  if (isRunning && world.hasNode && !pod.spec.nodeName) {
    const next = { ...pod, spec: { ...pod.spec, nodeName: machine.id } };
    const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${machine.id}`;
    const told: Notice = { about: pod, type: "Normal", reason: "Scheduled", message, source: "default-scheduler" };
    return { actions: [{ do: "write", key, next, subresource: "binding", told }] };
  }
  const status = nextStatus(world, nowMs);
  const told = stageNotice(pod, status, world.gates);
  const actions: Action[] = isSame(status, pod.status)
    ? []
    : [{ do: "write", key, next: { ...pod, status }, subresource: "status", ...(told && { told }) }];
  actions.push(...planReported(world));
  if (isRunning && pod.spec.nodeName) actions.push(...planInstructions(world, machine.id, machine.address ?? ""));
  const silence = world.isUnreachedTold ? undefined : unreached(world, nowMs);
  if (silence && silence.leftMs <= 0) actions.push({ do: "tell", notice: silence.notice });
  const refreshMs = hasToken(pod) && world.sourcesSent ? tokenRefreshMs - world.sourcesSent.ageMs : undefined;
  const waits = [refreshMs, silence?.leftMs].flatMap((ms) => (ms === undefined ? [] : Math.max(1_000, ms)));
  return { actions, ...(waits.length > 0 && { againInMs: Math.min(...waits) }) };
}

/** Tokens live a little longer than an hour. */
const tokenRefreshMs = 2_700_000;

/** The machine is told its Pod once, and again while a container lacks something; then what its files have become. */
function planInstructions(world: PodWorld, machineId: string, address: string): Action[] {
  const { pod, contact, sources, sourcesSent } = world;
  if (!contact?.reachable) return [];
  const instruct = (does: "bind" | "updateFiles"): Action[] => [{ do: does, machineId, address, pod, sources }];
  if (contact.report?.uid === undefined) return instruct("bind");
  if (contact.report.uid !== pod.metadata.uid) return [];
  const isOld = hasToken(pod) && (sourcesSent?.ageMs ?? 0) >= tokenRefreshMs;
  if (sourcesSent?.sources === sources && !isOld) return [];
  if (sources === "" && (sourcesSent?.sources ?? "") === "" && !hasToken(pod)) return [];
  const statuses = [...contact.report.initContainerStatuses, ...contact.report.containerStatuses];
  const isWaiting = statuses.some(({ state }) => /ConfigError|ContainerCreating/.test(state?.waiting?.reason ?? ""));
  return instruct(isWaiting ? "bind" : "updateFiles");
}

/** The machine ended by itself: its Pod has failed, whatever it was doing. */
function planLost(world: PodWorld, nowMs: number): Plan {
  const { pod, machine, cause } = world;
  const message = `Machine ${machine?.id ?? ""} ended by itself${cause === undefined ? "" : `: ${cause}`}`;
  const status = lostStatus(pod, message, nowMs);
  const told: Notice = { about: pod, type: "Warning", reason: "MachineLost", message, source: "drover" };
  return { actions: [{ do: "write", key: keyOf("pods", pod), next: { ...pod, status }, subresource: "status", told }] };
}
