import { AuthorizeSecurityGroupIngressCommand } from "@aws-sdk/client-ec2";
import { expect, onTestFinished, test, vi } from "vitest";
import { serving, warned } from "./trouble.ts";

/** Hours of virtual time take a busy computer more than the default. */
vi.setConfig({ testTimeout: 120_000 });

const everybody = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };

test.for([
  ["ports-", "Namespace NetworkDrift"],
  ["machines", "Namespace NetworkDrift"],
  ["svc-", "Service LoadBalancerDrift"],
] as const)("a security group (%s) that was edited while drover was stopped is told", async ([which, about]) => {
  const { cluster, pass, launched } = await serving(2);
  onTestFinished(cluster.close);
  const groups = [...cluster.world.securityGroups.values()];
  const group = groups.find(({ name, tags }) => `${name} ${JSON.stringify([...tags])}`.includes(which));
  expect(group).toBeDefined();
  await cluster.restart();
  const done = cluster.fake
    .connect()
    .ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: group?.id, IpPermissions: [everybody] }));
  await pass(10);
  await done;
  await pass(900);
  expect(warned(cluster)).toEqual([
    expect.stringMatching(
      new RegExp(`^${about}: The security group .*${group?.id}.* also opens tcp 22 from 0.0.0.0/0`),
    ),
  ]);
  expect(launched()).toEqual([]);
});

test("a network that is named by one of its addresses is no drift", async () => {
  const { cluster, pass } = await serving(2, { cloud: { operatorCidrs: ["203.0.113.7/24"] } });
  onTestFinished(cluster.close);
  await cluster.restart();
  await pass(900);
  expect(warned(cluster)).toEqual([]);
});

test("a restart with another --operator-cidr lets it in at once, and is no change by hand", async () => {
  const { cluster, pass, launched } = await serving(2, { cloud: { operatorCidrs: ["203.0.113.7/32"] } });
  onTestFinished(cluster.close);
  const letIn = () =>
    [...cluster.world.securityGroups.values()]
      .flatMap(({ ingress }) => ingress.filter(({ from }) => from === 22))
      .map(({ peer }) => peer);
  expect(letIn()).toEqual(["203.0.113.7/32"]);
  cluster.reopen({ operatorCidrs: ["198.51.100.0/24"] });
  await cluster.restart();
  await pass(20);
  expect(letIn()).toEqual(["198.51.100.0/24"]);
  await pass(900);
  expect(warned(cluster)).toEqual([]);
  expect(launched()).toEqual([]);
});
