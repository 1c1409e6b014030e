import type { Clock } from "../base/clock.ts";
import type { Volume, Volumes } from "../clouds/volume.ts";
import { openComplaints } from "./complaints.ts";
import type { Log } from "./run.ts";

/** The one observer of disks. It looks only while there are claims or volumes, and rarely while none of them moves. */
export type DiskPoll = {
  start(): void;
  disk(id: string): Volume | undefined;
  disks(): readonly Volume[];
  /** All of them have been seen once. */
  complete(): boolean;
  /** Looks soon, even at rest. */
  kick(): void;
};

export type DiskPollOptions = {
  clock: Clock;
  volumes: Pick<Volumes, "observe">;
  log: Log;
  signal: AbortSignal;
  /** Whether anything could have a disk. */
  needed: () => boolean;
  /** Whether a disk is on its way somewhere. */
  busy: () => boolean;
  onChange: (ids: readonly string[]) => void;
};

const fastMs = 1_000;
const slowMs = 60_000;

export function openDiskPoll({ clock, volumes, log, signal, needed, busy, onChange }: DiskPollOptions): DiskPoll {
  const seen = new Map<string, Volume>();
  const complaints = openComplaints(log);
  let isComplete = false;
  let rest: AbortController | undefined;

  /** Takes over what was seen; an id that a complete look does not list any more has changed too. */
  function take(listed: readonly Volume[], complete: boolean): string[] {
    const changed = listed.filter((volume) => JSON.stringify(seen.get(volume.id)) !== JSON.stringify(volume));
    for (const volume of changed) seen.set(volume.id, volume);
    const ids = new Set(listed.map(({ id }) => id));
    const left = complete ? [...seen.keys()].filter((id) => !ids.has(id)) : [];
    for (const id of left) seen.delete(id);
    return [...changed.map(({ id }) => id), ...left];
  }

  async function look(): Promise<void> {
    try {
      const { volumes: listed, complete } = await volumes.observe(signal);
      complaints.over("Disks");
      const isFirst = complete && !isComplete;
      isComplete ||= complete;
      const changed = take(listed, complete);
      if (changed.length > 0 || isFirst) onChange(changed);
    } catch (error) {
      if (!signal.aborted) complaints.failed("Disks", error);
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      if (needed() || !isComplete) await look();
      const pauseMs = needed() && busy() ? fastMs : slowMs;
      rest = new AbortController();
      const both = AbortSignal.any([signal, rest.signal]);
      await clock.sleep(pauseMs, both).catch(() => {});
    }
  }

  return {
    start: () => void loop(),
    disk: (id) => seen.get(id),
    disks: () => [...seen.values()],
    complete: () => isComplete,
    kick: () => rest?.abort("kicked"),
  };
}
