import { expect, test } from "vitest";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { BalancerState } from "../../src/clouds/balancer.ts";
import type { Cloud } from "../../src/clouds/cloud.ts";
import { openBalancerBook } from "../../src/controllers/balancer-book.ts";
import { openPoll } from "../../src/controllers/poll.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const shown: BalancerState = {
  ...{ id: "svc-1", name: "default/web", ready: true, addresses: [{ hostname: "lb.example" }] },
  targets: [{ machineId: "i-1", state: "healthy" }],
};
const bill = { loadBalancer: "lb", kind: "network", publicAddresses: 0, sentence: "It costs." } as const;

test.for<[string, Partial<BalancerState>, string]>([
  ["nothing", {}, ""],
  ["that it is ready no more", { ready: false }, "svc-1"],
  ["another address", { addresses: [{ hostname: "other.example" }] }, "svc-1"],
  ["that somebody changed it", { drift: "It is not as it was." }, "svc-1"],
  ["what of its spec is not carried out", { warnings: ["Nothing is done about it."] }, "svc-1"],
  ["what it costs", { bill }, "svc-1"],
  ["another state of a target", { targets: [{ machineId: "i-1", state: "unhealthy" }] }, "svc-1 i-1"],
  ["another reason of a target", { targets: [{ machineId: "i-1", state: "healthy", reason: "R" }] }, "svc-1 i-1"],
  ["a target less", { targets: [] }, "svc-1 i-1"],
])("what a balancer says anew is told: %s", async ([_what, more, want]) => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const told: string[] = [];
  let state = shown;
  const cloud = {
    machines: { observe: async () => ({ machines: [], complete: true }) },
    balancers: { observe: async () => ({ balancers: [state], complete: true }) },
  };
  const poll = openPoll({
    ...{ clock, log: quiet, signal: stop.signal, fastMs: 500, slowMs: 10_000 },
    cloud: cloud as unknown as Cloud, // Nothing else is asked for.
    book: openBalancerBook(clock),
    busy: () => true,
    expected: () => [],
    onChange: ({ balancerIds, targetIds }) => void told.push([...balancerIds, ...targetIds].join(" ")),
    onUnobserved: async () => {},
    onRecovery: () => {},
  });
  poll.start();
  await clock.advance(0);
  state = { ...shown, ...more };
  await clock.advance(500);
  stop.abort();
  await clock.advance(0);
  expect(told).toEqual(["svc-1 i-1", want]);
});
