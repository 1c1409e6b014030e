import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BalancerSpec } from "../balancer.ts";
import type { ProcessState } from "./children.ts";

/** What is noted of a Service on disk, private keys included, so that another drover goes on where this one stopped. */
export type BalancerNote = {
  spec: BalancerSpec;
  /** Which process serves: it is followed by another one whenever the listeners change. 0: none has been started. */
  generation: number;
  bound: string;
  /** Since when (wall ms) each draining target has been, by group and machine. Absent: none is. */
  drainingSinceMs?: Readonly<Record<string, number>>;
  publishedAddress?: string;
  /** Why it could not be published, as it was logged. */
  unpublished?: string;
};

const placeId = (groupId: string, machineId: string): string => `${groupId} ${machineId}`;

/** Since when each target of `spec` that is to drain has been; `before`: of those that were to already. */
export function drainingSince(spec: BalancerSpec, before: BalancerNote["drainingSinceMs"], nowMs: number) {
  const ids = spec.groups.flatMap(({ id, targets }) =>
    targets.filter(({ draining }) => draining).map(({ machineId }) => placeId(id, machineId)),
  );
  return Object.fromEntries(ids.map((id) => [id, before?.[id] ?? nowMs]));
}

/** Whether the connections of this target have had their time. */
export function isOverdue(note: BalancerNote, groupId: string, machineId: string, nowMs: number): boolean {
  const since = note.drainingSinceMs?.[placeId(groupId, machineId)];
  const { drainSeconds = 0 } = note.spec.groups.find(({ id }) => id === groupId) ?? {};
  return since !== undefined && nowMs >= since + drainSeconds * 1_000;
}

/** The folder of one Service: its note, its configuration and its sockets. */
export const balancerFolder = (clusterFolder: string, id: string): string =>
  join(clusterFolder, "lb", createHash("sha256").update(id).digest("hex").slice(0, 10));

export const processOf = (id: string, generation: number): string => `haproxy/${id}/${generation}`;

/** Every process of a Service that the holder knows of. */
export const processesOf = (processes: readonly ProcessState[], id: string): ProcessState[] =>
  processes.filter((one) => one.id.startsWith(`haproxy/${id}/`));

/** The generation of the newest process of a Service that runs. */
export function newestRunning(processes: readonly ProcessState[], id: string): number | undefined {
  const running = processesOf(processes, id).filter((one) => one.running);
  const numbers = running.map((one) => Number(one.id.slice(one.id.lastIndexOf("/") + 1)));
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}

export function readNote(folder: string): BalancerNote | undefined {
  try {
    const note = JSON.parse(readFileSync(join(folder, "note.json"), "utf8")) as BalancerNote;
    return "groups" in note.spec ? note : { ...note, spec: upgraded(note.spec) };
  } catch {
    return undefined;
  }
}

/** As earlier versions noted it: a target served listener `i` on `ports[i]`. */
type FormerSpec = Omit<BalancerSpec, "listeners" | "groups"> & {
  listeners: readonly { port: number; protocol: "TCP" | "UDP" }[];
  targets: readonly { machineId: string; address: string; ports: readonly number[]; draining: boolean }[];
};

const drainMaxSeconds = 3_600;

function upgraded({ targets, ...spec }: FormerSpec): BalancerSpec {
  const idOf = ({ port, protocol }: FormerSpec["listeners"][number]) => `${port}-${protocol}`;
  const groups = spec.listeners.map((listener, index) => ({
    id: idOf(listener),
    protocol: listener.protocol,
    targets: targets.flatMap(({ ports, ...target }) => (ports[index] ? [{ ...target, port: ports[index] }] : [])),
    drainSeconds: drainMaxSeconds,
  }));
  const listeners = spec.listeners.map((one) => ({ ...one, forward: [{ groupId: idOf(one), weight: 1 }] }));
  return { ...spec, kind: "network", listeners, groups, sourceRanges: [], annotations: {} };
}

export const writeNote = (folder: string, note: BalancerNote): void =>
  writeWhole(join(folder, "note.json"), JSON.stringify(note));

/** All or nothing: a crash in between leaves the old file. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The notes of every Service of a cluster. */
export function allNotes(clusterFolder: string): BalancerNote[] {
  const root = join(clusterFolder, "lb");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return readdirSync(root).flatMap((name) => readNote(join(root, name)) ?? []);
}
