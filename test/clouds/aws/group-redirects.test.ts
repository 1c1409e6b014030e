import { AuthorizeSecurityGroupIngressCommand, RevokeSecurityGroupIngressCommand } from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import type { Ports } from "../../../src/clouds/aws/group-roles.ts";
import { openFake } from "../sim/aws/setup.ts";
import { type Fake, openParts } from "./parts.ts";

const tcp = (...ports: number[]): Ports => ports.map((port) => ({ port, protocol: "TCP" }));
const vpc = "172.31.0.0/16";

const groupIn = ({ world }: Fake) =>
  [...world.securityGroups.values()].find(({ name }) => name === "drover-c-redirects");
/** What the group lets in: `tcp 80 172.31.0.0/16`. */
const letIn = (fake: Fake): string[] =>
  (groupIn(fake)?.ingress ?? []).map(({ protocol, from, peer }) => `${protocol} ${from} ${peer}`).sort();
const open = (...ports: number[]): string[] => ports.map((port) => `tcp ${port} ${vpc}`).sort();
/** What drover says a minute later. */
async function driftOf(fake: Fake, { groups }: ReturnType<typeof openParts>): Promise<string[]> {
  await fake.clock.advance(60_000);
  const told = await fake.through(groups.drift());
  return told.map((each) => each.replace(/ \(.*?\)|: .*/g, ""));
}
const rule = (port: number) => ({
  GroupId: undefined,
  IpPermissions: [{ IpProtocol: "tcp", FromPort: port, ToPort: port, IpRanges: [{ CidrIp: vpc }] }],
});

test("every machine is in a group that opens nothing as long as nothing is redirected", async () => {
  const fake = openFake();
  const parts = openParts(fake);
  await fake.through(parts.groups.redirects([]));
  expect(groupIn(fake)).toBeUndefined();
  expect([...fake.world.calls.keys()]).toEqual(["DescribeSecurityGroups"]);
  const ids = await fake.through(parts.groups.forMachine([]));
  expect(ids).toContain(groupIn(fake)?.id);
  expect(letIn(fake)).toEqual([]);
  expect(await driftOf(fake, parts)).toEqual([]);
});

test("the VPC is let in by redirected ports, and by no others any more; the same again costs no call", async () => {
  const fake = openFake();
  const parts = openParts(fake);
  const { groups } = parts;
  const dns = { port: 53, protocol: "UDP" } as const;
  await fake.through(groups.redirects([...tcp(80, 443), dns]));
  expect(letIn(fake)).toEqual([...open(80, 443), `udp 53 ${vpc}`].sort());
  const calls = () => [...fake.world.calls.values()].reduce((sum, each) => sum + each, 0);
  const before = calls();
  await fake.through(groups.redirects([dns, ...tcp(443, 80)]));
  expect(calls()).toBe(before);
  await fake.through(groups.redirects(tcp(443, 8_000)));
  expect(letIn(fake)).toEqual(open(443, 8_000));
  expect(await driftOf(fake, parts)).toEqual([]);
  await fake.through(groups.redirects([]));
  expect(letIn(fake)).toEqual([]);
  expect(await driftOf(fake, parts)).toEqual([]);
});

test("a machine that is launched at the same time is in the same group", async () => {
  const fake = openFake();
  const { groups } = openParts(fake);
  const [ids] = await fake.through(Promise.all([groups.forMachine([]), groups.redirects(tcp(80))]));
  expect(ids).toContain(groupIn(fake)?.id);
  expect(letIn(fake)).toEqual(open(80));
});

test("all ports that a group has room for are exchanged for as many others", async () => {
  const fake = openFake();
  const { groups } = openParts(fake);
  const many = (first: number) => Array.from({ length: 60 }, (_, index) => first + index);
  await fake.through(groups.redirects(tcp(...many(1_000))));
  await fake.through(groups.redirects(tcp(...many(2_000))));
  expect(letIn(fake)).toEqual(open(...many(2_000)));
  const parts = openParts(fake);
  await fake.through(parts.groups.redirects(tcp(2_000)));
  expect(letIn(fake)).toEqual(open(2_000));
  expect(await driftOf(fake, parts)).toEqual([]);
});

test("more than a group has room for are refused, and what was open stays so", async () => {
  const fake = openFake();
  const parts = openParts(fake);
  await fake.through(parts.groups.redirects(tcp(80)));
  const many = Array.from({ length: 61 }, (_, index) => 1_000 + index);
  const refused = fake.through(parts.groups.redirects(tcp(...many)));
  await expect(refused).rejects.toMatchObject({
    code: "CLOUD_INVALID",
    message: expect.stringMatching(/^Machines redirect 61 ports.*60/),
  });
  expect(letIn(fake)).toEqual(open(80));
  expect(await driftOf(fake, parts)).toEqual([]);
  await fake.through(parts.groups.forMachine([]));
});

