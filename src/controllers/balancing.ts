import { labelSelectorMatcher } from "../api/labels.ts";
import type { Ingress, Pod, Service } from "../api/types.gen.ts";
import type { BalancerSpec, BalancerState, TargetGroupSpec } from "../clouds/balancer.ts";
import type { View } from "../registry/view.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { isTold } from "./events.ts";
import { type Frontend, formerGroups, frontendResource, recordOf } from "./frontend.ts";
import { isSame, keyOf } from "./owned.ts";
import type { Poll } from "./poll.ts";
import type { Action, Notice, Plan } from "./reconciler.ts";
import type { Roster } from "./roster.ts";
import { hasShares, openShares } from "./shares.ts";
import { type Candidate, type Present, withLeaving } from "./targets.ts";

/** What decides about one balancer, whatever it is for. */
export type BalancingWorld = {
  id: string;
  /** Its targets are those that are to get connections. Absent once its object is gone, going, or has no use for it. */
  wanted?: BalancerSpec | undefined;
  /** The object is gone or going. */
  isGone: boolean;
  record?: Frontend | undefined;
  /** Targets that it has and may still send connections to. */
  present: readonly Present[];
  state?: BalancerState | undefined;
  carriedOut?: BalancerSpec | undefined;
  /** It was looked at after it was last told anything. */
  isCurrent: boolean;
  /** The last call for it failed: it may use targets that `carriedOut` does not name. */
  isUnanswered?: boolean;
  /** Enough is known of its targets to change them: all that it has, and where each of them is. */
  known: boolean;
  /** What the object's reader should know and was not told yet. */
  notices: readonly Notice[];
};

export type BalancingOptions = {
  view: View;
  roster: Roster;
  poll: Pick<Poll, "sight" | "complete">;
  book: BalancerBook;
  cluster: string;
};

const lookAgainMs = 500;

/** The Pods that a Service selects, with their machines. */
export function candidatesOf(service: Service, { view, roster, poll }: BalancingOptions): Candidate[] {
  const matches = labelSelectorMatcher({ matchLabels: service.spec.selector ?? {} });
  const shareOf = openShares(view);
  return view.list("pods", service.metadata.namespace).flatMap((pod): Candidate[] => {
    if (!matches(pod.metadata.labels)) return [];
    const known = roster.seatOf(pod.metadata.uid ?? "")?.machine;
    const { machine = known, gone } = poll.sight(known?.id ?? "");
    const share = shareOf(pod);
    return machine && !gone ? [{ pod, machine, ...(share && { share }) }] : [];
  });
}

type GroupsOf = {
  wanted: BalancerSpec | undefined;
  record: Frontend | undefined;
  /** Where a Pod serves a group, for machines that this process has not registered itself; 0: nobody knows. */
  portOf: (groupId: string, pod: Pod | undefined) => number;
};

/** What is known of a balancer's present targets: what it was told of or shows, as far as it may use it. */
export function observeTargets(
  id: string,
  { wanted, record, portOf }: GroupsOf,
  { roster, poll, book }: BalancingOptions,
): Pick<BalancingWorld, "present" | "known" | "isUnanswered"> {
  const groupIds = new Set([...(wanted?.groups ?? []), ...formerGroups(record)].map((group) => group.id));
  const told = new Map<string, Present[]>();
  for (const { id: groupId, targets } of book.carriedOut(id)?.groups ?? []) {
    for (const target of targets) {
      const own = told.get(target.machineId) ?? [];
      own.push({ groupId, ...target });
      told.set(target.machineId, own);
    }
  }
  const shown = book.state(id)?.targets.map(({ machineId }) => machineId) ?? [];
  let known = book.completeMs() !== undefined && poll.complete();
  // One that is to go may be there though the call for it failed and no look since has shown it.
  if (wanted === undefined && !book.isSettled(id)) known = false;
  const present = [...new Set([...told.keys(), ...shown])].flatMap((machineId) => {
    const { machine, gone } = poll.sight(machineId);
    const podUid = roster.podUidOf(machineId);
    if (gone || (machine === undefined && podUid === undefined) || book.releasedBy(id, machineId)) return [];
    const isUnclaimed = podUid === undefined && machine?.state === "running";
    const own = told.get(machineId)?.filter(({ groupId }) => !book.isCut(id, groupId, machineId));
    if (own) return own.map((each) => ({ ...each, isUnclaimed }));
    const address = machine?.address;
    if (address === undefined) {
      known = false;
      return [];
    }
    const pod = roster.podByUid(podUid ?? "");
    const common = { machineId, address, isUnclaimed };
    return [...groupIds].map((groupId): Present => ({ ...common, groupId, port: portOf(groupId, pod) }));
  });
  return { present, known, isUnanswered: book.isUnanswered(id) };
}

/** `failure`: why it is not in order. `vanished`: what became of it while drover was stopped. */
export type BalancerTrouble = {
  state: BalancerState | undefined;
  failure?: string | undefined;
  vanished?: string | undefined;
};

const addressesIn = (list: readonly { hostname?: string | undefined; ip?: string | undefined }[] = []): string[] =>
  list.flatMap(({ hostname, ip }) => hostname ?? ip ?? []);

