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
