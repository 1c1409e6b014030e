import type { Simulation } from "../simulation.ts";

/** At most one machine per Pod UID, ever: counted over launches' slots and over what boxes were bound to. */
export function oneMachinePerPod({ world }: Simulation): string[] {
  const machines = new Map<string, Set<string>>();
  for (const { id, box } of world.machines.values()) {
    const uid = box.binding()?.uid;
    if (uid !== undefined) machines.set(uid, (machines.get(uid) ?? new Set()).add(id));
  }
  return [...machines]
    .filter(([, ids]) => ids.size > 1)
    .map(([uid, ids]) => `Pod ${uid} is on ${[...ids].join(" and ")}`);
}

/** A machine that the store has no record of is left alone. */
export function strangersLive({ world, strangers }: Simulation): string[] {
  return strangers
    .map((id) => world.machines.get(id))
    .filter((machine) => machine !== undefined && Number.isFinite(machine.stoppingAtMs))
    .map((machine) => `unclaimed machine ${machine?.id} was ended`);
}

/** A Pod fails only when its machine has really ended, or when it was stopped: no process of the workload ends by itself. */
export function failedOnlyWhenDead({ world, view }: Simulation): string[] {
  const failed = view
    .list("pods")
    .filter(({ metadata, status }) => status?.phase === "Failed" && metadata.deletionTimestamp === undefined);
  const uids = new Set(failed.map(({ metadata }) => metadata.uid));
  return [...world.machines.values()]
    .filter(({ box, stoppingAtMs }) => uids.has(box.binding()?.uid) && !Number.isFinite(stoppingAtMs))
    .map(({ id }) => `the Pod on ${id} was given up although the machine lives`);
}
