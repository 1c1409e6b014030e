import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { isCode } from "../../base/errors.ts";
import type { BalancerSpec, BalancerState, Balancers, TargetState } from "../cloud.ts";
import type { ProcessState } from "./children.ts";
import { ask, type PresentServer, planServers, presentServers } from "./haproxy-admin.ts";
import {
  assertBalancer,
  boundTo,
  haproxyConfig,
  listenerSocket,
  tcpListeners,
  wantedServers,
} from "./haproxy-config.ts";
import type { Holder, Log } from "./holder-client.ts";
import type { Publisher } from "./publisher-client.ts";
import type { Tools } from "./tools.ts";

/** What is kept of a Service on disk, so that another drover goes on where this one stopped. */
type Kept = {
  spec: BalancerSpec;
  /** Which process serves: it is followed by another one whenever the listeners change. */
  generation: number;
  bound: string;
  publishedAddress?: string;
  /** Why it could not be published, as it was logged. */
  unpublished?: string;
};

export type BalancerSurroundings = {
  /** The cluster's folder. */
  folder: string;
  holder: Holder;
  publisher: Publisher;
  tools: Tools;
  clock: Clock;
  log: Log;
};

const settleMs = 3_000;
/** A haproxy that is silent for so long is said to serve nobody; before that nothing is said about its targets. */
const silenceMs = 5_000;

/**
 * Services by haproxy: one process a Service, so that making or changing one disturbs no other. Targets come and go in
 * the running process; only other listeners need a new one, which takes the open sockets over while the old one lives
 * on until its last connection has ended.
 */
export function openBalancers(around: BalancerSurroundings): Balancers {
  const last = new Map<string, Promise<unknown>>();
  const silent = new Map<string, number>();
  /** Changes of one Service in turn. */
  const inTurn = <T>(id: string, work: () => Promise<T>): Promise<T> => {
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
      await revive(around, (spec) => inTurn(spec.id, () => ensure(around, spec)));
      return observe(around, silent);
    },
    remove: (id) => inTurn(id, () => remove(around, id)),
  };
}

const folderOf = (around: BalancerSurroundings, id: string): string =>
  join(around.folder, "lb", createHash("sha256").update(id).digest("hex").slice(0, 10));

const processOf = (id: string, generation: number): string => `haproxy/${id}/${generation}`;

/** Numbers of a Service's processes, the newest first. */
const generations = (processes: readonly ProcessState[], id: string, running: boolean): number[] =>
  processes
    .filter((one) => one.id.startsWith(`haproxy/${id}/`) && (one.running || !running))
    .map((one) => Number(one.id.slice(one.id.lastIndexOf("/") + 1)))
    .sort((a, b) => b - a);

function readKept(folder: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "kept.json"), "utf8")) as Kept;
  } catch {
    return undefined;
  }
}

/** All or nothing: a crash in between leaves the old file. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

async function ensure(around: BalancerSurroundings, spec: BalancerSpec): Promise<void> {
  const folder = folderOf(around, spec.id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const before = readKept(folder);
  warnOnce(around, before?.spec, spec);
  const runs = generations(await around.holder.processes(), spec.id, true)[0];
  // Another generation than the noted one runs after a crash between its start and the note.
  const keeps = runs !== undefined && before?.generation === runs && before.bound === boundTo(spec);
  const kept: Kept = {
    spec,
    generation: keeps ? runs : Math.max(before?.generation ?? 0, runs ?? 0) + 1,
    bound: boundTo(spec),
    ...(before?.publishedAddress === undefined ? {} : { publishedAddress: before.publishedAddress }),
    ...(before?.unpublished === undefined ? {} : { unpublished: before.unpublished }),
  };
  if (!keeps && tcpListeners(spec).length > 0) await replace(around, kept, runs);
  write(join(folder, "kept.json"), JSON.stringify(kept));
  // Whatever starts this haproxy again after a crash finds the targets that there are now.
  write(join(folder, "haproxy.cfg"), haproxyConfig(spec, folder, wantedServers(spec)));
  if (tcpListeners(spec).length > 0) await converge(around, folder, spec);
  await publish(around, folder, kept);
}

/** Starts the next process of a Service; one that runs hands over its sockets and goes on with its connections. */
async function replace(around: BalancerSurroundings, kept: Kept, runs: number | undefined): Promise<void> {
  const { spec, generation } = kept;
  const folder = folderOf(around, spec.id);
  const admin = join(folder, "admin.sock");
  const config = join(folder, "haproxy.cfg");
  const healthy = runs === undefined ? [] : (await presentServers(admin)).filter((one) => one.up && !one.unchecked);
  const carried = wantedServers(spec).filter((want) =>
    healthy.some((one) => one.backend === want.backend && one.name === want.name && one.port === want.port),
  );
  write(config, haproxyConfig(spec, folder, carried));
  const again = around.tools.command("haproxy", "-db", "-f", config);
  const old = (await around.holder.processes()).find(({ id }) => id === processOf(spec.id, runs ?? 0));
  const takeOver = old === undefined ? [] : ["-x", admin, "-sf", String(old.pid)];
  await around.holder.spawn({
    id: processOf(spec.id, generation),
    argv: [...again, ...takeOver],
    restart: again,
    logPath: join(folder, "haproxy.log"),
    ...(runs === undefined ? {} : { replaces: processOf(spec.id, runs) }),
  });
  await answersAs(around, processOf(spec.id, generation), admin);
}

