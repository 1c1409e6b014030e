import { expect, test } from "vitest";
import { parseFieldSelector } from "../../src/api/fields.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { kindOf } from "./kind-of.ts";

const pod: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a", namespace: "n" },
  spec: { nodeName: "x", restartPolicy: "Always" },
  status: { phase: "Running", podIPs: [{ ip: "10.0.0.1" }] },
};
const node: KubeObject = { apiVersion: "v1", kind: "Node", metadata: { name: "a,b=c" }, spec: {} };

test.for([
  ["", true],
  ["metadata.name=a", true],
  ["metadata.name==a,metadata.namespace=n", true],
  ["metadata.name!=a", false],
  ["spec.nodeName=x,status.phase!=Succeeded,status.phase!=Failed", true],
  ["spec.nodeName=", false],
  ["status.nominatedNodeName=", true],
  ["spec.hostNetwork=false", true],
  ["status.podIPs=10.0.0.1", true],
] as const)("a Pod by %s: %s", ([text, selected]) => {
  expect(parseFieldSelector(kindOf("v1/Pod"), text)(pod)).toBe(selected);
});

test.for([
  ["spec.unschedulable=false", true],
  ["spec.unschedulable=true", false],
  ["metadata.name=a\\,b\\=c", true],
] as const)("a Node by %s: %s", ([text, selected]) => {
  expect(parseFieldSelector(kindOf("v1/Node"), text)(node)).toBe(selected);
});

test.for([
  ["v1/Pod", "spec.containers=1", "field label not supported: spec.containers"],
  ["v1/ConfigMap", "spec.x=1", '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'],
  ["v1/ConfigMap", "bad", "invalid selector: 'bad'; can't understand 'bad'"],
] as const)("%s by %s is refused", ([id, text, message]) => {
  expect(() => parseFieldSelector(kindOf(id), text)).toThrow(message);
});

test("a finished Job is found by its count of successes", () => {
  const job = { ...pod, status: { succeeded: 1 } };
  const kind = kindOf("batch/v1/Job");
  expect(parseFieldSelector(kind, "status.successful=1")(job)).toBe(true);
  expect(parseFieldSelector(kind, "status.successful=0")({ ...pod, status: {} })).toBe(true);
});

test("an Event of either version is found by the object that it is about", () => {
  const old = { ...pod, involvedObject: { kind: "Pod", name: "p" }, source: { component: "c" } };
  const text = "involvedObject.kind=Pod,involvedObject.name=p,source=c";
  expect(parseFieldSelector(kindOf("v1/Event"), text)(old)).toBe(true);
  const next = { ...pod, regarding: { kind: "Pod", name: "p" }, deprecatedSource: { component: "c" } };
  expect(parseFieldSelector(kindOf("events.k8s.io/v1/Event"), text)(next)).toBe(true);
});
