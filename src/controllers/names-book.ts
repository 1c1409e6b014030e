import type { Clock } from "../base/clock.ts";
import type { NameRecord } from "../clouds/cloud.ts";

/**
 * What names were written and which answers may still be remembered somewhere, so that a machine is stopped only after
 * nobody is sent to it any more. Kept in memory: after a start a name is not known before it was written anew.
 */
export type NamesBook = {
  /** What was last written, by name, as JSON. */
  written: ReadonlyMap<string, string>;
  /** These are answered from now on. */
  changed(records: readonly NameRecord[]): void;
  /** Nobody is told, or remembers, that `name` stands for `address`. `isRecorded`: an earlier process may have said so. */
  forgotten(name: string, address: string, isRecorded: boolean): boolean;
};

/** Of names that stand for Pods: one that has gone is out of every resolver's answers after so long. */
export const podTtlSeconds = 5;

export function openNamesBook({ monotonicMs }: Pick<Clock, "monotonicMs">): NamesBook {
  const written = new Map<string, string>();
  /** Until when anything may be remembered of a name, and until when an address of it. */
  const untilMs = new Map<string, number>();

  function change(record: NameRecord): void {
    const { name, values } = record;
    const text = written.get(name);
    const before = text === undefined ? undefined : (JSON.parse(text) as NameRecord);
    if (!before) untilMs.set(name, monotonicMs() + podTtlSeconds * 1_000);
    for (const address of before?.values ?? []) {
      if (!values.includes(address)) {
        untilMs.set(`${name} ${address}`, monotonicMs() + (before?.ttlSeconds ?? 0) * 1_000);
      }
    }
    written.set(name, JSON.stringify(record));
  }

  return {
    written,
    changed(records) {
      for (const [id, ms] of untilMs) if (ms <= monotonicMs()) untilMs.delete(id);
      for (const record of records) change(record);
    },
    forgotten(name, address, isRecorded) {
      const text = written.get(name);
      if (text === undefined) return !isRecorded;
      if ((JSON.parse(text) as NameRecord).values.includes(address)) return false;
      return monotonicMs() >= Math.max(untilMs.get(`${name} ${address}`) ?? 0, untilMs.get(name) ?? 0);
    },
  };
}
