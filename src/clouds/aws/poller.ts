import { DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import { type AwsMachine, machineOf } from "./instance.ts";
import { clusterTag, launchTag } from "./tags.ts";

type View = { machines: readonly AwsMachine[]; complete: boolean };

export type PollerOptions = {
  cluster: string;
  /** Told once when machines can't be listed any more, with the reason. */
  onWarning?: (message: string) => void;
};

/** The one list of machines, whoever asks for it and however often. */
export type Poller = {
  /** Never older than two seconds while something is under way, and than 35 seconds a page at rest. */
  observe(signal?: AbortSignal): Promise<View>;
  /** What was last seen, those just launched included. */
  known(): readonly AwsMachine[];
  /** These were launched just now, and may not be in the lists yet. */
  launched(machines: readonly AwsMachine[]): void;
  /** Something was asked for that will change machines. */
  stirred(): void;
};

const pageSizeMax = 1_000;
const movingMs = 2_000;
/** A third of the budget of one Describe in ten seconds; load balancers have the rest. */
const restMs = 35_000;
/** A machine that isn't listed is believed to come for so long after its launch. */
const unseenMs = 60_000;
/** After a call the lists are looked at more often for so long. */
const stirredMs = 30_000;
/** While lists fail they are asked for after 2, 4, 8 … seconds, and this at most. */
const failingMsMax = 10_000;

export function openPoller(send: Send, clock: Clock, { cluster, onWarning }: PollerOptions): Poller {
  let last: { view: View; startedMs: number; pages: number } | undefined;
  let failures = 0;
  let underWay: Promise<View> | undefined;
  let stirredAtMs = Number.NEGATIVE_INFINITY;
  let warned: string | undefined;
  const unseen = new Map<string, { machine: AwsMachine; atMs: number }>();

  async function list(signal?: AbortSignal): Promise<{ machines: AwsMachine[]; pages: number; complete: boolean }> {
    const machines: AwsMachine[] = [];
    const Filters = [
      { Name: `tag:${clusterTag}`, Values: [cluster] },
      { Name: "tag-key", Values: [launchTag] },
    ];
    let NextToken: string | undefined;
    let pages = 0;
    try {
      do {
        const command = new DescribeInstancesCommand({ Filters, MaxResults: pageSizeMax, NextToken });
        const answer = await send("ec2", command, { signal });
        pages++;
        const instances = (answer.Reservations ?? []).flatMap(({ Instances = [] }) => Instances);
        machines.push(...instances.flatMap((instance) => machineOf(instance) ?? []));
        NextToken = answer.NextToken || undefined;
      } while (NextToken !== undefined);
      warned = undefined;
      return { machines, pages, complete: true };
    } catch (error) {
      signal?.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      // An expired login is told once for all calls.
      if (warned !== message && !isKind(error, "expired")) onWarning?.(`Machines can't be listed: ${message}`);
      warned = message;
      return { machines, pages: Math.max(1, pages), complete: false };
    }
  }

  /** Machines of a moment ago that are in no list yet, as their launch showed them. */
  function awaited(listed: readonly AwsMachine[], nowMs: number): AwsMachine[] {
    for (const { id } of listed) unseen.delete(id);
    for (const [id, { atMs }] of unseen) if (nowMs - atMs > unseenMs) unseen.delete(id);
    return [...unseen.values()].map(({ machine }) => machine);
  }

  async function poll(signal?: AbortSignal): Promise<View> {
    const startedMs = clock.monotonicMs();
    const { machines, pages, complete } = await list(signal);
    const view = { machines: [...machines, ...awaited(machines, startedMs)], complete };
    last = { view, startedMs, pages };
    failures = complete ? 0 : failures + 1;
    return view;
  }

  function ageMaxMs({ view, pages }: NonNullable<typeof last>, nowMs: number): number {
    if (!view.complete) return Math.min(failingMsMax, movingMs * 2 ** (failures - 1));
    const isMoving =
      nowMs - stirredAtMs < stirredMs || view.machines.some(({ state }) => state === "pending" || state === "stopping");
    return isMoving ? movingMs : restMs * pages;
  }

  return {
    async observe(signal) {
      const nowMs = clock.monotonicMs();
      if (last && nowMs - last.startedMs < ageMaxMs(last, nowMs)) return last.view;
      underWay ??= poll(signal).finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    known: () => [...(last?.view.machines ?? []), ...[...unseen.values()].map(({ machine }) => machine)],
    launched(machines) {
      stirredAtMs = clock.monotonicMs();
      const coming = machines.filter(({ state }) => state === "pending");
      for (const machine of coming) unseen.set(machine.id, { machine, atMs: stirredAtMs });
    },
    stirred() {
      stirredAtMs = clock.monotonicMs();
    },
  };
}
