import type { Machine } from "../clouds/cloud.ts";

/**
 * What is known of a machine: its last observed form, and whether its end is certain. Silence is never an end.
 * `stoodStillMs`: for how long the provider has said that it neither runs nor ends: somebody stopped it. While many are
 * stopped at once that counts for nothing, as it is what somebody wants.
 */
export type Sight = { machine?: Machine; gone: boolean; cause?: string; stoodStillMs?: number };

/** A machine that complete polls have not listed for so long has ended, unless many are missing at once. */
const absentMs = 120_000;
const absentShareMax = 0.5;
const absentAlwaysAllowed = 3;

const order = ["pending", "running", "stopping", "gone"] as const;

/** A machine's life has one direction: what a late answer tells of its past is not taken over. */
const isLate = (known: Machine | undefined, machine: Machine): boolean =>
  known !== undefined && order.indexOf(machine.state) < order.indexOf(known.state);

const isSame = (a: Machine | undefined, b: Machine): boolean =>
  a !== undefined && a.state === b.state && a.address === b.address && a.cause === b.cause;

/** A machine that runs has no cause of an end. */
const isStill = ({ state, cause }: Machine): boolean => state === "running" && cause !== undefined;

/** What the polls have shown of machines, added up. */
export type Sightings = {
  /** Takes over one poll, returns the ids of machines of which more is known now. `expected`: those that should be. */
  take(machines: readonly Machine[], complete: boolean, expected: Iterable<string>, nowMs: number): string[];
  sight(machineId: string, nowMs: number): Sight;
  machines(): readonly Machine[];
  /** Everything has been seen once. */
  complete(): boolean;
  /** More machines are missing at once than may end by themselves: their absence counts for nothing. */
  massAbsence(): boolean;
};

export function openSightings(): Sightings {
  const seen = new Map<string, Machine>();
  const absentSince = new Map<string, number>();
  const stillSince = new Map<string, number>();
  let massAbsence = false;
  let massStandstill = false;
  let isComplete = false;

  function takeComplete(listed: ReadonlySet<string>, expected: ReadonlySet<string>, nowMs: number): string[] {
    const missing = [...expected].filter((id) => !listed.has(id) && seen.get(id)?.state !== "gone");
    const many = Math.max(absentAlwaysAllowed, expected.size * absentShareMax);
    massAbsence = missing.length > many;
    massStandstill = stillSince.size > many;
    for (const id of missing) absentSince.set(id, absentSince.get(id) ?? nowMs);
    for (const id of seen.keys()) if (!listed.has(id) && !expected.has(id)) seen.delete(id);
    for (const since of [absentSince, stillSince]) {
      for (const id of since.keys()) if (!expected.has(id)) since.delete(id);
    }
    return missing.filter((id) => nowMs - (absentSince.get(id) ?? nowMs) >= absentMs);
  }

  return {
    take(machines, complete, expected, nowMs) {
      const changed: string[] = [];
      for (const machine of machines) {
        absentSince.delete(machine.id);
        if (!isStill(machine)) stillSince.delete(machine.id);
        else if (!stillSince.has(machine.id)) stillSince.set(machine.id, nowMs);
        const known = seen.get(machine.id);
        if (isSame(known, machine) || isLate(known, machine)) continue;
        seen.set(machine.id, machine);
        changed.push(machine.id);
      }
      const listed = new Set(machines.map(({ id }) => id));
      isComplete ||= complete;
      return complete ? [...changed, ...takeComplete(listed, new Set(expected), nowMs)] : changed;
    },
    sight(machineId, nowMs) {
      const machine = seen.get(machineId);
      if (machine?.state === "gone") {
        return { machine, gone: true, ...(machine.cause !== undefined && { cause: machine.cause }) };
      }
      const sinceMs = absentSince.get(machineId);
      const gone = !massAbsence && sinceMs !== undefined && nowMs - sinceMs >= absentMs;
      const stillMs = stillSince.get(machineId);
      return {
        ...(machine && { machine }),
        gone,
        ...(gone && { cause: "the provider no longer lists it" }),
        ...(stillMs !== undefined && { stoodStillMs: massStandstill ? 0 : nowMs - stillMs }),
      };
    },
    machines: () => [...seen.values()],
    complete: () => isComplete,
    massAbsence: () => massAbsence,
  };
}
