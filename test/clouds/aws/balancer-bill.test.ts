import { expect, test } from "vitest";
import { ingress, openBalancerParts, service } from "./balancer-parts.ts";

test.for([
  [
    "a Service for everybody",
    service([]),
    3,
    /^The network load balancer dr-\w+ costs about \$16\.43 a month, and its 3 public IPv4 addresses \$10\.95 more; traffic is not counted\.$/,
  ],
  [
    "a Service for machines",
    service([], { scheme: "internal" }),
    0,
    /^The network load balancer dr-\w+ costs about \$16\.43 a month; traffic is not counted\. A Service of type ClusterIP does without one by drover\.dev\/balancer: names\.$/,
  ],
  ["an Ingress", ingress("web", []), 3, /^The application load balancer .* \$16\.43 a month, and its 3 public/],
] as const)("%s says what it costs", async ([_name, spec, publicAddresses, sentence]) => {
  const balancers = openBalancerParts().open();
  await balancers.ensure(spec);
  const bill = (await balancers.state())?.bill;
  expect(bill).toMatchObject({ kind: spec.kind, publicAddresses, sentence: expect.stringMatching(sentence) });
});