test("after a restart nothing is said before it is known what is redirected; then the rest is closed", async () => {
  const fake = openFake();
  await fake.through(openParts(fake).groups.redirects(tcp(80, 443)));
  const parts = openParts(fake);
  await fake.through(parts.groups.forMachine([]));
  expect(await driftOf(fake, parts)).toEqual([]);
  expect(letIn(fake)).toEqual(open(80, 443));
  await fake.through(parts.groups.redirects(tcp(443, 9_000)));
  expect(letIn(fake)).toEqual(open(443, 9_000));
  expect(await driftOf(fake, parts)).toEqual([]);
});

test.for([
  ["told and left", false, false],
  ["told after a restart too", true, false],
  ["put back where the user wants it", false, true],
  ["put back after a restart too", true, true],
] as const)("what somebody opens and closes by hand is %s", async ([_name, restarts, repairDrift]) => {
  const fake = openFake();
  const given = { groups: { repairDrift } };
  const first = openParts(fake, given);
  await fake.through(first.groups.redirects(tcp(80, 443)));
  await fake.clock.advance(60_000);
  const GroupId = groupIn(fake)?.id;
  await fake.ec2(new AuthorizeSecurityGroupIngressCommand({ ...rule(22), GroupId }));
  await fake.ec2(new RevokeSecurityGroupIngressCommand({ ...rule(443), GroupId }));
  const parts = restarts ? openParts(fake, given) : first;
  await fake.through(parts.groups.redirects(tcp(80, 443)));
  expect(letIn(fake)).toEqual(open(80, 22));
  const told = [
    `The security group drover-c-redirects no longer opens tcp 443 from ${vpc}`,
    `The security group drover-c-redirects also opens tcp 22 from ${vpc}`,
  ];
  expect(await driftOf(fake, parts)).toEqual(told);
  expect(letIn(fake)).toEqual(repairDrift ? open(80, 443) : open(80, 22));
  expect(await driftOf(fake, parts)).toEqual(repairDrift ? [] : told);
});

test("a group that was deleted by hand is told, and made again with what it opens when machines are", async () => {
  const fake = openFake();
  const parts = openParts(fake);
  await fake.through(parts.groups.redirects(tcp(80)));
  fake.world.securityGroups.delete(groupIn(fake)?.id ?? "");
  expect(await driftOf(fake, parts)).toEqual(["The security group drover-c-redirects was deleted."]);
  await fake.through(parts.groups.forMachine([]));
  expect(letIn(fake)).toEqual(open(80));
  fake.world.securityGroups.delete(groupIn(fake)?.id ?? "");
  await expect(fake.through(parts.groups.redirects(tcp(81)))).rejects.toThrow(/InvalidGroup.NotFound/);
  await fake.through(parts.groups.redirects(tcp(81)));
  expect(letIn(fake)).toEqual(open(81));
});

test("a group that somebody else keeps is left to him: the difference is told", async () => {
  const fake = openFake();
  await fake.through(openParts(fake).groups.redirects(tcp(80)));
  groupIn(fake)?.tags.set("drover.dev/kept-by", "terraform");
  const parts = openParts(fake);
  await fake.through(parts.groups.redirects(tcp(81)));
  expect(letIn(fake)).toEqual(open(80));
  expect(await driftOf(fake, parts)).toHaveLength(2);
});

const gone = () => Object.assign(new Error("the process is gone"), { name: "AccessDenied" });

test.for([
  ["the same ports", [443, 8_000]],
  ["what it was before", [80, 443]],
  ["others", [9_000]],
  ["none", []],
] as const)(
  "when drover dies at any call of a change the next one, with %s, carries out its own",
  async ([_name, after]) => {
    let deaths = 0;
    for (const moment of ["beforeCall", "afterCall"] as const) {
      for (let at = 1, dies = true; dies; at++) {
        const fake = openFake();
        await fake.through(openParts(fake).groups.redirects(tcp(80, 443)));
        let calls = 0;
        fake.world.hooks[moment] = () => {
          if (++calls >= at) throw gone();
        };
        dies = await fake.through(
          openParts(fake)
            .groups.redirects(tcp(443, 8_000))
            .then(
              () => false,
              () => true,
            ),
        );
        fake.world.hooks[moment] = () => undefined;
        if (dies) deaths++;
        const parts = openParts(fake);
        await fake.through(parts.groups.redirects(tcp(...after)));
        expect(letIn(fake), `${moment} ${at}`).toEqual(open(...after));
        expect(await driftOf(fake, parts), `${moment} ${at}`).toEqual([]);
      }
    }
    // A look at the network, one at the groups, two notes, and a call each to close and to open.
    expect(deaths).toBeGreaterThanOrEqual(2 * 6);
  },
);