/** Waits for the new process to answer: until the hand-over the old one listens at the same path. */
async function answersAs(around: BalancerSurroundings, id: string, admin: string): Promise<void> {
  const deadlineMs = around.clock.monotonicMs() + settleMs;
  const pid = (await around.holder.processes()).find((one) => one.id === id)?.pid;
  for (;;) {
    const info = await ask(admin, "show info").catch((error: Error) => error);
    if (typeof info === "string" && info.includes(`\nPid: ${pid}\n`)) return;
    if (around.clock.monotonicMs() > deadlineMs) {
      throw info instanceof Error ? info : new Error(`${id} did not take over within ${settleMs / 1000} s`);
    }
    await around.clock.sleep(20);
  }
}

/** Makes the running process's servers the wanted ones; a server that is going needs a moment to lose its sessions. */
async function converge(around: BalancerSurroundings, folder: string, spec: BalancerSpec): Promise<void> {
  const admin = join(folder, "admin.sock");
  const deadlineMs = around.clock.monotonicMs() + settleMs;
  for (;;) {
    const plan = planServers(await presentServers(admin), wantedServers(spec));
    if (plan.length === 0 || around.clock.monotonicMs() > deadlineMs) break;
    for (const command of plan) await ask(admin, command);
    await around.clock.sleep(20);
  }
}

/**
 * A port that can't be published is no reason to stop everything else that the Service needs: its balancer stays not
 * ready, the log says why, and every observation tries again.
 */
async function publish({ publisher, log }: BalancerSurroundings, folder: string, kept: Kept): Promise<void> {
  const { spec, unpublished, ...before } = kept;
  if (spec.scheme === "internal") {
    if (kept.publishedAddress !== undefined) await publisher.withdraw(spec.id);
    return;
  }
  const listeners = tcpListeners(spec).map(({ port }) => ({ port, socketPath: listenerSocket(folder, port) }));
  const preferred = kept.publishedAddress === undefined ? {} : { preferred: kept.publishedAddress };
  const note = (more: Partial<Kept>) => write(join(folder, "kept.json"), JSON.stringify({ ...before, spec, ...more }));
  try {
    const { address } = await publisher.publish({ id: spec.id, listeners, ...preferred });
    if (address !== kept.publishedAddress || unpublished !== undefined) note({ publishedAddress: address });
  } catch (error) {
    if (!isCode(error, "CLOUD_INVALID") && !isCode(error, "SETUP_MISSING")) throw error;
    if (unpublished === error.message) return;
    log.warn(`${spec.name} is not published: ${error.message}`);
    note({ unpublished: error.message });
  }
}

function warnOnce({ log }: BalancerSurroundings, before: BalancerSpec | undefined, spec: BalancerSpec): void {
  const udp = spec.listeners.filter(({ protocol }) => protocol === "UDP").map(({ port }) => port);
  if (udp.length === 0 || JSON.stringify(before?.listeners) === JSON.stringify(spec.listeners)) return;
  log.warn(`The local cloud balances TCP only: ${spec.name} is not served on UDP ${udp.join(", ")}.`);
}

