import { expect, test } from "vitest";
import type { Pod, ReplicaSet, ReplicaSetStatus } from "../../src/api/types.gen.ts";
import type { Action } from "../../src/controllers/reconciler.ts";
import { planReplicaSet, type ReplicaSetWorld } from "../../src/controllers/replicasets.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const replicaSet = (replicas: number, minReadySeconds = 0): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: {
    name: "web-x",
    namespace: "default",
    uid: "rs",
    resourceVersion: "1",
    generation: 3,
    annotations: { "drover.dev/machine-image": "debian-12 debian amd64 0" },
  },
  spec: {
    replicas,
    minReadySeconds,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { name: "", labels: { app: "web" } }, spec: { containers: [] } },
  },
});
/**
 * "R" is ready for a minute, "r" for a second, "u" runs unready, "p" has no Node, "x" is on its way out, "f" has failed,
 * "o" is a matching orphan, "l" has lost the label.
 */
const pod = (letter: string, index: number): Pod => {
  const seconds = letter === "R" ? 60 : 1;
  const ready = { type: "Ready", status: /[Rrxo]/.test(letter) ? "True" : "False" };
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-x", uid: "rs", controller: true };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${letter}${index}`,
      namespace: "default",
      uid: `${letter}${index}`,
      resourceVersion: "1",
      labels: letter === "l" ? {} : { app: "web" },
      ...(letter !== "o" && { ownerReferences: [owner] }),
      ...(letter === "x" && { deletionTimestamp: "2026-01-01T01:00:30Z" }),
    },
    spec: { containers: [], ...(letter !== "p" && { nodeName: `n${index}` }) },
    status: {
      phase: letter === "f" ? "Failed" : letter === "p" ? "Pending" : "Running",
      conditions: [{ ...ready, lastTransitionTime: new Date(nowMs - seconds * 1_000).toISOString() }],
    },
  };
};
const world = (replicas: number, word: string, more: Partial<ReplicaSetWorld> = {}): ReplicaSetWorld => ({
  replicaSet: replicaSet(replicas),
  pods: [...word].map(pod),
  doors: { services: [], ingresses: [], namesOnly: () => false },
  neighbours: new Map(),
  unseen: false,
  lookup: { reference: "debian-12", architectures: ["amd64", "arm64"], images: [] },
  image: { image: { id: "debian-12", family: "debian", architecture: "amd64", diskBytesMin: 0 } },
  ...more,
});
const told = (actions: readonly Action[]): string =>
  actions
    .flatMap((action) => (action.do === "together" ? action.actions : [action]))
    .flatMap((action) => {
      if (action.do === "create") return ["+"];
      if (action.do === "delete") return [`-${action.key.name}`];
      return action.do === "write" && action.key.resource === "pods" ? [`~${action.key.name}`] : [];
    })
    .join(" ");

test.for<[string, number, string, string]>([
  ["fills up to the size", 3, "", "+ + +"],
  ["does not count what is on its way out", 2, "Rx", "+"],
  ["replaces what has failed and lets it go", 2, "Rf", "-f1 +"],
  ["rests when the size is reached", 2, "RR", ""],
  ["what has no Node goes first", 1, "Rp", "-p1"],
  ["then what is not ready", 1, "Ru", "-u1"],
  ["then what was ready for a shorter time", 1, "rR", "-r0"],
  ["takes over a matching orphan", 2, "Ro", "~o1"],
  ["lets go of what has lost its label", 1, "Rl", "~l1"],
])("a ReplicaSet %s", ([_name, replicas, pods, want]) => {
  expect(told(planReplicaSet(world(replicas, pods), nowMs).actions)).toBe(want);
});

const statusOf = (actions: readonly Action[]): ReplicaSetStatus | undefined => {
  const write = actions.find((action) => action.do === "write" && action.subresource === "status");
  return write?.do === "write" ? (write.next as ReplicaSet).status : undefined;
};

test("counts what is ready, available and on its way out", () => {
  const given = world(3, "Rrux", { replicaSet: replicaSet(3, 30) });
  const { actions, againInMs } = planReplicaSet(given, nowMs);
  expect(statusOf(actions)).toEqual({
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    terminatingReplicas: 1,
    observedGeneration: 3,
  });
  expect(againInMs).toBe(29_000);
});

test("a refusal becomes a condition until it is over", () => {
  const failure = "pods is forbidden: exceeded quota";
  const status = statusOf(planReplicaSet(world(1, "", { failure }), nowMs).actions);
  expect(status?.conditions).toMatchObject([
    { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: failure },
  ]);
  const later = world(1, "R", { replicaSet: { ...replicaSet(1), ...(status && { status }) } });
  expect(statusOf(planReplicaSet(later, nowMs).actions)?.conditions).toBeUndefined();
});

test("a new Pod has a gate for each balancer that is to reach it", () => {
  const service = (name: string, spec: object) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, uid: name },
    spec,
  });
  const services = [
    service("front", { type: "LoadBalancer", selector: { app: "web" } }),
    service("other", { selector: { app: "db" } }),
    service("headless", { clusterIP: "None", selector: { app: "web" } }),
    service("outside", { type: "ExternalName" }),
  ];
  const ingress = (name: string, backend: string) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, uid: name },
    spec: { defaultBackend: { service: { name: backend, port: { number: 80 } } } },
  });
  const ingresses = [ingress("site", "headless"), ingress("shop", "other")];
  const [together] = planReplicaSet(
    world(1, "", { doors: { services, ingresses, namesOnly: () => false } }),
    nowMs,
  ).actions.filter(({ do: does }) => does === "together");
  const [create] = together?.do === "together" ? together.actions : [];
  expect(create?.do === "create" && create.object.spec).toMatchObject({
    readinessGates: [{ conditionType: "drover.dev/balancer-front" }, { conditionType: "drover.dev/balancer-site" }],
  });
});
