import { expect, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import type { EndpointSlice, Pod, Service } from "../../src/api/types.gen.ts";
import { type EndpointsWorld, planEndpoints } from "../../src/controllers/endpoints.ts";
import type { Action } from "../../src/controllers/reconciler.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const service = (spec: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "default", uid: "s", creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { selector: { app: "x" }, ports: [{ port: 80, targetPort: 8080, protocol: "TCP" }], ...spec },
});
/** "R" is ready, "u" is not, "x" is ready and on its way out, "f" has failed, "n" has no address. */
const pod = (letter: string, index: number): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: `${letter}${index}`,
    namespace: "default",
    uid: `${letter}${index}`,
    ...(letter === "x" && { deletionTimestamp: "2026-01-01T01:00:30Z" }),
  },
  spec: { containers: [], nodeName: "n" },
  status: {
    phase: letter === "f" ? "Failed" : "Running",
    ...(letter !== "n" && { podIP: `10.0.0.${index}` }),
    conditions: [{ type: "Ready", status: letter === "u" ? "False" : "True" }],
  },
});
const world = (word: string, more: Partial<EndpointsWorld> = {}): EndpointsWorld => ({
  service: service(),
  pods: [...word].map(pod),
  slices: [],
  zones: new Map([["n", "zone-a"]]),
  ...more,
});
const made = (actions: readonly Action[], kind: string): KubeObject[] =>
  actions.flatMap((action) => (action.do === "create" && action.object.kind === kind ? [action.object] : []));
const slicesOf = (actions: readonly Action[]) => made(actions, "EndpointSlice") as (KubeObject & EndpointSlice)[];

test.for([
  ["", ""],
  ["R", "R0:ready,serving"],
  ["Ru", "R0:ready,serving u1:"],
  ["x", "x0:serving,terminating"],
  ["fnR", "R2:ready,serving"],
] as const)("a slice of '%s' has [%s]", ([pods, want]) => {
  const [slice] = slicesOf(planEndpoints(world(pods), nowMs).actions);
  const told = slice?.endpoints?.map(({ targetRef, conditions = {} }) => {
    const set = Object.entries(conditions).filter(([, is]) => is);
    return `${targetRef?.name}:${set.map(([name]) => name).join()}`;
  });
  expect(told?.join(" ")).toBe(want);
  expect(slice?.ports).toEqual([{ name: "", protocol: "TCP", port: 8080 }]);
});

test("unready addresses are published when the Service says so", () => {
  const [slice] = slicesOf(
    planEndpoints(world("u", { service: service({ publishNotReadyAddresses: true }) }), nowMs).actions,
  );
  expect(slice?.endpoints?.[0]?.conditions).toEqual({ ready: true, serving: true, terminating: false });
  expect(slice?.endpoints?.[0]).toMatchObject({ nodeName: "n", zone: "zone-a" });
});

test("a slice has at most a hundred endpoints", () => {
  const slices = slicesOf(planEndpoints(world("R".repeat(230)), nowMs).actions);
  expect(slices.map(({ endpoints }) => endpoints?.length)).toEqual([100, 100, 30]);
});

test("the older form keeps ready and unready addresses apart and leaves out what is going", () => {
  const [endpoints] = made(planEndpoints(world("Rux"), nowMs).actions, "Endpoints");
  expect(endpoints?.["subsets"]).toMatchObject([
    {
      addresses: [{ ip: "10.0.0.0" }],
      notReadyAddresses: [{ ip: "10.0.0.1" }],
      ports: [{ port: 8080, protocol: "TCP" }],
    },
  ]);
});

test("a headless Service without Pods looks as Kubernetes' own", () => {
  const [endpoints] = made(
    planEndpoints(world("", { service: service({ clusterIP: "None" }) }), nowMs).actions,
    "Endpoints",
  );
  expect(endpoints).toEqual({
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" },
      labels: { "endpoints.kubernetes.io/managed-by": "endpoint-controller", "service.kubernetes.io/headless": "" },
      name: "web",
      namespace: "default",
    },
  });
});

test("the older form goes with its Service", () => {
  const labels = { "endpoints.kubernetes.io/managed-by": "endpoint-controller" };
  const endpoints = {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "web", namespace: "default", uid: "e", labels },
  };
  const { service: _, ...gone } = world("", { endpoints });
  expect(planEndpoints(gone, nowMs).actions.map((action) => action.do)).toEqual(["delete"]);
});
