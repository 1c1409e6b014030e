import { AuthorizeSecurityGroupIngressCommand, RevokeSecurityGroupIngressCommand } from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { noCallFaults } from "../../../src/clouds/sim/aws/faults.ts";
import { openFake } from "../sim/aws/setup.ts";
import { type Fake, inputsOf, launchOf, openParts } from "./parts.ts";

const web = [{ port: 80, protocol: "TCP" }] as const;
const operator = { operatorCidrs: ["203.0.113.7/32"] };

const named = (fake: Fake): string[] =>
  [...fake.world.securityGroups.values()]
    .map(({ name }) => name)
    .filter((name) => name !== "default")
    .sort();

test("a machine's groups open SSH to the operator, and its ports to load balancers and the VPC", async () => {
  const fake = openFake();
  const { groups } = openParts(fake, { groups: { ...operator, tags: { team: "red" } } });
  const ids = await fake.through(groups.forMachine([...web, { port: 53, protocol: "UDP" }]));
  expect(ids).toHaveLength(3);
  const balancers = await fake.through(groups.forBalancers());
  const vpc = [{ CidrIp: "172.31.0.0/16" }];
  const opened = inputsOf(fake, "AuthorizeSecurityGroupIngress");
  expect(opened.find(({ GroupId }) => GroupId === ids[0])?.["IpPermissions"]).toEqual([
    { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "203.0.113.7/32" }] },
  ]);
  expect(opened.find(({ GroupId }) => GroupId === ids[1])?.["IpPermissions"]).toEqual([
    { IpProtocol: "udp", FromPort: 53, ToPort: 53, UserIdGroupPairs: [{ GroupId: balancers }], IpRanges: vpc },
    { IpProtocol: "tcp", FromPort: 80, ToPort: 80, UserIdGroupPairs: [{ GroupId: balancers }], IpRanges: vpc },
  ]);
  expect(opened).toHaveLength(2);
  expect(inputsOf(fake, "CreateSecurityGroup")[0]).toMatchObject({
    TagSpecifications: [
      {
        Tags: expect.arrayContaining([
          { Key: "drover.dev/cluster", Value: "c" },
          { Key: "team", Value: "red" },
        ]),
      },
    ],
  });
});

test("without an operator's network SSH is open to nobody", async () => {
  const fake = openFake();
  const { groups } = openParts(fake);
  expect(await fake.through(groups.forMachine([]))).toHaveLength(2);
  expect(inputsOf(fake, "AuthorizeSecurityGroupIngress")).toEqual([]);
});

test("equal ports share a group, whatever their order, also after a restart", async () => {
  const fake = openFake();
  const two = [...web, { port: 53, protocol: "UDP" }] as const;
  const first = await fake.through(openParts(fake).groups.forMachine(two));
  const { groups } = openParts(fake);
  const [again, third] = await fake.through(
    Promise.all([groups.forMachine([...two].reverse()), groups.forMachine(two)]),
  );
  expect([again, third]).toEqual([first, first]);
  expect(named(fake)).toHaveLength(4);
});

test("a group that a crash left without its rules gets them", async () => {
  let failing = true;
  const isRule = (action: string) => action === "AuthorizeSecurityGroupIngress";
  const ofAttempt = ({ action }: { action: string }) =>
    failing && isRule(action) ? ("unavailable" as const) : undefined;
  const fake = openFake({ faults: { ...noCallFaults, ofAttempt } });
  const call = openParts(fake, { groups: operator }).groups.forMachine([]);
  await expect(fake.through(call)).rejects.toMatchObject({ code: "CLOUD_UNAVAILABLE" });
  failing = false;
  const { groups } = openParts(fake, { groups: operator });
  await fake.through(groups.forMachine([]));
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toEqual([]);
});

