import { equal } from "../api/equal.ts";
import type { Clock } from "../base/clock.ts";
import type { BalancerState } from "../clouds/balancer.ts";
import type { Cloud, Machine, Offer } from "../clouds/cloud.ts";
import type { BalancerBook } from "./balancer-book.ts";
import { type Complaints, openComplaints } from "./complaints.ts";
import type { Log } from "./run.ts";
import { openSightings, type Sight } from "./sightings.ts";

/** What is known anew: of machines, of balancers, and of machines as targets. */
export type PollChange = {
  machineIds: readonly string[];
  balancerIds: readonly string[];
  targetIds: readonly string[];
};

export type PollOptions = {
  clock: Clock;
  cloud: Cloud;
  book: BalancerBook;
  log: Log;
  signal: AbortSignal;
  /** Time between two polls while something is under way, and at rest. */
  fastMs: number;
  slowMs: number;
  /** Whether something is under way. */
  busy: () => boolean;
  /** Machines that should be there. */
  expected: () => Iterable<string>;
  onChange: (change: PollChange) => void;
  /** Balancers could not be looked at, and why. */
  onUnobserved: (why: string) => Promise<void>;
  /** Machines can be listed again after a time in which they could not. */
  onRecovery: () => void;
};

/** The one observer of machines and balancers. */
export type Poll = {
  /** Begins; before that nothing is known. */
  start(): void;
  sight(machineId: string): Sight;
  machines(): readonly Machine[];
  /** Machines have been listed completely once. */
  complete(): boolean;
  /** Offers and how old they are; absent before the first call. */
  offers(): { list: readonly Offer[]; ageMs: number } | undefined;
  refreshOffers(signal: AbortSignal): Promise<void>;
  /** Polls soon, even at rest. */
  kick(): void;
};

type BalancerChange = Pick<PollChange, "balancerIds" | "targetIds">;

type Told = { balancerIds: Set<string>; targetIds: Set<string> };

/** Adds the balancer, and its machines, if what is said of them is not what was said before. */
function compare(told: Told, id: string, before: BalancerState | undefined, after: BalancerState | undefined): void {
  const own = ({ targets: _, ...said }: BalancerState) => said;
  if (!equal(before && own(before), after && own(after))) told.balancerIds.add(id);
  const known = new Map(before?.targets.map((target) => [target.machineId, target]));
  const tell = (machineId: string) => {
    told.balancerIds.add(id);
    told.targetIds.add(machineId);
  };
  for (const { machineId, state, reason } of after?.targets ?? []) {
    const last = known.get(machineId);
    if (last?.state !== state || last.reason !== reason) tell(machineId);
    known.delete(machineId);
  }
  for (const machineId of known.keys()) tell(machineId);
}

const byId = (states: readonly BalancerState[]) => new Map(states.map((state) => [state.id, state]));

async function pollBalancers(
  { clock, cloud, book, signal, onUnobserved }: PollOptions,
  complaints: Complaints,
): Promise<BalancerChange> {
  const startedMs = clock.monotonicMs();
  try {
    const before = byId(book.states());
    const { balancers, complete } = await cloud.balancers.observe(signal);
    const isFirst = complete && book.completeMs() === undefined;
    complaints.over("Balancers");
    book.observed(balancers, startedMs, complete);
    const after = byId(book.states());
    const told: Told = { balancerIds: new Set(), targetIds: new Set() };
    for (const id of new Set([...before.keys(), ...after.keys()])) {
      // With the first complete look everything is told, what only a part of a look had shown before it included.
      if (isFirst) compare(told, id, before.get(id), undefined);
      compare(told, id, isFirst ? undefined : before.get(id), after.get(id));
    }
    return { balancerIds: [...told.balancerIds], targetIds: [...told.targetIds] };
  } catch (error) {
    if (!signal.aborted) await onUnobserved(error instanceof Error ? error.message : String(error));
    if (!signal.aborted) complaints.failed("Balancers", error);
    return { balancerIds: [], targetIds: [] };
  }
}

export function openPoll(options: PollOptions): Poll {
  const { clock, cloud, log, signal } = options;
  const sightings = openSightings();
  const complaints = openComplaints(log);
  let offers: { list: readonly Offer[]; atMs: number } | undefined;
  let rest: AbortController | undefined;
  let kicked = false;

  async function pollMachines(): Promise<{ machineIds: string[]; complete: boolean }> {
    try {
      const { machines, complete } = await cloud.machines.observe(signal);
      complaints.over("Machines");
      const changed = sightings.take(machines, complete, options.expected(), clock.monotonicMs());
      if (sightings.massAbsence()) log.warn({}, "Many machines are missing at once: nothing is replaced for that.");
      return { machineIds: changed, complete };
    } catch (error) {
      if (!signal.aborted) complaints.failed("Machines", error);
      return { machineIds: [], complete: false };
    }
  }

  /** However often somebody asks, two polls are `fastMs` apart. */
  async function pause(): Promise<void> {
    kicked = false;
    await clock.sleep(options.fastMs, signal).catch(() => {});
    if (kicked || options.busy()) return;
    rest = new AbortController();
    await clock.sleep(Math.max(0, options.slowMs - options.fastMs), rest.signal).catch(() => {});
  }

  async function loop(): Promise<void> {
    let wasComplete = true;
    while (!signal.aborted) {
      const [machines, change] = await Promise.all([pollMachines(), pollBalancers(options, complaints)]);
      if (signal.aborted) return;
      options.onChange({ machineIds: machines.machineIds, ...change });
      if (machines.complete && !wasComplete) options.onRecovery();
      wasComplete = machines.complete;
      await pause();
    }
  }

  signal.addEventListener("abort", () => rest?.abort("kicked"), { once: true });
  return {
    start: () => void loop(),
    sight: (machineId) => sightings.sight(machineId, clock.monotonicMs()),
    machines: sightings.machines,
    complete: sightings.complete,
    offers: () => offers && { list: offers.list, ageMs: clock.monotonicMs() - offers.atMs },
    async refreshOffers(offersSignal) {
      offers = { list: await cloud.machines.offers(offersSignal), atMs: clock.monotonicMs() };
    },
    kick() {
      kicked = true;
      rest?.abort("kicked");
    },
  };
}
