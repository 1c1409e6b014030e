import { expect, test } from "vitest";
import { balancerSubnets, machineSubnet, type Network, type Subnet, zonesOf } from "../../../src/clouds/aws/network.ts";
import { openFake } from "../sim/aws/setup.ts";
import { openParts } from "./parts.ts";

const subnet = (id: string, zone: string, more: Partial<Subnet> = {}): Subnet => ({
  id,
  zone,
  freeAddresses: 4_000,
  isPublic: false,
  givesPublicAddresses: false,
  tags: {},
  ...more,
});
const network = (...subnets: Subnet[]): Network => ({ vpcId: "vpc-1", cidrs: ["10.0.0.0/16"], subnets });
const ids = (subnets: readonly Subnet[]): string[] => subnets.map(({ id }) => id);

const elb = (value: string): Partial<Subnet> => ({ tags: { "kubernetes.io/role/elb": value } });
const internal = { tags: { "kubernetes.io/role/internal-elb": "1" } };

test.for<[name: string, scheme: "internal" | "internet-facing", subnets: Subnet[], expected: string[]]>([
  ["tagged ones", "internet-facing", [subnet("a", "1", elb("1")), subnet("b", "2", { isPublic: true })], ["a"]],
  ["an empty tag counts", "internet-facing", [subnet("a", "1", elb("")), subnet("b", "2")], ["a"]],
  ["a tag that says no", "internet-facing", [subnet("a", "1", elb("0")), subnet("b", "2", { isPublic: true })], ["b"]],
  ["public ones", "internet-facing", [subnet("a", "1"), subnet("b", "2", { isPublic: true })], ["b"]],
  ["tagged private ones", "internal", [subnet("a", "1"), subnet("b", "2", internal)], ["b"]],
  ["private ones", "internal", [subnet("a", "1"), subnet("b", "2", { isPublic: true })], ["a"]],
  ["public ones where there are no others", "internal", [subnet("b", "2", { isPublic: true })], ["b"]],
  ["one a zone", "internal", [subnet("a", "1"), subnet("b", "1"), subnet("c", "2")], ["a", "c"]],
  ["the one with room", "internal", [subnet("a", "1", { freeAddresses: 5 }), subnet("b", "1")], ["b"]],
])("subnets of a load balancer: %s", ([, scheme, subnets, expected]) => {
  expect(ids(balancerSubnets(network(...subnets), scheme))).toEqual(expected);
});

test("an internet-facing load balancer without a public subnet says what to tag", () => {
  expect(() => balancerSubnets(network(subnet("a", "1")), "internet-facing")).toThrow(/tag one a zone with kubernetes/);
});

test("machines that need a public address go to public subnets alone", () => {
  const both = network(subnet("a", "1"), subnet("b", "1", { isPublic: true }));
  expect(machineSubnet(both, "1", false).id).toBe("a");
  expect(machineSubnet(both, "1", true).id).toBe("b");
  expect(() => machineSubnet(network(subnet("a", "1")), "1", true)).toThrow(/no public subnet in 1/);
});

test("subnets with ample room are alike: the choice stays the same while they fill", () => {
  const [a, b] = [subnet("a", "1", { freeAddresses: 300 }), subnet("b", "1", { freeAddresses: 4_000 })];
  expect(machineSubnet(network(a, b), "1", false).id).toBe("a");
});

test("without options and tags it is the default VPC, in all of its zones", async () => {
  const fake = openFake();
  const found = await fake.through(openParts(fake).networks.find());
  expect(found.cidrs).toEqual(["172.31.0.0/16"]);
  expect(zonesOf(found)).toEqual(["us-east-1a", "us-east-1b", "us-east-1c"]);
  expect(found.subnets.every(({ isPublic }) => isPublic)).toBe(true);
});

test("subnets that are tagged with the cluster come before the default VPC", async () => {
  const fake = openFake();
  const [first] = [...fake.world.subnets.values()];
  first?.tags.set("drover.dev/cluster", "c");
  const found = await fake.through(openParts(fake).networks.find());
  expect(ids(found.subnets)).toEqual([first?.id]);
});

/** A second network with the subnet of the first zone in it. */
function withSecond(tags: Readonly<Record<string, string>>) {
  const fake = openFake();
  const [vpc] = fake.world.vpcs.values();
  const [first, second] = fake.world.subnets.values();
  if (!vpc || !first || !second) throw new Error("the fake has a default VPC");
  const other = { ...vpc, id: "vpc-22222222222222222", isDefault: false, tags: new Map(Object.entries(tags)) };
  fake.world.vpcs.set(other.id, other);
  first.vpcId = other.id;
  return { fake, other, first, second };
}

test("a VPC that is tagged with the cluster comes before the default one", async () => {
  const { fake, other, first } = withSecond({ "drover.dev/cluster": "c" });
  const found = await fake.through(openParts(fake).networks.find());
  expect([found.vpcId, ids(found.subnets)]).toEqual([other.id, [first.id]]);
});

test("a VPC by its id, and subnets by theirs", async () => {
  const { fake, other, first, second } = withSecond({});
  const byVpc = openParts(fake, { network: { vpcId: other.id } });
  expect(ids((await fake.through(byVpc.networks.find())).subnets)).toEqual([first.id]);
  const bySubnet = openParts(fake, { network: { subnetIds: [second.id] } });
  expect(ids((await fake.through(bySubnet.networks.find())).subnets)).toEqual([second.id]);
});

test("subnets of several VPCs need a choice", async () => {
  const { fake, other, first, second } = withSecond({});
  const given = openParts(fake, { network: { subnetIds: [first.id, second.id] } });
  await expect(fake.through(given.networks.find())).rejects.toThrow(/^The given subnets are in several VPCs, vpc-/);
  for (const each of [first, second]) each.tags.set("drover.dev/cluster", "c");
  const tagged = openParts(fake).networks.find();
  await expect(fake.through(tagged)).rejects.toThrow(/subnets tagged drover.dev\/cluster=c are in several VPCs/);
  const { networks } = openParts(fake, { network: { vpcId: other.id } });
  expect(ids((await fake.through(networks.find())).subnets)).toEqual([first.id]);
});

test("what was found is believed for five minutes", async () => {
  const fake = openFake();
  const { networks } = openParts(fake);
  await fake.through(networks.find());
  await fake.through(Promise.all([networks.find(), networks.find()]));
  expect(fake.world.calls.get("DescribeRouteTables")).toBe(1);
  await fake.clock.advance(301_000);
  await fake.through(networks.find());
  expect(fake.world.calls.get("DescribeRouteTables")).toBe(2);
});

test("no default VPC: the message says all ways out", async () => {
  const fake = openFake({ defaultVpc: false });
  await expect(fake.through(openParts(fake).networks.find())).rejects.toThrow(
    "This account has no default VPC in this region and none tagged drover.dev/cluster=c: " +
      "name one (drover serve --vpc ID, --subnets IDS), make one with the Terraform module in infra/, " +
      "or `aws ec2 create-default-vpc`.",
  );
});

test.for<[options: { vpcId?: string; subnetIds?: string[] }, message: RegExp]>([
  [{ vpcId: "vpc-0123456789abcdef0" }, /There is no VPC vpc-0123456789abcdef0 in this region \(--vpc\)/],
  [{ subnetIds: ["subnet-0123456789abcdef0"] }, /There is no subnet subnet-0123456789abcdef0 in this region/],
])("an option that names nothing is named: %j", async ([network, message]) => {
  const fake = openFake();
  await expect(fake.through(openParts(fake, { network }).networks.find())).rejects.toThrow(message);
});