async function tamper(fake: Fake, groupId: string): Promise<void> {
  await fake.clock.advance(60_000);
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22 };
  await fake.ec2(
    new RevokeSecurityGroupIngressCommand({
      GroupId: groupId,
      IpPermissions: [{ ...ssh, IpRanges: [{ CidrIp: "203.0.113.7/32" }] }],
    }),
  );
  await fake.ec2(
    new AuthorizeSecurityGroupIngressCommand({
      GroupId: groupId,
      IpPermissions: [{ ...ssh, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    }),
  );
}

test("what was changed by hand is told and left", async () => {
  const fake = openFake();
  const { groups } = openParts(fake, { groups: operator });
  const [id = ""] = await fake.through(groups.forMachine(web));
  expect(await fake.through(groups.drift())).toEqual([]);
  await tamper(fake, id);
  const wayOut = "`drover serve --repair-drift` puts it back";
  const told = [
    `The security group drover-c-machines (${id}) no longer opens tcp 22 from 203.0.113.7/32: ${wayOut}.`,
    `The security group drover-c-machines (${id}) also opens tcp 22 from 0.0.0.0/0: ${wayOut}.`,
  ];
  expect(await fake.through(groups.drift())).toEqual(told);
  expect(await fake.through(groups.drift())).toEqual(told);
});

test("what was changed by hand is put back where the user wants it", async () => {
  const fake = openFake();
  const { groups } = openParts(fake, { groups: { ...operator, repairDrift: true } });
  const [id = ""] = await fake.through(groups.forMachine(web));
  await tamper(fake, id);
  const told = await fake.through(groups.drift());
  expect(told).toEqual(Array(2).fill(expect.stringMatching(/: drover has put it back\.$/)));
  expect(await fake.through(groups.drift())).toEqual([]);
});

test("a group that was deleted by hand is told once and made again when it is needed", async () => {
  const fake = openFake();
  const { groups } = openParts(fake, { groups: operator });
  const [id = ""] = await fake.through(groups.forMachine([]));
  fake.world.securityGroups.delete(id);
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toEqual([`The security group drover-c-machines (${id}) was deleted.`]);
  expect(await fake.through(groups.drift())).toEqual([]);
  expect(await fake.through(groups.forMachine([]))).not.toEqual([id]);
});

test("all groups go once their machines have gone", async () => {
  const fake = openFake();
  const { groups, machines } = openParts(fake, { groups: operator });
  const launched = await fake.through(machines.launch(launchOf("l-1", 2, { template: { ports: web } })));
  expect(named(fake)).toHaveLength(4);
  await fake.through(machines.terminate(launched.map(({ id }) => id)));
  for (const instance of fake.world.instances.values()) instance.terminatedAtMs = fake.clock.monotonicMs() + 90_000;
  await fake.through(groups.remove());
  expect(named(fake)).toEqual([]);
  expect(fake.clock.monotonicMs()).toBeGreaterThanOrEqual(90_000);
});

test("groups of ports that no machine has are swept; those in use are not", async () => {
  const fake = openFake();
  const { machines } = openParts(fake);
  await fake.through(machines.launch(launchOf("l-1", 1, { template: { ports: web } })));
  await fake.through(openParts(fake).groups.forMachine([{ port: 81, protocol: "TCP" }]));
  const { groups } = openParts(fake);
  await fake.through(groups.prune());
  expect(named(fake)).toEqual([
    ...["drover-c-balancers", "drover-c-machines", expect.stringMatching(/^drover-c-ports-/), "drover-c-redirects"],
  ]);
  expect(await fake.through(groups.forMachine(web))).toHaveLength(3);
});

test("after a restart groups are compared that nothing has been launched into since", async () => {
  const fake = openFake();
  const many = [...web, { port: 53, protocol: "UDP" }, { port: 8_080, protocol: "TCP" }] as const;
  const [id = "", ports = ""] = await fake.through(openParts(fake, { groups: operator }).groups.forMachine(many));
  await tamper(fake, id);
  const everybody = [{ CidrIp: "0.0.0.0/0" }];
  const IpPermissions = [{ IpProtocol: "udp", FromPort: 53, ToPort: 53, IpRanges: everybody }];
  await fake.ec2(new AuthorizeSecurityGroupIngressCommand({ GroupId: ports, IpPermissions }));
  const { groups } = openParts(fake, { groups: operator });
  expect(await fake.through(groups.drift()), "what was just changed may be shown as it was before").toEqual([]);
  await fake.clock.advance(60_000);
  const told = await fake.through(groups.drift());
  expect(told.map((each) => each.replace(/ \(.*?\)|: .*/g, ""))).toEqual([
    "The security group drover-c-machines no longer opens tcp 22 from 203.0.113.7/32",
    "The security group drover-c-machines also opens tcp 22 from 0.0.0.0/0",
    expect.stringMatching(/^The security group drover-c-ports-\w+ also opens udp 53 from 0\.0\.0\.0\/0$/),
  ]);
  const repairing = openParts(fake, { groups: { ...operator, repairDrift: true } }).groups;
  await fake.clock.advance(60_000);
  expect(await fake.through(repairing.drift())).toHaveLength(3);
  expect(await fake.through(groups.drift())).toEqual([]);
});

test("so many ports that the group's description can't name them all: nothing is said of what nobody knows", async () => {
  const fake = openFake();
  const many = Array.from({ length: 28 }, (_, index) => ({ port: 10_000 + index, protocol: "TCP" as const }));
  await fake.through(openParts(fake).groups.forMachine(many));
  const { groups } = openParts(fake);
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toEqual([]);
});

const [home, office, hotel] = ["203.0.113.7/32", "198.51.100.0/24", "192.0.2.9/32"];
/** Who may open SSH to the machines. */
const letIn = ({ world }: Fake): string[] =>
  [...world.securityGroups.values()]
    .filter(({ name }) => name === "drover-c-machines")
    .flatMap(({ ingress }) => ingress.map(({ from, peer }) => (from === 22 ? peer : `${from} ${peer}`)))
    .sort();
const many = Array.from({ length: 40 }, (_, index) => `198.51.100.${100 + index}/32`);

test.for([
  ["another one", [home], [office]],
  ["one more", [home], [home, office]],
  ["one less", [home, office], [office]],
  ["the first", [], [home]],
  ["none any more", [home], []],
  ["so many that one tag can't hold them", [home], many],
  ["fewer than one tag can't hold", many, [home]],
] as const)("after a restart with %s for an operator's network it is let in, and nothing is told", async (row) => {
  const [, before, after] = row;
  const fake = openFake();
  await fake.through(openParts(fake, { groups: { operatorCidrs: before } }).groups.forMachine([]));
  expect(letIn(fake)).toEqual([...before].sort());
  const { groups } = openParts(fake, { groups: { operatorCidrs: after } });
  expect(await fake.through(groups.drift())).toEqual([]);
  expect(letIn(fake)).toEqual([...after].sort());
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toEqual([]);
  await fake.through(openParts(fake, { groups: { operatorCidrs: before } }).groups.forMachine([]));
  expect(letIn(fake), "a launch carries it out too").toEqual([...before].sort());
});

test("what was changed by hand is told all the same when the operator's network is another one", async () => {
  const fake = openFake();
  const both = { operatorCidrs: [home, office] };
  const [id = ""] = await fake.through(openParts(fake, { groups: both }).groups.forMachine([]));
  await tamper(fake, id);
  const https = { IpProtocol: "tcp", FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: office }] };
  await fake.ec2(new AuthorizeSecurityGroupIngressCommand({ GroupId: id, IpPermissions: [https] }));
  const { groups } = openParts(fake, { groups: { operatorCidrs: [home, hotel] } });
  expect(await fake.through(groups.drift())).toEqual([]);
  expect(letIn(fake)).toEqual(["0.0.0.0/0", hotel, `443 ${office}`].sort());
  await fake.clock.advance(60_000);
  const told = await fake.through(groups.drift());
  expect(told.map((each) => each.replace(/ \(.*?\)|: .*/g, "")).sort()).toEqual([
    "The security group drover-c-machines also opens tcp 22 from 0.0.0.0/0",
    `The security group drover-c-machines also opens tcp 443 from ${office}`,
    `The security group drover-c-machines no longer opens tcp 22 from ${home}`,
  ]);
});

