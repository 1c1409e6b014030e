import type { Clock } from "../base/clock.ts";
import type { BalancerSpec, BalancerState } from "../clouds/balancer.ts";

/**
 * What balancers were told and what they said since, so that a machine is ended only after no balancer can send it a
 * connection any more. Kept in memory: after a start nothing counts as drained before a complete observation.
 */
export type BalancerBook = {
  /**
   * Around every call that changes a balancer; a call that failed may have happened all the same. `retargeted`: it has
   * failed but for its targets.
   */
  ensuring(spec: BalancerSpec): { done(): void; failed(): void; retargeted(): void };
  removing(id: string): { done(): void };
  observed(states: readonly BalancerState[], startedMs: number, complete: boolean): void;
  /** Monotonic time at which the last complete observation began. */
  completeMs(): number | undefined;
  /** The last spec that was carried out without a failure, in this process, with the targets that it has had since. */
  carriedOut(id: string): BalancerSpec | undefined;
  state(id: string): BalancerState | undefined;
  /** What the balancer was last seen to say of this machine. */
  target(id: string, machineId: string): TargetView | undefined;
  states(): readonly BalancerState[];
  /** Of one balancer: a target that was last told to drain, or was left out, is seen to be drained or absent. */
  releasedBy(id: string, machineId: string): boolean;
  /** Of a machine that another group of the balancer still uses: its drain in this one is over by time. */
  isCut(id: string, groupId: string, machineId: string): boolean;
  /** The balancer was last told of this machine. */
  mentions(id: string, machineId: string): boolean;
  /** A group of the balancer was last told to send connections there. */
  isUsed(id: string, machineId: string): boolean;
  /** It was looked at after it was last told anything. */
  isCurrent(id: string): boolean;
  /** The last call for it has failed, or goes on: it may have happened or not. */
  isUnanswered(id: string): boolean;
  /** It was looked at after it was last asked for, with or without an answer. */
  isSettled(id: string): boolean;
  /** By every balancer there is. */
  released(machineId: string): boolean;
  /** How long no balancer has been allowed to open connections to it; undefined while one still may. */
  drainingForMs(machineId: string): number | undefined;
};

type TargetView = BalancerState["targets"][number];
type Place = { groupId: string; machineId: string; draining: boolean };
/** By machine: each one asks for itself, and there may be thousands. */
type Places = ReadonlyMap<string, readonly Place[]>;

type Page = {
  /** Targets that may have been registered as active by a call that is not known to be superseded. */
  maybeActive: Set<string>;
  carriedOut?: BalancerSpec;
  /** Where `carriedOut` has each machine. */
  places: Places;
  carriedOutMs: number;
  /** When the last call for it was over; Infinity while it goes on. One that failed may have made it all the same. */
  askedMs: number;
  isUnanswered: boolean;
  /** Since when each target that is told to drain has been, by group and machine. */
  drainingSinceMs: Map<string, number>;
  state?: BalancerState;
  /** What `state` says of each machine. */
  targets: ReadonlyMap<string, TargetView>;
};

const placesOf = (spec: BalancerSpec): Place[] =>
  spec.groups.flatMap(({ id, targets }) =>
    targets.map(({ machineId, draining }) => ({ groupId: id, machineId, draining })),
  );

function byMachine(places: readonly Place[]): Places {
  const found = new Map<string, Place[]>();
  for (const place of places) {
    const known = found.get(place.machineId);
    if (known) known.push(place);
    else found.set(place.machineId, [place]);
  }
  return found;
}

const placeId = ({ groupId, machineId }: Omit<Place, "draining">): string => `${groupId} ${machineId}`;

/** Since when every group of the balancer has been told to drain the machine. */
function drainingSince({ places, drainingSinceMs }: Page, machineId: string): number | undefined {
  const own = places.get(machineId) ?? [];
  const since = own.flatMap((place) => drainingSinceMs.get(placeId(place)) ?? []);
  return own.length > 0 && since.length === own.length ? Math.max(...since) : undefined;
}

function isCut({ carriedOut, drainingSinceMs, maybeActive }: Page, place: Omit<Place, "draining">, nowMs: number) {
  const since = drainingSinceMs.get(placeId(place));
  const { drainSeconds = 0 } = carriedOut?.groups.find(({ id }) => id === place.groupId) ?? {};
  return since !== undefined && maybeActive.has(place.machineId) && nowMs >= since + drainSeconds * 1_000;
}

/** A provider may show a balancer only so long after the call that made it. */
const lateMs = 10_000;

const blankPage = (): Page => ({
  maybeActive: new Set(),
  places: new Map(),
  carriedOutMs: Number.NEGATIVE_INFINITY,
  askedMs: Number.NEGATIVE_INFINITY,
  isUnanswered: false,
  drainingSinceMs: new Map(),
  targets: new Map(),
});

/** The call for `spec` begins: from now on it may be so. */
function noteAsked(page: Page, spec: BalancerSpec): void {
  page.askedMs = Number.POSITIVE_INFINITY;
  page.isUnanswered = true;
  for (const { machineId, draining } of placesOf(spec)) if (!draining) page.maybeActive.add(machineId);
}

