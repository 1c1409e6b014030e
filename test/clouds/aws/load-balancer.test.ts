import { expect, test } from "vitest";
import { openBalancerParts, service } from "./balancer-parts.ts";

const annotation = (name: string) => `service.beta.kubernetes.io/aws-load-balancer-${name}`;

/** Subnets by letters: `a` has the first id and the tag Name `first`, `b` the second one and `second`. */
test.for<[string, string, ("a" | "b")[]]>([
  ["by their ids", "IDB,IDA", ["b", "a"]],
  ["by their names", "second,first", ["b", "a"]],
  ["by both", "second,IDA", ["b", "a"]],
  ["by both, the id first", "IDB,first", ["b", "a"]],
])("addresses go to subnets in the order in which they are named, %s", async ([_how, subnets, order]) => {
  const { open, world } = openBalancerParts();
  const [a, b] = [...world.subnets.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  a?.tags.set("Name", "first");
  b?.tags.set("Name", "second");
  const named = subnets.replace("IDA", a?.id ?? "").replace("IDB", b?.id ?? "");
  const annotations = { [annotation("subnets")]: named, [annotation("eip-allocations")]: "eipalloc-1,eipalloc-2" };
  await open().ensure(service([], { annotations }));
  const [made] = world.writes.filter(({ action }) => action === "CreateLoadBalancer");
  const ids = { b: b?.id, a: a?.id };
  const wanted = order.map((letter, index) => ({ SubnetId: ids[letter], AllocationId: `eipalloc-${index + 1}` }));
  expect(made?.input).toMatchObject({ SubnetMappings: wanted });
});

const listOf = (pairs: Record<string, string>) => Object.entries(pairs).map(([Key, Value]) => ({ Key, Value }));

test("what is left out again, of annotations and of the Service, is as AWS makes it", async () => {
  const { open, world } = openBalancerParts();
  const balancers = open();
  const group = { id: "80-TCP", protocol: "TCP" as const, targets: [], drainSeconds: 30 };
  const annotations = { [annotation("proxy-protocol")]: "*" };
  await balancers.ensure(service([], { annotations, groups: [{ ...group, sticky: true }] }));
  await balancers.ensure(service([], { groups: [group] }));
  const [first, last] = world.writes.filter(({ action }) => action === "ModifyTargetGroupAttributes");
  const on = { "proxy_protocol_v2.enabled": "true", "stickiness.enabled": "true" };
  expect(first?.input).toMatchObject({ Attributes: expect.arrayContaining(listOf(on)) });
  const off = { "proxy_protocol_v2.enabled": "false", "stickiness.enabled": "false" };
  expect(last?.input).toMatchObject({ Attributes: expect.arrayContaining(listOf(off)) });
});

test("tags that are changed later are put on, and none of drover's own is replaced", async () => {
  const { open, world } = openBalancerParts();
  const balancers = open();
  const tagged = (tags: string) => service([], { annotations: { [annotation("additional-resource-tags")]: tags } });
  await balancers.ensure(tagged("cost=42"));
  await balancers.ensure(tagged("cost=43,drover.dev/cluster=theirs"));
  const [balancer] = world.loadBalancers.values();
  const [group] = world.targetGroups.values();
  for (const { tags } of [balancer, group].filter((each) => each !== undefined)) {
    expect([tags.get("cost"), tags.get("drover.dev/cluster")]).toEqual(["43", "test"]);
  }
  expect([balancer, group]).not.toContain(undefined);
});
