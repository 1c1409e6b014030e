import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DroverError, isCode } from "../../base/errors.ts";
import type { BalancerSpec, Balancers } from "../balancer.ts";
import {
  allNotes,
  type BalancerNote,
  balancerFolder,
  drainingSince,
  isOverdue,
  newestRunning,
  processesOf,
  processOf,
  readNote,
  writeNote,
  writeWhole,
} from "./balancer-note.ts";
import { observeBalancers } from "./balancer-view.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import { ask, planServers, presentServers } from "./haproxy-admin.ts";
import {
  assertBalancer,
  boundTo,
  certificateFiles,
  haproxyConfig,
  isPublished,
  listenerSocket,
  servedListeners,
  wantedServers,
} from "./haproxy-config.ts";

/** Does the changes of one Service one after the other. */
type InTurn = (id: string, work: () => Promise<void>) => Promise<void>;

const settleMs = 3_000;

/**
 * Services by haproxy: one process a Service, so that making or changing one disturbs no other. Targets come and go in
 * the running process; only other listeners need a new one, which takes the open sockets over while the old one lives
 * on until its last connection has ended.
 */
export function openBalancers(around: ClusterParts): Balancers {
  const last = new Map<string, Promise<unknown>>();
  const silent = new Map<string, number>();
  const inTurn: InTurn = (id, work) => {
    const before = last.get(id) ?? Promise.resolve();
    const done = before.then(work, work);
    const settled = done.catch(() => undefined).finally(() => last.get(id) === settled && last.delete(id));
    last.set(id, settled);
    return done;
  };
  return {
    ensure: (spec) => {
      assertBalancer(spec);
      return inTurn(spec.id, () => ensure(around, spec));
    },
    observe: async () => {
      await revive(around, inTurn);
      await cutOff(around);
      return observeBalancers(around, silent);
    },
    remove: (id) => inTurn(id, () => remove(around, id)),
  };
}

