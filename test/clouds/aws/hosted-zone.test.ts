import { CreateHostedZoneCommand } from "@aws-sdk/client-route-53";
import { expect, test } from "vitest";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { findMadeZone, findZone } from "../../../src/clouds/aws/hosted-zone.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { openFake } from "../sim/aws/setup.ts";
import { outcomeOf } from "./balancer-parts.ts";

const domain = "cluster.local";

function openParts() {
  const fake = openFake({ hostedZones: [] });
  const { clock, world } = fake;
  const [vpcId = ""] = world.vpcs.keys();
  const open = (cluster = "test", createZone = true) => {
    const send = openSend(fake.connect(), clock);
    const options = { send, clock, cluster, domain, vpcId, region: "us-east-1", createZone, tags: { team: "red" } };
    const networks = openNetworks(send, clock, { cluster });
    return { find: () => findZone(options), made: () => findMadeZone({ ...options, networks }) };
  };
  const zones = () => [...world.hostedZones.values()];
  /** A zone that was made without a tag, as a crash between the two calls leaves it. */
  const make = async (CallerReference: string) => {
    const VPC = { VPCId: vpcId, VPCRegion: "us-east-1" as const };
    await fake.route53(new CreateHostedZoneCommand({ Name: domain, CallerReference, VPC }));
  };
  return { ...fake, open, zones, make };
}

test("a zone that drover had no time to tag is its own: it is tagged, and known as made", async () => {
  const { open, zones, through, world } = openParts();
  world.conditions.fail("ChangeTagsForResource", "unavailable", 8);
  expect(await outcomeOf(through(open().find()))).toMatch(/^CLOUD_UNAVAILABLE/);
  const [zone] = zones();
  expect([...(zone?.tags ?? [])]).toEqual([]);
  expect(await through(open("test", false).made())).toBe(zone?.id);
  expect([...(zone?.tags ?? [])], "who makes no zones tags none").toEqual([]);
  expect(await through(open().find())).toEqual({ id: zone?.id, isOurs: true, isMade: true });
  expect(Object.fromEntries(zone?.tags ?? [])).toEqual({ "drover.dev/cluster": "test", team: "red" });
  expect(zones()).toHaveLength(1);
});

test.for([
  ["drover-test-1795000000000", "drover made it", { isOurs: true, isMade: true }],
  ["drover-test-2-1795000000000", "the cluster test-2 made it", "belongs to the cluster test-2"],
  ["drover-other-1795000000000", "the cluster other made it", "belongs to the cluster other"],
  ["drover-test-by-hand", "no number ends it", { isOurs: false, isMade: false }],
  ["my-drover-test-1795000000000", "somebody else began it", { isOurs: false, isMade: false }],
  ["terraform-20261122", "somebody else made it", { isOurs: false, isMade: false }],
] as const)("a zone without a tag, made with %s: %s", async ([reference, , expected]) => {
  const { open, zones, through, make } = openParts();
  await make(reference);
  const tagged = typeof expected !== "string" && expected.isOurs;
  if (typeof expected === "string") expect(await outcomeOf(through(open().find()))).toContain(expected);
  else expect(await through(open().find())).toMatchObject(expected);
  expect(zones()[0]?.tags.size).toBe(tagged ? 2 : 0);
});

test("a zone that somebody keeps is not drover's, whatever it was made with", async () => {
  const { open, zones, through, make } = openParts();
  await make("drover-test-1795000000000");
  zones()[0]?.tags.set("drover.dev/kept-by", "me");
  expect(await through(open().find())).toMatchObject({ isOurs: false, isMade: false });
  expect(await through(open().made())).toBeUndefined();
});

test("of two that make the zone at once, and of a call whose answer is lost, comes one zone", async () => {
  const { open, zones, through, world } = openParts();
  world.conditions.fail("CreateHostedZone", "lost-reply", 1);
  const found = await through(Promise.all([open().find(), open().find(), open().find()]));
  expect(zones()).toHaveLength(1);
  expect(found).toEqual(Array(3).fill({ id: zones()[0]?.id, isOurs: true, isMade: true }));
  expect(zones()[0]?.tags.get("drover.dev/cluster")).toBe("test");
});
