import { expect, test } from "vitest";
import type { Service } from "../../src/api/types.gen.ts";
import { redirectsKey, redirectsReconciler } from "../../src/controllers/redirects.ts";
import type { View } from "../../src/registry/view.ts";

const service = (name: string, spec: Service["spec"]): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "team" },
  spec,
});
const services = [
  service("web", { ports: [{ port: 80, targetPort: 8080 }, { port: 81 }] }),
  service("other", { ports: [{ port: 80, targetPort: 1 }] }),
  service("balanced", { ports: [{ port: 90, targetPort: 1 }] }),
];
const viewOf = (events: readonly object[]): View => ({ list: () => services, get: () => events[0] }) as unknown as View;
const look = (events: readonly object[], failure?: string) => {
  const namesOnly = ({ metadata }: Service) => metadata.name !== "balanced";
  const reconciler = redirectsReconciler({ view: viewOf(events), namesOnly });
  const world = reconciler.observe(redirectsKey, failure);
  return world && reconciler.plan(world, 0).actions;
};
const opened = { do: "openRedirects", ports: [{ port: 80, protocol: "TCP" }] };

test("ports of Services without a balancer that are others on the Pods are opened, each once", () => {
  expect(look([])).toEqual([opened]);
});

test("what stood in the way is told once, and tried again", () => {
  const notice = expect.objectContaining({ reason: "SyncRedirectsFailed", message: expect.stringMatching(/no room$/) });
  expect(look([], "no room")).toEqual([{ do: "tell", notice }, opened]);
  expect(look([{}], "no room")).toEqual([opened]);
});

test("a changed Service or Namespace queues the one key", () => {
  const { watches } = redirectsReconciler({ view: viewOf([]), namesOnly: () => true });
  expect(Object.keys(watches)).toEqual(["services", "namespaces"]);
  for (const keys of Object.values(watches)) expect(keys({} as never, viewOf([]))).toEqual([redirectsKey]);
});