test.for(["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "CreateTags"])(
  "when drover dies at %s the next one carries the change out",
  async (action) => {
    const fake = openFake();
    await fake.through(openParts(fake, { groups: { operatorCidrs: [home] } }).groups.forMachine([]));
    const isIt = (call: { action: string }) => call.action === action;
    fake.world.hooks.beforeCall = (call) => {
      if (isIt(call)) throw Object.assign(new Error("the process is gone"), { name: "AccessDenied" });
    };
    const another = { groups: { operatorCidrs: [office] } };
    await expect(fake.through(openParts(fake, another).groups.drift())).rejects.toMatchObject({ code: "CLOUD_AUTH" });
    fake.world.hooks.beforeCall = () => undefined;
    const { groups } = openParts(fake, another);
    expect(await fake.through(groups.drift())).toEqual([]);
    expect(letIn(fake)).toEqual([office]);
    await fake.clock.advance(60_000);
    expect(await fake.through(groups.drift())).toEqual([]);
  },
);

test("a group that somebody else keeps is not changed by another operator's network: the difference is told", async () => {
  const fake = openFake();
  await fake.through(openParts(fake, { groups: { operatorCidrs: [home] } }).groups.forMachine([]));
  const kept = [...fake.world.securityGroups.values()].find(({ name }) => name === "drover-c-machines");
  kept?.tags.set("drover.dev/kept-by", "terraform");
  const { groups } = openParts(fake, { groups: { operatorCidrs: [office] } });
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toHaveLength(2);
  expect(letIn(fake)).toEqual([home]);
});

test("a group without a note, of an earlier drover, is compared with what is wished now", async () => {
  const fake = openFake();
  await fake.through(openParts(fake, { groups: { operatorCidrs: [home] } }).groups.forMachine([]));
  const old = [...fake.world.securityGroups.values()].find(({ name }) => name === "drover-c-machines");
  old?.tags.delete("drover.dev/applied");
  const { groups } = openParts(fake, { groups: { operatorCidrs: [office] } });
  await fake.clock.advance(60_000);
  expect(await fake.through(groups.drift())).toEqual([]);
  expect(await fake.through(groups.drift())).toHaveLength(2);
  await fake.through(openParts(fake, { groups: { operatorCidrs: [home] } }).groups.drift());
  expect(letIn(fake), "the note is there from then on").toEqual([home]);
});