async function remove(around: BalancerSurroundings, id: string): Promise<void> {
  const folder = folderOf(around, id);
  await around.publisher.withdraw(id);
  const own = (await around.holder.processes()).filter((one) => one.running && one.id.startsWith(`haproxy/${id}/`));
  // Listens no more, and ends after its last connection.
  for (const one of own) await around.holder.kill(one.id, "SIGUSR1");
  rmSync(folder, { recursive: true, force: true });
}

/** Every Service's own note. */
function allKept({ folder }: BalancerSurroundings): Kept[] {
  const root = join(folder, "lb");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return readdirSync(root).flatMap((name) => readKept(join(root, name)) ?? []);
}

/**
 * After a reboot of the computer, or the holder's death, nothing runs although the notes are there; and a port that
 * could not be published may be free by now.
 */
async function revive(around: BalancerSurroundings, again: (spec: BalancerSpec) => Promise<void>): Promise<void> {
  const processes = await around.holder.processes();
  const lost = allKept(around).filter(
    ({ spec, unpublished }) =>
      tcpListeners(spec).length > 0 &&
      (unpublished !== undefined || generations(processes, spec.id, false).length === 0),
  );
  await Promise.all(lost.map(({ spec }) => again(spec).catch((error: Error) => around.log.warn(error.message))));
}

/** `silent`: since when (monotonic) each Service's haproxy has not answered. */
async function observe(around: BalancerSurroundings, silent: Map<string, number>): ReturnType<Balancers["observe"]> {
  const all = allKept(around);
  const [processes, published] = await Promise.all([around.holder.processes(), around.publisher.list()]);
  const states = await Promise.all(
    all.map(async ({ spec, generation }): Promise<BalancerState | undefined> => {
      const own = processes.filter((one) => one.running && one.id.startsWith(`haproxy/${spec.id}/`));
      const serves = own.find((one) => one.id === processOf(spec.id, generation));
      const admin = join(folderOf(around, spec.id), "admin.sock");
      const present = serves === undefined ? undefined : await presentServers(admin).catch(() => undefined);
      const answers = present !== undefined || tcpListeners(spec).length === 0;
      const nowMs = around.clock.monotonicMs();
      const since = silent.get(spec.id) ?? nowMs;
      if (answers) silent.delete(spec.id);
      else silent.set(spec.id, since);
      if (!answers && nowMs - since < silenceMs) return undefined;
      // Whoever can't be asked may still carry connections.
      const old = own.filter((one) => one !== serves || !answers).map(({ pid }) => pid);
      const lingering = old.length === 0 ? [] : await around.holder.connections(old);
      const address = published.find((one) => one.id === spec.id)?.address;
      const state = stateOf(spec, present ?? [], lingering, address);
      return { ...state, ready: state.ready && answers };
    }),
  );
  const balancers = states.filter((state) => state !== undefined);
  return { balancers, complete: balancers.length === all.length };
}

/** `lingering`: far ends of the connections that an earlier process of the Service still carries. */
export function stateOf(
  spec: BalancerSpec,
  present: readonly PresentServer[],
  lingering: readonly string[],
  publishedAddress: string | undefined,
): BalancerState {
  const targets = spec.targets.map(({ machineId, draining }) => {
    const wanted = wantedServers(spec).filter(({ name }) => name === machineId);
    const servers = present.filter(({ name }) => name === machineId);
    const isIdle =
      servers.every(({ sessions, admin }) => sessions === 0 && admin !== "ready") &&
      !wanted.some(({ address, port }) => lingering.includes(`${address}:${port}`));
    const isKnown = servers.length >= wanted.length && !servers.some(({ unchecked }) => unchecked);
    const serving: TargetState = !isKnown ? "initial" : servers.every(({ up }) => up) ? "healthy" : "unhealthy";
    const state: TargetState = !draining ? serving : isIdle ? "drained" : "draining";
    return { machineId, state };
  });
  const address = spec.scheme === "internal" ? spec.clusterAddress : publishedAddress;
  return {
    id: spec.id,
    ready: address !== undefined,
    addresses: address === undefined ? [] : [{ ip: address }],
    targets,
  };
}
