import { expect, test } from "vitest";
import { decodeObject } from "../../src/api/decode.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { hasGeneration, prepareUpdate } from "../../src/api/strategy.ts";
import { validateUpdate } from "../../src/api/validate.ts";
import { kindOf } from "./kind-of.ts";

/** An object as it is stored: uid, generation and status are the server's. */
function stored(id: string, value: object, status?: object): KubeObject {
  const kind = kindOf(id);
  const { object } = decodeObject(kind, value);
  applyDefaults(kind, object, "defaults");
  Object.assign(object.metadata, { uid: "u", creationTimestamp: "2026-01-01T00:00:00Z", namespace: "n", name: "a" });
  if (hasGeneration(kind)) object.metadata.generation = 1;
  return status ? { ...object, status } : object;
}
const changed = (object: KubeObject, change: (copy: KubeObject) => unknown): KubeObject => {
  const copy = structuredClone(object);
  change(copy);
  return copy;
};

const containers = [{ name: "c", image: "nginx:1" }];
const template = { metadata: { labels: { app: "x" } }, spec: { containers } };
const deployment = stored(
  "apps/v1/Deployment",
  { spec: { selector: { matchLabels: { app: "x" } }, template } },
  { replicas: 1 },
);
const deployments = kindOf("apps/v1/Deployment");

test.for([
  ["its spec", { spec: { ...(deployment.spec as object), replicas: 3 } }, 2],
  ["its labels", { metadata: { ...deployment.metadata, labels: { a: "b" } } }, 1],
  ["its annotations", { metadata: { ...deployment.metadata, annotations: { a: "b" } } }, 2],
  ["its status", { status: { replicas: 9 } }, 1],
] as const)("after a change of %s a Deployment's generation is right", ([, change, generation]) => {
  const next = prepareUpdate(deployments, { ...deployment, ...change }, deployment);
  expect(next.metadata.generation).toBe(generation);
  expect(next.status).toEqual({ replicas: 1 });
});

test("a write of the status leaves the spec alone", () => {
  const next = changed(deployment, (copy: KubeObject) => {
    copy.spec = {};
    copy.status = { replicas: 2 };
  });
  const written = prepareUpdate(deployments, next, deployment, "status");
  expect(written.spec).toEqual(deployment.spec);
  expect(written.status).toEqual({ replicas: 2 });
  expect(written.metadata.generation).toBe(1);
});

test("metadata of the server's own cannot be written", () => {
  const next = changed(deployment, ({ metadata }: KubeObject) => {
    Object.assign(metadata, { generation: 7, creationTimestamp: "2001-01-01T00:00:00Z", selfLink: "/x" });
  });
  expect(prepareUpdate(deployments, next, deployment).metadata).toEqual(deployment.metadata);
});

const services = kindOf("v1/Service");
const service = (spec: object): KubeObject =>
  stored("v1/Service", { spec: { ports: [{ port: 80, nodePort: 30_080 }], ...spec } });
const addresses = {
  clusterIP: "10.0.0.9",
  clusterIPs: ["10.0.0.9"],
  ipFamilies: ["IPv4"],
  ipFamilyPolicy: "SingleStack",
};

test("a Service keeps what it was given when a client leaves it out", () => {
  const old = service({ type: "NodePort", ...addresses });
  const sent = stored("v1/Service", { spec: { type: "NodePort", ports: [{ port: 80 }] } });
  const next = prepareUpdate(services, sent, old);
  expect(next.spec).toMatchObject({ clusterIP: "10.0.0.9", clusterIPs: ["10.0.0.9"], ports: [{ nodePort: 30_080 }] });
  expect(validateUpdate(services, next, old)).toEqual([]);
});

test("a Service that becomes a mere name gives its addresses back", () => {
  const old = service({ type: "LoadBalancer", ...addresses, externalTrafficPolicy: "Cluster" });
  const sent = changed(old, (copy: KubeObject) =>
    Object.assign(copy.spec as object, { type: "ExternalName", externalName: "x.io" }),
  );
  const next = prepareUpdate(services, sent, old);
  for (const name of [
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "externalTrafficPolicy",
    "allocateLoadBalancerNodePorts",
  ]) {
    expect(next.spec).not.toHaveProperty(name);
  }
  expect(next.spec).toMatchObject({ ports: [{ port: 80 }] });
  expect((next.spec as { ports: object[] }).ports[0]).not.toHaveProperty("nodePort");
  expect(validateUpdate(services, next, old)).toEqual([]);
});

