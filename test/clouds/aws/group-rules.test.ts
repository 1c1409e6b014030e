import { expect, test } from "vitest";
import { compareRules, type Opening, permissionsOf } from "../../../src/clouds/aws/group-rules.ts";

const http = (source: string): Opening => ({ protocol: "tcp", port: 80, source });
const dns: Opening = { protocol: "udp", port: 53, source: "10.0.0.0/16" };

test("openings of one port become one permission, by kind of source", () => {
  expect(permissionsOf([http("10.0.0.0/16"), http("sg-1"), http("::/0"), dns])).toEqual([
    {
      IpProtocol: "tcp",
      FromPort: 80,
      ToPort: 80,
      UserIdGroupPairs: [{ GroupId: "sg-1" }],
      IpRanges: [{ CidrIp: "10.0.0.0/16" }],
      Ipv6Ranges: [{ CidrIpv6: "::/0" }],
    },
    { IpProtocol: "udp", FromPort: 53, ToPort: 53, IpRanges: [{ CidrIp: "10.0.0.0/16" }] },
  ]);
});

test("what was made of openings equals them", () => {
  const openings = [http("10.0.0.0/16"), http("sg-1"), http("::/0"), dns];
  expect(compareRules(openings, permissionsOf(openings))).toEqual({ missing: [], extra: [], texts: [] });
});

test("a closed port and an opened one are named, with what puts them right", () => {
  const present = [
    ...permissionsOf([http("10.0.0.0/16")]),
    { IpProtocol: "tcp", FromPort: 1, ToPort: 65_535, IpRanges: [{ CidrIp: "0.0.0.0/0", Description: "me" }] },
    {
      IpProtocol: "-1",
      UserIdGroupPairs: [{ GroupId: "sg-9", UserId: "1" }],
      PrefixListIds: [{ PrefixListId: "pl-1" }],
    },
  ];
  expect(compareRules([http("10.0.0.0/16"), dns], present)).toEqual({
    missing: [dns],
    extra: [
      { IpProtocol: "tcp", FromPort: 1, ToPort: 65_535, IpRanges: [{ CidrIp: "0.0.0.0/0" }] },
      { IpProtocol: "-1", FromPort: undefined, ToPort: undefined, UserIdGroupPairs: [{ GroupId: "sg-9" }] },
      { IpProtocol: "-1", FromPort: undefined, ToPort: undefined, PrefixListIds: [{ PrefixListId: "pl-1" }] },
    ],
    texts: [
      "no longer opens udp 53 from 10.0.0.0/16",
      "also opens tcp 1-65535 from 0.0.0.0/0",
      "also opens everything from sg-9",
      "also opens everything from pl-1",
    ],
  });
});
