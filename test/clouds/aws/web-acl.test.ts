import { expect, test } from "vitest";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { ingress, openBalancerParts, outcomeOf } from "./balancer-parts.ts";

/** The web ACL of an Ingress' load balancer. */

const annotation = "alb.ingress.kubernetes.io/wafv2-acl-arn";
const group = { "alb.ingress.kubernetes.io/group.name": "shop" };
const arnOf = (name: string) => `arn:aws:wafv2:us-east-1:123456789012:regional/webacl/${name}/0000-1`;
const [one, other] = [arnOf("one"), arnOf("other")];

function openAccount(options: Parameters<typeof openBalancerParts>[0] = {}) {
  const parts = openBalancerParts(options);
  for (const arn of [one, other]) parts.world.webAcls.add(arn);
  const first = () => [...parts.world.loadBalancers.values()][0];
  const waf = () => parts.writes().filter((name) => /ssociateWebACL/.test(name));
  return { ...parts, first, waf, acl: () => first()?.webAclArn };
}

/** An Ingress of this id; `text` undefined: it says nothing. */
const site = (text: string | undefined, id = "web", more: Record<string, string> = {}) =>
  ingress(id, [{ path: `/${id}` }], { annotations: { ...more, ...(text !== undefined && { [annotation]: text }) } });

test("is there before anything listens, and is given once", async () => {
  const { open, calls, acl, waf } = openAccount();
  await open().ensure(site(one));
  expect(acl()).toBe(one);
  const order = calls.filter((name) => /^(CreateLoadBalancer|AssociateWebACL|CreateListener)$/.test(name));
  expect(order).toEqual(["CreateLoadBalancer", "AssociateWebACL", "CreateListener"]);
  waf();
  const again = open();
  await again.ensure(site(one));
  expect(waf()).toEqual([]);
  expect((await again.state())?.warnings).toBeUndefined();
});

test.for<[string, string | undefined, string | undefined, string | undefined, string[]]>([
  ["another takes its place", one, other, other, ["AssociateWebACL"]],
  ["none takes it away", one, "none", undefined, ["DisassociateWebACL"]],
  ["an empty text, too", one, "", undefined, ["DisassociateWebACL"]],
  ["left out it is taken away", one, undefined, undefined, ["DisassociateWebACL"]],
  ["and comes back", "none", one, one, ["AssociateWebACL"]],
  ["nothing is asked where nobody says anything", undefined, undefined, undefined, []],
])("%s, also by the next process", async ([_what, before, after, want, calls]) => {
  const { open, acl, waf } = openAccount();
  await open().ensure(site(before));
  waf();
  await open().ensure(site(after));
  expect(acl()).toBe(want);
  expect(waf()).toEqual(calls);
  await open().ensure(site(after));
  expect(waf()).toEqual([]);
});

test("one that somebody else has given stays, unless there is to be none", async () => {
  const { open, first, acl } = openAccount();
  await open().ensure(site(undefined));
  const balancer = first();
  if (balancer) balancer.webAclArn = other;
  await open().ensure(site(undefined));
  expect(acl()).toBe(other);
  await open().ensure(site("none"));
  expect(acl()).toBeUndefined();
});

test("one that is not there is refused by name, and nothing listens", async () => {
  const { open, world } = openAccount();
  expect(await outcomeOf(open().ensure(site(arnOf("absent"))))).toContain(`CLOUD_INVALID ${annotation}: `);
  expect(world.loadBalancers.size).toBe(1);
  expect(world.listeners.size).toBe(0);
});

test("a load balancer that the firewall has not heard of yet is waited for", async () => {
  const { open, acl, failNext, waf } = openAccount();
  for (let times = 0; times < 3; times++) failNext("AssociateWebACL", "WAFUnavailableEntityException");
  await open().ensure(site(one));
  expect(acl()).toBe(one);
  expect(waf()).toHaveLength(4);
});

test("under AWS' own delays and rates it is given all the same", { timeout: 20_000 }, async () => {
  const { open, acl } = openAccount({ latencies: ec2Latencies });
  await open().ensure(site(one));
  expect(acl()).toBe(one);
});

test("what was taken away by hand is told, and given again where that is wanted", async () => {
  const { open, first, acl, clock } = openAccount();
  const told = open();
  await told.ensure(site(one));
  const balancer = first();
  delete balancer?.webAclArn;
  await clock.advance(700_000);
  await told.observe();
  expect((await told.state())?.drift).toMatch(/^The load balancer dr-\w+ has no web ACL\.$/);
  expect(acl()).toBeUndefined();
  if (balancer) balancer.webAclArn = other;
  const mended = open({ repairDrift: true });
  await mended.ensure(site(one));
  await clock.advance(700_000);
  await mended.observe();
  expect(acl()).toBe(one);
});

test("of a group one is enough, whoever says it; with it goes what it asked for", async () => {
  const { open, acl } = openAccount();
  const balancers = open();
  await balancers.ensure(site(undefined, "a", group));
  expect(acl()).toBeUndefined();
  await balancers.ensure(site(one, "b", group));
  expect(acl()).toBe(one);
  await balancers.ensure(site(undefined, "a", { ...group, "alb.ingress.kubernetes.io/group.order": "5" }));
  expect(acl()).toBe(one);
  await balancers.remove("b");
  expect(acl()).toBeUndefined();
});

test("of a group that doesn't agree the later one is refused until it does", async () => {
  const { open, acl, world } = openAccount();
  const balancers = open();
  await balancers.ensure(site(one, "a", group));
  await balancers.ensure(site(one, "b", group));
  const groups = world.targetGroups.size;
  const refused = await outcomeOf(balancers.ensure(site(other, "b", group)));
  expect(world.targetGroups.size).toBe(groups);
  expect(refused).toContain(`CLOUD_INVALID ${annotation}: default/a of the same group says ${one}`);
  expect(acl()).toBe(one);
  expect(await outcomeOf(balancers.ensure(site(other, "a", group)))).toBe("ok");
  expect(acl()).toBe(other);
  expect(await outcomeOf(balancers.ensure(site(other, "b", group)))).toBe("ok");
});

test("after a start nothing is taken away before all of a group have spoken", async () => {
  const { open, acl } = openAccount();
  const before = open();
  await before.ensure(site(one, "a", group));
  await before.ensure(site(undefined, "b", group));
  const after = open();
  await after.ensure(site(undefined, "b", group));
  expect(acl()).toBe(one);
  await after.ensure(site(undefined, "a", group));
  expect(acl()).toBeUndefined();
});
