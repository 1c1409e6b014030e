import { join } from "node:path";
import type { BalancerSpec, BalancerState, Balancers, Target, TargetState } from "../balancer.ts";
import { allNotes, balancerFolder, processesOf, processOf } from "./balancer-note.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import { type PresentServer, presentServers } from "./haproxy-admin.ts";
import { isPublished, servedListeners, type WantedServer, wantedServers } from "./haproxy-config.ts";

/** A haproxy that is silent for so long is said to serve nobody; before that nothing is said about its targets. */
const silenceMs = 5_000;

/** `silent`: since when (monotonic) each Service's haproxy has not answered. */
export async function observeBalancers(
  around: Omit<ClusterParts, "tools" | "log">,
  silent: Map<string, number>,
): ReturnType<Balancers["observe"]> {
  const all = allNotes(around.folder);
  const [processes, published] = await Promise.all([around.holder.processes(), around.publisher.list()]);
  const states = await Promise.all(
    all.map(async ({ spec, generation }): Promise<BalancerState | undefined> => {
      const own = processesOf(processes, spec.id).filter((one) => one.running);
      const serves = own.find((one) => one.id === processOf(spec.id, generation));
      const admin = join(balancerFolder(around.folder, spec.id), "admin.sock");
      const present = serves === undefined ? undefined : await presentServers(admin).catch(() => undefined);
      const answers = present !== undefined || servedListeners(spec).length === 0;
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
  const wanted = wantedServers(spec);
  const states = new Map<string, TargetState[]>();
  for (const { id: groupId, targets } of spec.groups) {
    for (const target of targets) {
      const { machineId } = target;
      const own = wanted.filter((each) => each.groupId === groupId && each.machineId === machineId);
      const state = targetState(target, own, present, lingering);
      states.set(machineId, [...(states.get(machineId) ?? []), state]);
    }
  }
  const address = isPublished(spec) ? publishedAddress : spec.clusterAddress;
  return {
    id: spec.id,
    name: spec.name,
    ready: address !== undefined,
    addresses: address === undefined ? [] : [{ ip: address }],
    targets: [...states].map(([machineId, all]) => ({
      machineId,
      state: order.find((state) => all.includes(state)) ?? "initial",
    })),
    ...(asksForLogin(spec) && { warnings: [noLogin] }),
  };
}

const noLogin =
  "Nobody logs in at a load balancer of this computer: whoever can reach it is served as after the login that its annotations ask for.";

const asksForLogin = ({ listeners }: BalancerSpec): boolean =>
  listeners.some(({ login, rules = [] }) => login !== undefined || rules.some((rule) => rule.login !== undefined));

/** From the least far. */
const order: readonly TargetState[] = ["unhealthy", "initial", "draining", "healthy", "drained"];

function targetState(
  { address, port, draining }: Target,
  /** Its servers in every backend. */
  wanted: readonly WantedServer[],
  present: readonly PresentServer[],
  lingering: readonly string[],
): TargetState {
  const serversOf = (wants: readonly WantedServer[]) =>
    present.filter((one) => wants.some((want) => want.backend === one.backend && want.name === one.name));
  if (draining) {
    const isIdle = serversOf(wanted).every(({ sessions, admin }) => sessions === 0 && admin !== "ready");
    const lingers = lingering.some((far) =>
      port === 0 ? far.startsWith(`${address}:`) : far === `${address}:${port}`,
    );
    return isIdle && !lingers ? "drained" : "draining";
  }
  const checked = wanted.filter(({ backup }) => !backup);
  const servers = serversOf(checked);
  const isKnown = servers.length >= checked.length && !servers.some(({ unchecked }) => unchecked);
  return !isKnown ? "initial" : servers.every(({ up }) => up) ? "healthy" : "unhealthy";
}
