import type { IpPermission, SecurityGroupRule } from "@aws-sdk/client-ec2";
import { networkOf } from "../../../base/cidr.ts";
import { shownTags, type Tags } from "./tags.ts";
import type { AwsWorld } from "./world.ts";

/** One way in or out: a protocol, a range of ports and one peer. -1: all. */
export type Rule = {
  id: string;
  serial: number;
  protocol: string;
  from: number;
  to: number;
  kind: "ipv4" | "ipv6" | "group" | "prefixes";
  /** A network, a security group's id, a prefix list's id. */
  peer: string;
  description?: string;
  tags: Tags;
};

/** In each direction: §2 of the AWS facts. */
export const rulesMax = 60;

/** A permission names many peers; each is a rule of its own. */
export function rulesOf(world: AwsWorld, permissions: readonly IpPermission[], tags: Tags = new Map()): Rule[] {
  return permissions.flatMap((permission) => {
    const { IpProtocol: protocol = "-1", FromPort: from = -1, ToPort: to = -1 } = permission;
    const peers = [
      ...(permission.IpRanges ?? []).map(
        (one) => ({ kind: "ipv4", peer: networkOf(one.CidrIp ?? ""), ...one }) as const,
      ),
      ...(permission.Ipv6Ranges ?? []).map((one) => ({ kind: "ipv6", peer: one.CidrIpv6, ...one }) as const),
      ...(permission.UserIdGroupPairs ?? []).map((one) => ({ kind: "group", peer: one.GroupId, ...one }) as const),
      ...(permission.PrefixListIds ?? []).map((one) => ({ kind: "prefixes", peer: one.PrefixListId, ...one }) as const),
    ];
    return peers.map(({ kind, peer = "", Description: description }) => ({
      id: world.id("sgr"),
      serial: world.made().serial,
      protocol,
      ...(protocol === "-1" ? { from: -1, to: -1 } : { from, to }),
      kind,
      peer,
      ...(description !== undefined && { description }),
      tags: new Map(tags),
    }));
  });
}

/** A description makes no other rule of it. */
export const sameRule =
  (rule: Rule) =>
  (other: Rule): boolean =>
    rule.protocol === other.protocol &&
    rule.from === other.from &&
    rule.to === other.to &&
    rule.kind === other.kind &&
    rule.peer === other.peer;

/** Rules of the same protocol and ports are shown together. */
export function permissionsOf(world: AwsWorld, rules: readonly Rule[]): IpPermission[] {
  const keys = [...new Set(rules.map(({ protocol, from, to }) => `${protocol} ${from} ${to}`))];
  return keys.map((key) => {
    const [protocol = "", from = "", to = ""] = key.split(" ");
    const alike = rules.filter((rule) => `${rule.protocol} ${rule.from} ${rule.to}` === key);
    const of = (kind: Rule["kind"]) => alike.filter((rule) => rule.kind === kind);
    const described = ({ description }: Rule) => (description === undefined ? {} : { Description: description });
    return {
      IpProtocol: protocol,
      ...(protocol !== "-1" && { FromPort: Number(from), ToPort: Number(to) }),
      IpRanges: of("ipv4").map((rule) => ({ CidrIp: rule.peer, ...described(rule) })),
      Ipv6Ranges: of("ipv6").map((rule) => ({ CidrIpv6: rule.peer, ...described(rule) })),
      UserIdGroupPairs: of("group").map((rule) => ({
        GroupId: rule.peer,
        UserId: world.account.id,
        ...described(rule),
      })),
      PrefixListIds: of("prefixes").map((rule) => ({ PrefixListId: rule.peer, ...described(rule) })),
    };
  });
}

export const shownRule = (world: AwsWorld, groupId: string, rule: Rule, isEgress: boolean): SecurityGroupRule => ({
  SecurityGroupRuleId: rule.id,
  GroupId: groupId,
  GroupOwnerId: world.account.id,
  IsEgress: isEgress,
  IpProtocol: rule.protocol,
  FromPort: rule.from,
  ToPort: rule.to,
  ...(rule.kind === "ipv4" && { CidrIpv4: rule.peer }),
  ...(rule.kind === "ipv6" && { CidrIpv6: rule.peer }),
  ...(rule.kind === "prefixes" && { PrefixListId: rule.peer }),
  ...(rule.kind === "group" && { ReferencedGroupInfo: { GroupId: rule.peer, UserId: world.account.id } }),
  ...(rule.description !== undefined && { Description: rule.description }),
  Tags: shownTags(rule.tags),
});