/** The call for `spec` has come back without a failure. */
function noteCarriedOut(page: Page, spec: BalancerSpec, nowMs: number): void {
  const places = placesOf(spec);
  const since = new Map<string, number>();
  for (const place of places.filter(({ draining }) => draining)) {
    since.set(placeId(place), page.drainingSinceMs.get(placeId(place)) ?? nowMs);
  }
  page.maybeActive = new Set(places.filter(({ draining }) => !draining).map(({ machineId }) => machineId));
  page.carriedOut = spec;
  page.places = byMachine(places);
  page.carriedOutMs = nowMs;
  page.askedMs = nowMs;
  page.isUnanswered = false;
  page.drainingSinceMs = since;
}

function noteRemoved(page: Page): void {
  page.maybeActive.clear();
  delete page.carriedOut;
  page.places = new Map();
}

/** The provider shows the balancer so; undefined: not at all. */
function show(page: Page, state: BalancerState | undefined): void {
  if (state) page.state = state;
  else delete page.state;
  page.targets = new Map(state?.targets.map((target) => [target.machineId, target]));
}

/** A complete look that began at `startedMs` does not show it. Whether there is nothing more to know of it. */
function noteAbsent(page: Page, startedMs: number): boolean {
  show(page, undefined);
  if (page.carriedOut !== undefined) return false;
  // The last call for it was over well before that: none has made it.
  if (startedMs >= page.askedMs + lateMs) page.maybeActive.clear();
  return page.maybeActive.size === 0 && page.askedMs !== Number.POSITIVE_INFINITY;
}

export function openBalancerBook(clock: Clock): BalancerBook {
  const pages = new Map<string, Page>();
  let completeMs: number | undefined;

  function page(id: string): Page {
    const known = pages.get(id);
    if (known) return known;
    const fresh = blankPage();
    pages.set(id, fresh);
    return fresh;
  }

  const mentions = (id: string, machineId: string): boolean => pages.get(id)?.places.has(machineId) === true;

  function releasedBy(id: string, machineId: string): boolean {
    if (completeMs === undefined) return false;
    const known = pages.get(id);
    if (!known) return true;
    if (known.maybeActive.has(machineId)) return false;
    if (mentions(id, machineId) && completeMs < known.carriedOutMs) return false;
    const seen = known.targets.get(machineId)?.state;
    return seen === undefined || seen === "drained";
  }

  return {
    ensuring(spec) {
      const entry = page(spec.id);
      noteAsked(entry, spec);
      return {
        done() {
          noteCarriedOut(entry, spec, clock.monotonicMs());
        },
        failed() {
          entry.askedMs = clock.monotonicMs();
        },
        retargeted() {
          noteCarriedOut(entry, { ...(entry.carriedOut ?? spec), groups: spec.groups }, clock.monotonicMs());
          entry.isUnanswered = true;
        },
      };
    },
    removing(id) {
      return {
        done() {
          noteRemoved(page(id));
        },
      };
    },
    observed(states, startedMs, complete) {
      for (const state of states) show(page(state.id), state);
      if (!complete) return;
      completeMs = startedMs;
      const present = new Set(states.map(({ id }) => id));
      for (const [id, entry] of pages) if (!present.has(id) && noteAbsent(entry, startedMs)) pages.delete(id);
    },
    completeMs: () => completeMs,
    carriedOut: (id) => pages.get(id)?.carriedOut,
    state: (id) => pages.get(id)?.state,
    target: (id, machineId) => pages.get(id)?.targets.get(machineId),
    states: () => [...pages.values()].flatMap(({ state }) => (state ? [state] : [])),
    releasedBy,
    mentions,
    isCurrent: (id) => completeMs !== undefined && completeMs >= page(id).carriedOutMs,
    isUnanswered: (id) => pages.get(id)?.isUnanswered === true,
    isSettled: (id) => completeMs !== undefined && completeMs >= (pages.get(id)?.askedMs ?? 0),
    isUsed: (id, machineId) =>
      pages
        .get(id)
        ?.places.get(machineId)
        ?.some(({ draining }) => !draining) === true,
    isCut: (id, groupId, machineId) => isCut(page(id), { groupId, machineId }, clock.monotonicMs()),
    drainingForMs(machineId) {
      const holding = [...pages].filter(([id]) => !releasedBy(id, machineId)).map(([, entry]) => entry);
      if (holding.some(({ state }) => state?.sendsUntilDrained)) return undefined;
      const since = holding.flatMap((entry) => drainingSince(entry, machineId) ?? []);
      const isTold = completeMs !== undefined && since.length === holding.length;
      return isTold && !holding.some(({ maybeActive }) => maybeActive.has(machineId))
        ? clock.monotonicMs() - Math.max(0, ...since)
        : undefined;
    },
    released: (machineId) => completeMs !== undefined && [...pages.keys()].every((id) => releasedBy(id, machineId)),
  };
}
