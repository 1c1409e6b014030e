import { isIPv4 } from "node:net";
import { DroverError } from "../../base/errors.ts";
import type { BalancerSpec, Listener } from "../cloud.ts";

/** A target as one backend of haproxy knows it; there is a backend a listener. */
export type WantedServer = { backend: string; name: string; address: string; port: number; draining: boolean };

/** Connections at once a Service. */
const connectionsMax = 4096;
/**
 * Often enough that a machine that falls silent is left out within about two seconds. One that refuses a connection is
 * left out at once, until the next check: no connection is tried again elsewhere, so each try on it would be lost.
 */
export const checking = [
  "check inter 1s fastinter 250ms downinter 500ms fall 2 rise 1",
  "observe layer4 error-limit 1 on-error mark-down",
].join(" ");

/** The listeners that haproxy serves. */
export const tcpListeners = (spec: BalancerSpec): Listener[] =>
  spec.listeners.filter(({ protocol }) => protocol === "TCP");

const backendOf = (port: number): string => `p${port}`;

/** The unix socket by which the outside reaches one listener. */
export const listenerSocket = (folder: string, port: number): string => `${folder}/${port}.sock`;

/** What a running haproxy can't change: another value here needs another process. */
export const boundTo = (spec: BalancerSpec): string =>
  JSON.stringify([spec.scheme, spec.clusterAddress ?? "", tcpListeners(spec).map(({ port }) => port)]);

/** Every (listener, target) that is served. */
export const wantedServers = (spec: BalancerSpec): WantedServer[] =>
  spec.targets.flatMap((target) =>
    spec.listeners.flatMap(({ port: listenerPort, protocol }, index) => {
      const port = target.ports[index] ?? 0;
      if (protocol !== "TCP" || port === 0) return [];
      const { machineId, address, draining } = target;
      return [{ backend: backendOf(listenerPort), name: machineId, address, port, draining }];
    }),
  );

/** @throws CLOUD_INVALID for what could not stand in a line of configuration as it is */
export function assertBalancer(spec: BalancerSpec): void {
  const refuse = (what: string): never => {
    throw new DroverError("CLOUD_INVALID", `The balancer of ${spec.name} can't have ${what}.`, { balancer: spec.id });
  };
  const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;
  if (!/^[a-zA-Z0-9-]{1,63}$/.test(spec.id)) refuse(`the id ${spec.id}`);
  if (spec.clusterAddress !== undefined && !isIPv4(spec.clusterAddress)) refuse(`the address ${spec.clusterAddress}`);
  if (spec.clusterAddress === undefined && spec.scheme === "internal") refuse("no address at all");
  for (const { port } of spec.listeners) if (!isPort(port)) refuse(`the port ${port}`);
  for (const { machineId, address, ports } of spec.targets) {
    if (!/^[a-zA-Z0-9_.-]{1,200}$/.test(machineId)) refuse(`the machine ${machineId}`);
    if (!isIPv4(address)) refuse(`a target at ${address}`);
    for (const port of ports) if (port !== 0 && !isPort(port)) refuse(`a target's port ${port}`);
  }
}

/**
 * The configuration of one Service's haproxy: connections are passed on as they are, nothing is retried or sent to
 * another machine, and an idle connection may stay for a day.
 */
export function haproxyConfig(spec: BalancerSpec, folder: string, servers: readonly WantedServer[]): string {
  const listeners = tcpListeners(spec).flatMap(({ port }) => {
    const backend = backendOf(port);
    return [
      `frontend f${port}`,
      ...(spec.clusterAddress === undefined ? [] : [`  bind ${spec.clusterAddress}:${port}`]),
      ...(spec.scheme === "internet-facing" ? [`  bind unix@${listenerSocket(folder, port)} mode 600`] : []),
      `  default_backend ${backend}`,
      `backend ${backend}`,
      "  balance roundrobin",
      ...servers
        .filter((server) => server.backend === backend && !server.draining)
        .map(({ name, address, port: to }) => `  server ${name} ${address}:${to} ${checking}`),
    ];
  });
  return `${[
    "global",
    `  stats socket ${folder}/admin.sock mode 600 level admin expose-fd listeners`,
    "  nbthread 1",
    `  maxconn ${connectionsMax}`,
    "defaults",
    "  mode tcp",
    "  retries 0",
    "  option tcpka",
    "  timeout connect 3s",
    "  timeout client 1d",
    "  timeout server 1d",
    ...listeners,
  ].join("\n")}\n`;
}
