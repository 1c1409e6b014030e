import type { Clock } from "../base/clock.ts";
import type { Volume, Volumes } from "../clouds/volume.ts";
import { handleOf } from "../machines/disks.ts";
import type { View } from "../registry/view.ts";
import { openComplaints } from "./complaints.ts";
import type { Log } from "./run.ts";

/** The one observer of disks. It looks only while there are claims or volumes, and rarely while none of them moves. */
export type DiskPoll = {
  start(): void;
  disk(id: string): Volume | undefined;
  /** By the provider's own name; `sought`: a look that went well was for this disk too. */
  named(handle: string): { disk?: Volume; sought: boolean };
  disks(): readonly Volume[];
  /** All of them have been seen once. */
  complete(): boolean;
  /** Looks soon, even at rest. */
  kick(): void;
};

export type DiskPollOptions = {
  clock: Clock;
  volumes: Pick<Volumes, "observe" | "find">;
  log: Log;
  signal: AbortSignal;
  /** Whether anything could have a disk. */
  needed: () => boolean;
  /** Disks that are needed, whoever made them, by the provider's own names. */
  handles: () => readonly string[];
  /** Whether a disk is on its way somewhere. */
  busy: () => boolean;
  onChange: (ids: readonly string[]) => void;
};

/** Claims and volumes have disks. */
export const diskNeeds = (view: View): Pick<DiskPollOptions, "needed" | "handles"> => ({
  needed: () => view.list("persistentvolumeclaims").length + view.list("persistentvolumes").length > 0,
  handles: () => view.list("persistentvolumes").flatMap((volume) => handleOf(volume) ?? []),
});

const fastMs = 1_000;
const slowMs = 60_000;

export function openDiskPoll(options: DiskPollOptions): DiskPoll {
  const { clock, volumes, log, signal, needed, busy, onChange } = options;
  const seen = new Map<string, Volume>();
  let sought: ReadonlySet<string> = new Set();
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
      const handles = options.handles();
      const { volumes: own, complete } = await volumes.observe(signal);
      const present = new Set(own.map(({ handle }) => handle));
      const others = handles.filter((handle) => !present.has(handle));
      const found = others.length === 0 ? [] : ((await volumes.find?.(others, signal)) ?? []);
      complaints.over("Disks");
      const isFirst = complete && !isComplete;
      isComplete ||= complete;
      if (complete) sought = new Set(handles);
      const changed = take([...own, ...found], complete);
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
    named(handle) {
      const disk = [...seen.values()].find((each) => each.handle === handle);
      return { ...(disk && { disk }), sought: sought.has(handle) };
    },
    disks: () => [...seen.values()],
    complete: () => isComplete,
    kick: () => rest?.abort("kicked"),
  };
}
