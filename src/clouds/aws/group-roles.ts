import { createHash } from "node:crypto";
import type { IpPermission, SecurityGroup } from "@aws-sdk/client-ec2";
import { networkOf } from "../../base/cidr.ts";
import type { MachineTemplate } from "../cloud.ts";
import { roleOf } from "./group-calls.ts";
import { compareRules, type Opening } from "./group-rules.ts";
import type { Network } from "./network.ts";

export type Ports = NonNullable<MachineTemplate["ports"]>;

/** The ports that a group opens, each to all of the sources: CIDR blocks and other groups. */
export type Wish = { ports: Ports; sources: readonly string[] };

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

export const sshFor = (sources: readonly string[]): Wish => ({ ports: [{ port: sshPort, protocol: "TCP" }], sources });

export const openingsOf = ({ ports, sources }: Wish): Opening[] =>
  textsOf(ports).flatMap((text) => {
    const [port, protocol] = text.split("/");
    return sources.map((source) => ({
      protocol: protocol === "UDP" ? "udp" : "tcp",
      port: Number(port),
      source: networkOf(source),
    }));
  });

/** What a group that an earlier process has made should open; undefined: nobody knows. */
export function wishFor(
  group: SecurityGroup,
  groups: readonly SecurityGroup[],
  { vpcId, cidrs }: Network,
  operatorCidrs: readonly string[],
): Wish | undefined {
  if (group.VpcId !== vpcId) return undefined;
  const role = roleOf(group);
  if (role === "machines") return sshFor(operatorCidrs);
  if (role === "balancers") return { ports: [], sources: [] };
  const ports = portsIn(group.Description ?? "");
  const balancers = groups.find((each) => roleOf(each) === "balancers" && each.VpcId === vpcId)?.GroupId;
  // A description that was cut names other ports than the role.
  if (balancers === undefined || role !== portsRole(ports)) return undefined;
  return { ports, sources: [balancers, ...cidrs] };
}

/**
 * What a wish takes whose sources were `before` when it was last carried out. Whatever else differs somebody changed by
 * hand; only of a group that opens nothing it is not known whether its rules were ever made.
 */
export function planOrder(wish: Wish, before: readonly string[], present: readonly IpPermission[]) {
  const isOpen = (opening: Opening) => compareRules([opening], present).missing.length === 0;
  const added = wish.sources.filter((source) => present.length === 0 || !before.includes(source));
  const dropped = before.filter((source) => !wish.sources.includes(source));
  return {
    open: openingsOf({ ...wish, sources: added }).filter((opening) => !isOpen(opening)),
    close: openingsOf({ ...wish, sources: dropped }).filter(isOpen),
  };
}
