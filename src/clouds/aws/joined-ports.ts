import type { BalancerSpec, Listener, TargetGroupSpec } from "../balancer.ts";

/** Of a network balancer: what is TCP and UDP at once, by the port of its listener and by the ids of its groups. */
export type JoinedPorts = {
  ports: ReadonlySet<number>;
  /** They carry both. */
  groups: ReadonlySet<string>;
  /** The UDP half, which is not made. */
  halves: ReadonlySet<string>;
};

/**
 * AWS has one listener a port: TCP and UDP of one number become one that takes both, as long as they lead to the same
 * ports of the same machines. `isTls`: a listener that ends TLS takes no datagrams.
 */
export function joinedPorts(
  { kind, listeners, groups }: BalancerSpec,
  isTls: (listener: Listener) => boolean,
): JoinedPorts {
  const ports = new Set<number>();
  const [joined, halves] = [new Set<string>(), new Set<string>()];
  const groupOf = (id = "") => groups.find((group) => group.id === id);
  for (const tcp of kind === "network" ? listeners : []) {
    const udp = listeners.find(({ port, protocol }) => port === tcp.port && protocol === "UDP");
    if (tcp.protocol !== "TCP" || !udp || isTls(tcp) || tcp.forward.length !== udp.forward.length) continue;
    const pairs = tcp.forward.map(({ groupId }, index) => [groupOf(groupId), groupOf(udp.forward[index]?.groupId)]);
    if (!pairs.every(([one, other]) => one && other && portsOf(one) === portsOf(other))) continue;
    ports.add(tcp.port);
    for (const [one, other] of pairs) {
      joined.add(one?.id ?? "");
      halves.add(other?.id ?? "");
    }
  }
  return { ports, groups: joined, halves };
}

const portsOf = ({ targets }: TargetGroupSpec): string =>
  targets
    .filter(({ draining }) => !draining)
    .map(({ machineId, port }) => `${machineId}:${port}`)
    .sort()
    .join();