async function ensure(around: ClusterParts, spec: BalancerSpec): Promise<void> {
  const folder = balancerFolder(around.folder, spec.id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const before = readNote(folder);
  warnOnce(around, before?.spec, spec);
  const newest = newestRunning(await around.holder.processes(), spec.id);
  // One that goes on without a note belongs to a balancer that was removed: it listens no more.
  const runs = before === undefined ? undefined : newest;
  // Another generation than the noted one runs after a crash between its start and the note.
  const keeps = runs !== undefined && before?.generation === runs && before.bound === boundTo(spec);
  const kept: BalancerNote = {
    spec,
    generation: keeps ? runs : Math.max(before?.generation ?? 0, newest ?? 0) + 1,
    bound: boundTo(spec),
    drainingSinceMs: drainingSince(spec, before?.drainingSinceMs, around.clock.wallMs()),
    ...(before?.publishedAddress === undefined ? {} : { publishedAddress: before.publishedAddress }),
    ...(before?.unpublished === undefined ? {} : { unpublished: before.unpublished }),
  };
  if (before === undefined) writeNote(folder, { ...kept, generation: 0 });
  if (!keeps && servedListeners(spec).length > 0) await replace(around, kept, runs);
  writeNote(folder, kept);
  // Whatever starts this haproxy again after a crash finds the targets that there are now.
  writeWhole(join(folder, "haproxy.cfg"), haproxyConfig(spec, folder, wantedServers(spec)));
  if (servedListeners(spec).length > 0) await converge(around, folder, spec);
  await publish(around, folder, kept);
}

/** Starts the next process of a Service; one that runs hands over its sockets and goes on with its connections. */
async function replace(around: ClusterParts, kept: BalancerNote, runs: number | undefined): Promise<void> {
  const { spec, generation } = kept;
  const folder = balancerFolder(around.folder, spec.id);
  const admin = join(folder, "admin.sock");
  const config = join(folder, "haproxy.cfg");
  const healthy = runs === undefined ? [] : (await presentServers(admin)).filter((one) => one.up && !one.unchecked);
  const carried = wantedServers(spec).filter((want) =>
    healthy.some((one) => one.address === want.address && one.port === want.port),
  );
  for (const [path, content] of certificateFiles(spec, folder)) writeWhole(path, content);
  writeWhole(config, haproxyConfig(spec, folder, carried));
  const again = around.tools.command("haproxy", "-db", "-f", config);
  const old = (await around.holder.processes()).find(({ id }) => id === processOf(spec.id, runs ?? 0));
  const takeOver = old === undefined ? [] : ["-x", admin, "-sf", String(old.pid)];
  await around.holder.spawn({
    id: processOf(spec.id, generation),
    argv: [...again, ...takeOver],
    restart: again,
    logPath: join(folder, "haproxy.log"),
    // One that has just died is not started again either.
    replaces: processOf(spec.id, runs ?? generation - 1),
  });
  await answersAs(around, processOf(spec.id, generation), admin);
}

/** Waits for the new process to answer: until the hand-over the old one listens at the same path. */
async function answersAs(around: ClusterParts, id: string, admin: string): Promise<void> {
  const deadlineMs = around.clock.monotonicMs() + settleMs;
  const pid = (await around.holder.processes()).find((one) => one.id === id)?.pid;
  for (;;) {
    const info = await ask(admin, "show info").catch((error: Error) => error);
    if (typeof info === "string" && info.includes(`\nPid: ${pid}\n`)) return;
    if (around.clock.monotonicMs() > deadlineMs) {
      throw new DroverError("CLOUD_UNAVAILABLE", `${id} does not serve after ${settleMs / 1000} s; see its log.`);
    }
    await around.clock.sleep(20);
  }
}

/** Makes the running process's servers the wanted ones; a server that is going needs a moment to lose its sessions. */
async function converge({ clock, log }: ClusterParts, folder: string, spec: BalancerSpec): Promise<void> {
  const admin = join(folder, "admin.sock");
  const deadlineMs = clock.monotonicMs() + settleMs;
  let said = "";
  for (;;) {
    const plan = planServers(await presentServers(admin), wantedServers(spec));
    if (plan.length === 0) return;
    if (clock.monotonicMs() > deadlineMs) return log.warn(`The balancer of ${spec.name} lags behind: ${said.trim()}`);
    for (const command of plan) said = await ask(admin, command);
    await clock.sleep(20);
  }
}

/**
 * A port that can't be published is no reason to stop everything else that the Service needs: its balancer stays not
 * ready, the log says why, and every observation tries again.
 */
async function publish({ publisher, log }: ClusterParts, folder: string, kept: BalancerNote): Promise<void> {
  const { spec, unpublished, ...before } = kept;
  if (!isPublished(spec)) {
    if (kept.publishedAddress !== undefined) await publisher.withdraw(spec.id);
    return;
  }
  const listeners = servedListeners(spec).map(({ port }) => ({ port, socketPath: listenerSocket(folder, port) }));
  const preferred = kept.publishedAddress === undefined ? {} : { preferred: kept.publishedAddress };
  const { id, sourceRanges } = spec;
  const note = (more: Partial<BalancerNote>) => writeNote(folder, { ...before, spec, ...more });
  try {
    const { address } = await publisher.publish({ id, listeners, sourceRanges, ...preferred });
    if (address !== kept.publishedAddress || unpublished !== undefined) note({ publishedAddress: address });
  } catch (error) {
    if (!isCode(error, "CLOUD_INVALID") && !isCode(error, "SETUP_MISSING")) throw error;
    if (unpublished === error.message) return;
    log.warn(`${spec.name} is not published: ${error.message}`);
    note({ unpublished: error.message });
  }
}

function warnOnce({ log }: ClusterParts, before: BalancerSpec | undefined, spec: BalancerSpec): void {
  const udp = spec.listeners.filter(({ protocol }) => protocol === "UDP").map(({ port }) => port);
  if (udp.length === 0 || JSON.stringify(before?.listeners) === JSON.stringify(spec.listeners)) return;
  log.warn(`The local cloud balances TCP only: ${spec.name} is not served on UDP ${udp.join(", ")}.`);
}

async function remove(around: ClusterParts, id: string): Promise<void> {
  const folder = balancerFolder(around.folder, id);
  await around.publisher.withdraw(id);
  const own = processesOf(await around.holder.processes(), id).filter((one) => one.running);
  // Listens no more, and ends after its last connection.
  for (const one of own) await around.holder.kill(one.id, "SIGUSR1");
  rmSync(folder, { recursive: true, force: true });
}

/** Closes the connections of draining targets that have had their time. */
async function cutOff(around: ClusterParts): Promise<void> {
  const nowMs = around.clock.wallMs();
  for (const note of allNotes(around.folder)) {
    const admin = join(balancerFolder(around.folder, note.spec.id), "admin.sock");
    const overdue = wantedServers(note.spec).filter(
      ({ groupId, machineId, draining }) => draining && isOverdue(note, groupId, machineId, nowMs),
    );
    const commands = overdue.map(({ backend, name }) => `shutdown sessions server ${backend}/${name}`);
    // A haproxy that does not answer is seen to by who looks at the balancer's state.
    if (commands.length > 0) await ask(admin, commands.join("; ")).catch(() => undefined);
  }
}

/**
 * After a reboot of the computer, or the holder's death, nothing runs although the notes are there; and a port that
 * could not be published may be free by now.
 */
async function revive(around: ClusterParts, inTurn: InTurn): Promise<void> {
  const processes = await around.holder.processes();
  const lost = allNotes(around.folder).filter(
    ({ spec, unpublished }) =>
      servedListeners(spec).length > 0 && (unpublished !== undefined || processesOf(processes, spec.id).length === 0),
  );
  const again = async (id: string) => {
    // It may have been removed or changed since.
    const note = readNote(balancerFolder(around.folder, id));
    if (note !== undefined) await ensure(around, note.spec);
  };
  const revived = lost.map(({ spec }) => inTurn(spec.id, () => again(spec.id)));
  for (const one of await Promise.allSettled(revived)) {
    if (one.status === "rejected") around.log.warn(`A Service can't be served again: ${one.reason}`);
  }
}