/** Says that nothing answers at the address which clients were given before this process began. */
export function vanishedBalancer(
  { metadata, status }: Service | Ingress,
  id: string,
  { book }: BalancingOptions,
): string | undefined {
  const given = addressesIn(status?.loadBalancer?.ingress);
  const wasLookedAt = book.completeMs() !== undefined;
  if (given.length === 0 || !wasLookedAt || book.isUnanswered(id) || book.carriedOut(id)) return undefined;
  const present = addressesIn(book.state(id)?.addresses);
  if (given.some((address) => present.includes(address))) return undefined;
  return `Nothing is behind ${given.join(", ")} any more: the load balancer of ${metadata.name}, or its target groups, went while drover was stopped. It is made again.`;
}

/** Failures and drift of a balancer, as its object's reader is told of them, once each. */
export function balancerNotices(
  about: Service | Ingress,
  { view, state, failure, vanished }: BalancerTrouble & { view: View },
): Notice[] {
  const source = `${about.kind.toLowerCase()}-controller`;
  const warning = (reason: string, message: string): Notice => ({ about, type: "Warning", reason, message, source });
  const bill = state?.ready ? state.bill?.sentence : undefined;
  const notices = [
    ...(failure === undefined ? [] : [warning("SyncLoadBalancerFailed", `Error syncing load balancer: ${failure}`)]),
    ...[state?.drift, vanished].flatMap((drift) => (drift === undefined ? [] : [warning("LoadBalancerDrift", drift)])),
    ...(bill === undefined
      ? []
      : [{ about, type: "Normal", reason: "LoadBalancerCost", message: bill, source } as const]),
    ...(state?.warnings ?? []).map((message) => warning("LoadBalancerWarning", message)),
  ];
  return notices.filter((notice) => !isTold(view, notice));
}

/**
 * Writes a balancer down before it is made, makes it what is wanted, lets targets drain before they go and the balancer
 * after its last connection. `fresh`: a new record; `status`: what its object is told when the balancer is in order.
 */
export function planBalancing(world: BalancingWorld, fresh: () => Frontend, status: readonly Action[]): Plan {
  const { wanted, record } = world;
  if (!wanted) return record ? planFarewell(world, record) : { actions: [] };
  if (!record) return { actions: [{ do: "create", resource: frontendResource, object: fresh() }] };
  const told = world.notices.map((notice): Action => ({ do: "tell", notice }));
  if (!world.known || (hasShares(wanted) && !world.isCurrent)) return { actions: told, againInMs: lookAgainMs };
  const former = world.carriedOut?.groups ?? formerGroups(record);
  const spec = withLeaving(wanted, world.present, former, allServe(world, wanted));
  // Nobody knows on which port machines of a lost store serve, before one of the same Service tells.
  const isUnsure = spec.groups.some(({ targets }) => targets.some(({ port, draining }) => port === 0 && !draining));
  if (isUnsure) return { actions: told, againInMs: lookAgainMs };
  if (!isSame(record.spec.balancer, recordOf(spec))) {
    const next = { ...record, spec: { ...record.spec, balancer: recordOf(spec) } };
    return { actions: [{ do: "write", key: keyOf(frontendResource, record), next }] };
  }
  const isDraining = spec.groups.some(({ targets }) => targets.some(({ draining }) => draining));
  const isReplacing = spec.groups.length > wanted.groups.length;
  const actions = [...told, ...planEnsure(world, spec, isReplacing), ...status];
  return { actions, ...(isDraining && { againInMs: lookAgainMs }) };
}

/** Every target that is wanted is one that the balancer calls healthy, and there is one. */
function allServe({ state }: BalancingWorld, { groups }: BalancerSpec): boolean {
  const ids = new Set(groups.flatMap(({ targets }) => targets.map(({ machineId }) => machineId)));
  const healthy = state?.targets.filter(({ machineId, state: is }) => ids.has(machineId) && is === "healthy") ?? [];
  return ids.size > 0 && healthy.length === ids.size;
}

function planEnsure(world: BalancingWorld, spec: BalancerSpec, isReplacing: boolean): Action[] {
  const isSo = isSame(world.carriedOut, spec) && !world.state?.lost && !world.isUnanswered;
  return isSo ? [] : [{ do: "ensureBalancer", spec, isReplacing }];
}

/** The balancer of what is gone goes after its last connection; its record goes after it. */
function planFarewell(world: BalancingWorld, record: Frontend): Plan {
  const { state, carriedOut, present } = world;
  if (!world.known) return { actions: [], againInMs: lookAgainMs };
  const { balancer } = record.spec;
  if (balancer && present.length > 0) {
    const empty = carriedOut ?? {
      ...balancer,
      kind: balancer.kind ?? "network",
      listeners: balancer.listeners.map((listener) => ({ ...listener, forward: [] })),
      groups: formerGroups(record),
      sourceRanges: balancer.sourceRanges ?? [],
      annotations: balancer.annotations ?? {},
    };
    const groups = empty.groups.map((group): TargetGroupSpec => ({ ...group, targets: [] }));
    const spec = withLeaving({ ...empty, groups }, present, groups);
    return { actions: planEnsure(world, spec, false), againInMs: lookAgainMs };
  }
  if (state || carriedOut) return { actions: [{ do: "removeBalancer", id: world.id }], againInMs: lookAgainMs };
  const key = keyOf(frontendResource, record);
  if (!world.isGone) {
    const { balancer: _, ...spec } = record.spec;
    return { actions: balancer ? [{ do: "write", key, next: { ...record, spec } }] : [] };
  }
  if (record.spec.names.length > 0) return { actions: [] };
  return { actions: [{ do: "delete", key, uid: record.metadata.uid ?? "" }] };
}
