/**
 * What controllers remember of their own calls, for this process only. It saves calls; nothing that must survive a
 * restart is in it.
 */
export type Memory = {
  /** The last event of a machine that was written down. */
  toldUpTo: Map<string, number>;
  /** When the end of a machine was last asked for, monotonic ms. */
  endAskedMs: Map<string, number>;
  /** The names that were last written to the machines' resolvers, by name, as text. */
  namesWritten: Map<string, string>;
};

export const openMemory = (): Memory => ({ toldUpTo: new Map(), endAskedMs: new Map(), namesWritten: new Map() });
