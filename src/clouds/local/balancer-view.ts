import { join } from "node:path";
import type { BalancerSpec, BalancerState, Balancers, TargetState } from "../cloud.ts";
import { allNotes, balancerFolder, processesOf, processOf } from "./balancer-note.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import { type PresentServer, presentServers } from "./haproxy-admin.ts";
import { tcpListeners, wantedServers } from "./haproxy-config.ts";

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
    name: spec.name,
    ready: address !== undefined,
    addresses: address === undefined ? [] : [{ ip: address }],
    targets,
  };
}
