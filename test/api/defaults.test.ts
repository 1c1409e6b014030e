import { expect, test } from "vitest";
import { decodeObject, emptyObject } from "../../src/api/decode.ts";
import { mountToken } from "../../src/api/defaulting/admission.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import { kinds } from "../../src/api/kinds.ts";
import { warningsFor } from "../../src/api/validate.ts";
import { kindOf } from "./kind-of.ts";

const defaulted = (id: string, value: object) => {
  const kind = kindOf(id);
  return applyDefaults(kind, decodeObject(kind, value).object, "defaults");
};

test.for([...kinds.keys()])("every default of %s is either plain or written by hand", (id) => {
  const kind = kindOf(id);
  expect(() => applyDefaults(kind, structuredClone(emptyObject(kind)), "defaults")).not.toThrow();
});

test.for([
  ["nginx", "Always"],
  ["nginx:latest", "Always"],
  ["nginx:1.27", "IfNotPresent"],
  ["localhost:5000/nginx", "Always"],
  ["localhost:5000/nginx:2", "IfNotPresent"],
  [`nginx@sha256:${"0".repeat(64)}`, "IfNotPresent"],
] as const)("%s is pulled %s", ([image, policy]) => {
  const pod = defaulted("v1/Pod", { spec: { containers: [{ name: "c", image }] } });
  expect(pod.spec).toMatchObject({ containers: [{ imagePullPolicy: policy }] });
});

test("limits become requests in Pods, not in templates", () => {
  const spec = {
    containers: [{ name: "c", resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } } }],
  };
  expect(defaulted("v1/Pod", { spec }).spec).toMatchObject({
    containers: [{ resources: { requests: { cpu: "500m", memory: "1Gi" } } }],
  });
  expect(defaulted("apps/v1/Deployment", { spec: { template: { spec } } }).spec).toMatchObject({
    template: { spec: { containers: [{ resources: { requests: { cpu: "500m" } } }] } },
  });
});

test("a negative grace becomes a second in a Pod and a warning in a template", () => {
  const spec = { terminationGracePeriodSeconds: -3, containers: [{ name: "c", image: "i" }] };
  const pod = applyDefaults(kindOf("v1/Pod"), decodeObject(kindOf("v1/Pod"), { spec }).object, "strategy");
  expect(pod.spec).toMatchObject({ terminationGracePeriodSeconds: 1 });
  const deployment = defaulted("apps/v1/Deployment", { spec: { template: { spec } } });
  expect(deployment.spec).toMatchObject({ template: { spec } });
  expect(warningsFor(kindOf("apps/v1/Deployment"), deployment)).toEqual([
    "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
  ]);
});

test("on the host's network ports are the host's", () => {
  const containers = [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }];
  expect(defaulted("v1/Pod", { spec: { hostNetwork: true, containers } }).spec).toMatchObject({
    containers: [{ ports: [{ containerPort: 80, hostPort: 80 }] }],
  });
});

test("a Pod's own limits make its requests, from its containers where they have some", () => {
  const pod = defaulted("v1/Pod", {
    spec: {
      resources: { limits: { cpu: "4", memory: "4Gi" } },
      containers: [
        { name: "a", resources: { requests: { cpu: "500m" } } },
        { name: "b", resources: { requests: { cpu: "700m" } } },
      ],
      initContainers: [{ name: "i", resources: { requests: { cpu: "1" } } }],
    },
  });
  expect(pod.spec).toMatchObject({ resources: { requests: { cpu: "1200m", memory: "4Gi" } } });
});

test.for([
  ["Guaranteed", { limits: { cpu: "1", memory: "1Gi" } }],
  ["Burstable", { requests: { cpu: "1" } }],
  ["BestEffort", {}],
] as const)("a Pod is %s with %j", ([qosClass, resources]) => {
  const kind = kindOf("v1/Pod");
  const pod = defaulted("v1/Pod", { spec: { containers: [{ name: "c", image: "i", resources }] } });
  expect(applyDefaults(kind, pod, "strategy").status).toEqual({ phase: "Pending", qosClass });
});

test("a Pod that tolerates everything is left as it is", () => {
  const kind = kindOf("v1/Pod");
  const pod = defaulted("v1/Pod", { spec: { containers: [], tolerations: [{ operator: "Exists" }] } });
  expect(applyDefaults(kind, pod, "admission").spec).toMatchObject({ tolerations: [{ operator: "Exists" }] });
});

test("a token is mounted where nothing is yet", () => {
  const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
  const pod = defaulted("v1/Pod", {
    spec: {
      containers: [
        { name: "a", image: "i" },
        { name: "b", image: "i", volumeMounts: [{ name: "own", mountPath }] },
      ],
    },
  });
  mountToken(pod, "bcdfg");
  expect(pod.spec).toMatchObject({
    containers: [
      { volumeMounts: [{ name: "kube-api-access-bcdfg", mountPath }] },
      { volumeMounts: [{ name: "own", mountPath }] },
    ],
    volumes: [{ name: "kube-api-access-bcdfg" }],
  });
});

test("a status that the client sends with a new object is dropped", () => {
  const kind = kindOf("apps/v1/Deployment");
  const sent = decodeObject(kind, { status: { replicas: 3, readyReplicas: 3 } }).object;
  expect(applyDefaults(kind, sent, "strategy").status).toEqual({});
});

test("of an address in its single and its plural form the single one wins", () => {
  const status = { podIP: "10.0.0.2", podIPs: [{ ip: "10.0.0.1" }] };
  expect(defaulted("v1/Pod", { status }).status).toEqual({ podIP: "10.0.0.2", podIPs: [{ ip: "10.0.0.2" }] });
  expect(defaulted("v1/Pod", { status: { podIPs: [{ ip: "10.0.0.1" }] } }).status).toMatchObject({ podIP: "10.0.0.1" });
});
