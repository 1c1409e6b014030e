/**
 * What controllers remember of their own calls, for this process only. It saves calls; nothing that must survive a
 * restart is in it.
 */
export type Memory = {
  /** The last event of a machine that was written down. */
  toldUpTo: Map<string, number>;
  /** When the end of a machine was last asked for, monotonic ms, and how often. */
  endAsked: Map<string, { atMs: number; times: number }>;
  /** What the Pod's files on a machine were made from, and when, monotonic ms. */
  sourcesSent: Map<string, { sources: string; atMs: number }>;
  /** Pods that lost their machine before they were ever ready, by uid: whose they were, and when, wall ms. */
  losses: Map<string, { owner: string; atMs: number }>;
  /** Pools that took a machine back for want of capacity, and when, wall ms. */
  poorPools: Map<string, number>;
  /** Machines of nobody that were told of. */
  strangersTold: Set<string>;
};

export const openMemory = (): Memory => ({
  toldUpTo: new Map(),
  endAsked: new Map(),
  sourcesSent: new Map(),
  losses: new Map(),
  poorPools: new Map(),
  strangersTold: new Set(),
});

/** Losses further back count for nothing any more. */
const lossKeepMs = 1_200_000;
/** A pool without capacity is left alone for so long. */
export const poolRestMs = 180_000;

/** Lets go of what is remembered of machines that are in no record any more. */
export function prune(memory: Memory, isKnown: (machineId: string) => boolean, nowMs: number): void {
  for (const map of [memory.toldUpTo, memory.endAsked, memory.sourcesSent]) {
    for (const machineId of map.keys()) if (!isKnown(machineId)) map.delete(machineId);
  }
  for (const [uid, { atMs }] of memory.losses) if (atMs + lossKeepMs <= nowMs) memory.losses.delete(uid);
  for (const [pool, atMs] of memory.poorPools) if (atMs + poolRestMs <= nowMs) memory.poorPools.delete(pool);
}