test("a Service's address cannot change", () => {
  const old = service({ ...addresses, ports: [{ port: 80 }] });
  const sent = changed(old, (copy: KubeObject) => Object.assign(copy.spec as object, { clusterIP: "10.0.0.8" }));
  const next = prepareUpdate(services, sent, old);
  expect(validateUpdate(services, next, old).map(({ field }) => field)).toEqual(["spec.clusterIPs[0]"]);
});

test("a Namespace keeps its name label and its finalizers", () => {
  const old = stored("v1/Namespace", { metadata: { name: "a" }, spec: { finalizers: ["kubernetes"] } });
  const sent = changed(old, (copy: KubeObject) => {
    copy.spec = {};
    copy.metadata.labels = { "kubernetes.io/metadata.name": "b" };
  });
  const next = prepareUpdate(kindOf("v1/Namespace"), sent, old);
  expect(next.spec).toEqual({ finalizers: ["kubernetes"] });
  expect(next.metadata.labels).toEqual({ "kubernetes.io/metadata.name": "a" });
});

test("a DaemonSet counts the changes of its template", () => {
  const name = "deprecated.daemonset.template.generation";
  const kind = kindOf("apps/v1/DaemonSet");
  const old = stored("apps/v1/DaemonSet", { spec: { selector: { matchLabels: { app: "x" } }, template } });
  old.metadata.annotations = { [name]: "4" };
  const same = prepareUpdate(kind, structuredClone(old), old);
  expect(same.metadata.annotations).toEqual({ [name]: "4" });
  const sent = changed(old, (copy: KubeObject) => {
    Object.assign(copy.spec as object, { template: { ...template, metadata: { labels: { app: "x", v: "2" } } } });
  });
  expect(prepareUpdate(kind, sent, old).metadata.annotations).toEqual({ [name]: "5" });
});

const pods = kindOf("v1/Pod");
const pod = stored("v1/Pod", { spec: { containers, tolerations: [{ key: "k", operator: "Exists" }] } });
const podWith = (change: object): KubeObject => ({ ...pod, spec: { ...(pod.spec as object), ...change } });
const first = (pod.spec as { containers: object[] }).containers[0];

test.for([
  ["another image", { containers: [{ ...first, image: "nginx:2" }] }, []],
  ["a further toleration", { tolerations: [{ key: "k", operator: "Exists" }, { operator: "Exists" }] }, []],
  ["one toleration less", { tolerations: [] }, ["spec.tolerations"]],
  ["a deadline", { activeDeadlineSeconds: 5 }, []],
  ["another node", { nodeName: "b" }, ["spec"]],
  ["a container more", { containers: [first, { ...first, name: "d" }] }, ["spec.containers"]],
  ["a new gate", { schedulingGates: [{ name: "a/b" }] }, ["spec.schedulingGates[0].name"]],
] as const)("a Pod with %s: problems %j", ([, change, fields]) => {
  expect(validateUpdate(pods, podWith(change), pod).map(({ field }) => field)).toEqual(fields);
});

test("a gate may be taken away", () => {
  const gated = podWith({ schedulingGates: [{ name: "a/b" }] });
  expect(validateUpdate(pods, pod, gated)).toEqual([]);
});

test("a debugging container may join and not leave", () => {
  const debug = { name: "d", image: "i", imagePullPolicy: "Always" };
  const joined = podWith({ ephemeralContainers: [debug] });
  const next = prepareUpdate(
    pods,
    podWith({ ephemeralContainers: [debug], nodeName: "ignored" }),
    pod,
    "ephemeralcontainers",
  );
  expect(next.spec).toEqual(joined.spec);
  expect(validateUpdate(pods, next, pod, "ephemeralcontainers")).toEqual([]);
  expect(validateUpdate(pods, pod, joined, "ephemeralcontainers")).toMatchObject([
    { field: "spec.ephemeralContainers" },
  ]);
});
