import type { Clock } from "../base/clock.ts";
import type { BalancerState, Cloud, Machine, Offer } from "../clouds/cloud.ts";
import type { BalancerBook } from "./balancer-book.ts";
import type { Log } from "./run.ts";
import { openSightings, type Sight } from "./sightings.ts";

export type PollChange = { machineIds: readonly string[]; balancerIds: readonly string[] };

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

const textOf = ({ ready, addresses, targets }: BalancerState): string =>
  JSON.stringify([ready, addresses, targets.map(({ machineId, state }) => [machineId, state])]);

const textsOf = (book: BalancerBook): Map<string, string> =>
  new Map(book.states().map((state) => [state.id, textOf(state)]));

async function pollBalancers({ clock, cloud, book, log, signal }: PollOptions): Promise<string[]> {
  const startedMs = clock.monotonicMs();
  try {
    const before = textsOf(book);
    const { balancers, complete } = await cloud.balancers.observe(signal);
    const isFirst = complete && book.completeMs() === undefined;
    book.observed(balancers, startedMs, complete);
    const after = textsOf(book);
    const ids = new Set([...before.keys(), ...after.keys()]);
    return [...ids].filter((id) => isFirst || before.get(id) !== after.get(id));
  } catch (error) {
    if (!signal.aborted) log.warn({ error }, `Balancers can't be observed: ${String(error)}`);
    return [];
  }
}

export function openPoll(options: PollOptions): Poll {
  const { clock, cloud, log, signal } = options;
  const sightings = openSightings();
  let offers: { list: readonly Offer[]; atMs: number } | undefined;
  let rest: AbortController | undefined;
  let kicked = false;

  async function pollMachines(): Promise<string[]> {
    try {
      const { machines, complete } = await cloud.machines.observe(signal);
      const changed = sightings.take(machines, complete, options.expected(), clock.monotonicMs());
      if (sightings.massAbsence()) log.warn({}, "Many machines are missing at once: nothing is replaced for that.");
      return changed;
    } catch (error) {
      if (!signal.aborted) log.warn({ error }, `Machines can't be observed: ${String(error)}`);
      return [];
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
    while (!signal.aborted) {
      const [machineIds, balancerIds] = await Promise.all([pollMachines(), pollBalancers(options)]);
      if (signal.aborted) return;
      options.onChange({ machineIds, balancerIds });
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
