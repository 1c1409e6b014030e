import { createHash } from "node:crypto";
import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { MachineTemplate } from "../cloud.ts";
import { roleOf } from "./group-calls.ts";
import type { Opening } from "./group-rules.ts";
import type { Network } from "./network.ts";

export type Ports = NonNullable<MachineTemplate["ports"]>;

const sshPort = 22;

const textsOf = (ports: Ports): string[] =>
  [...new Set(ports.map(({ port, protocol }) => `${port}/${protocol}`))].sort();
export const portsText = (ports: Ports): string => textsOf(ports).join(" ");
export const portsRole = (ports: Ports): string =>
  `ports-${createHash("sha256").update(portsText(ports)).digest("hex").slice(0, 10)}`;

/** The ports that a group's description names. */
const portsIn = (description: string): Ports =>
  [...description.matchAll(/ (\d+)\/(TCP|UDP)(?= )/g)].map(([, port, protocol]) => ({
    port: Number(port),
    protocol: protocol === "UDP" ? "UDP" : "TCP",
  }));

export const sshOpenings = (sources: readonly string[]): Opening[] =>
  sources.map((source) => ({ protocol: "tcp", port: sshPort, source }));

export const openingsOf = (ports: Ports, sources: readonly string[]): Opening[] =>
  textsOf(ports).flatMap((text) => {
    const [port, protocol] = text.split("/");
    return sources.map((source) => ({ protocol: protocol === "UDP" ? "udp" : "tcp", port: Number(port), source }));
  });

/** What a group that an earlier process has made should open; undefined: nobody knows. */
export function openingsIn(
  group: SecurityGroup,
  groups: readonly SecurityGroup[],
  { vpcId, cidrs }: Network,
  operatorCidrs: readonly string[],
): Opening[] | undefined {
  if (group.VpcId !== vpcId) return undefined;
  const role = roleOf(group);
  if (role === "machines") return sshOpenings(operatorCidrs);
  if (role === "balancers") return [];
  const ports = portsIn(group.Description ?? "");
  const balancers = groups.find((each) => roleOf(each) === "balancers" && each.VpcId === vpcId)?.GroupId;
  // A description that was cut names other ports than the role.
  if (balancers === undefined || role !== portsRole(ports)) return undefined;
  return openingsOf(ports, [balancers, ...cidrs]);
}
