import type { IpPermission } from "@aws-sdk/client-ec2";

/** One opening of a security group: a protocol and a port, for one source (a CIDR block or another group). */
export type Opening = { protocol: "tcp" | "udp"; port: number; source: string };

const isGroup = (source: string): boolean => source.startsWith("sg-");
const textOf = ({ protocol, port, source }: Opening): string => `${protocol} ${port} from ${source}`;

/** In the SDK's form, one permission a port with all of its sources. */
export function permissionsOf(openings: readonly Opening[]): IpPermission[] {
  const byPort = new Map<string, Opening[]>();
  for (const opening of openings) {
    const key = `${opening.protocol} ${opening.port}`;
    byPort.set(key, [...(byPort.get(key) ?? []), opening]);
  }
  return [...byPort.values()].map((same) => {
    const [first] = same;
    const sources = same.map(({ source }) => source);
    const groups = sources.filter(isGroup);
    const ipv4 = sources.filter((source) => !isGroup(source) && !source.includes(":"));
    const ipv6 = sources.filter((source) => source.includes(":"));
    return {
      IpProtocol: first?.protocol,
      FromPort: first?.port,
      ToPort: first?.port,
      ...(groups.length > 0 && { UserIdGroupPairs: groups.map((GroupId) => ({ GroupId })) }),
      ...(ipv4.length > 0 && { IpRanges: ipv4.map((CidrIp) => ({ CidrIp })) }),
      ...(ipv6.length > 0 && { Ipv6Ranges: ipv6.map((CidrIpv6) => ({ CidrIpv6 })) }),
    };
  });
}

/** What an existing group opens, each source by itself. */
type Found = { text: string; permission: IpPermission };

function foundIn(permissions: readonly IpPermission[]): Found[] {
  return permissions.flatMap(({ IpProtocol, FromPort, ToPort, ...sources }) => {
    const ports = FromPort === ToPort ? `${FromPort}` : `${FromPort}-${ToPort}`;
    const what = IpProtocol === "-1" ? "everything" : `${IpProtocol} ${ports}`;
    const one = (source: string, own: Partial<IpPermission>): Found => ({
      text: `${what} from ${source}`,
      permission: { IpProtocol, FromPort, ToPort, ...own },
    });
    return [
      ...(sources.IpRanges ?? []).map(({ CidrIp = "" }) => one(CidrIp, { IpRanges: [{ CidrIp }] })),
      ...(sources.Ipv6Ranges ?? []).map(({ CidrIpv6 = "" }) => one(CidrIpv6, { Ipv6Ranges: [{ CidrIpv6 }] })),
      ...(sources.UserIdGroupPairs ?? []).map(({ GroupId = "" }) => one(GroupId, { UserIdGroupPairs: [{ GroupId }] })),
      ...(sources.PrefixListIds ?? []).map(({ PrefixListId = "" }) =>
        one(PrefixListId, { PrefixListIds: [{ PrefixListId }] }),
      ),
    ];
  });
}

/** What has to be opened and closed so that a group is as it should be. */
export function compareRules(wanted: readonly Opening[], present: readonly IpPermission[]) {
  const found = foundIn(present);
  const foundTexts = new Set(found.map(({ text }) => text));
  const wantedTexts = new Set(wanted.map(textOf));
  const missing = wanted.filter((opening) => !foundTexts.has(textOf(opening)));
  const extra = found.filter(({ text }) => !wantedTexts.has(text));
  return {
    missing,
    extra: extra.map(({ permission }) => permission),
    /** One sentence a difference. */
    texts: [
      ...missing.map((opening) => `no longer opens ${textOf(opening)}`),
      ...extra.map(({ text }) => `also opens ${text}`),
    ],
  };
}
