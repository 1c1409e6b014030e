import { expect, test } from "vitest";
import type { NodeSelectorRequirement, Pod } from "../../src/api/types.gen.ts";
import type { Offer } from "../../src/clouds/cloud.ts";
import { nodeChoice } from "../../src/controllers/node-choice.ts";

const offer = (more: Partial<Offer> = {}): Offer => ({
  ...{ type: "m7g.large", zone: "a", capacityType: "on-demand", architecture: "arm64", elastic: false },
  ...{ cpuMillis: 2_000, memoryBytes: 8 * 2 ** 30, priceUsdPerHour: 1 },
  left: { machines: 10, cpuMillis: 0, memoryBytes: 0 },
  labels: {
    "topology.kubernetes.io/region": "us-east-1",
    "karpenter.k8s.aws/instance-family": "m7g",
    "karpenter.k8s.aws/instance-cpu": "16",
  },
  ...more,
});
const pod = (spec: Partial<Pod["spec"]>): Pod => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "p" } },
  spec: { containers: [], ...spec },
});
type Terms = readonly (readonly NodeSelectorRequirement[])[];
const required = (...terms: Terms): Partial<Pod["spec"]> => {
  const nodeSelectorTerms = terms.map((matchExpressions) => ({ matchExpressions: [...matchExpressions] }));
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } };
};
const is = (key: string, operator: string, ...values: string[]): NodeSelectorRequirement => ({ key, operator, values });
const cpu = "karpenter.k8s.aws/instance-cpu";
const zone = "topology.kubernetes.io/zone";
const capacity = "karpenter.sh/capacity-type";
const ok = undefined;
const no = "didn't match Pod's node affinity/selector";

test.for<[string, Partial<Pod["spec"]>, string | undefined]>([
  ["no wish", {}, ok],
  ["a zone", { nodeSelector: { [zone]: "a" } }, ok],
  ["another zone", { nodeSelector: { [zone]: "b" } }, no],
  ["the zone by its former name", { nodeSelector: { "failure-domain.beta.kubernetes.io/zone": "a" } }, ok],
  ["the zone as volumes call it", { nodeSelector: { "topology.ebs.csi.aws.com/zone": "b" } }, no],
  ["the architecture by its former name", { nodeSelector: { "beta.kubernetes.io/arch": "arm64" } }, ok],
  ["an operating system that there is not", { nodeSelector: { "kubernetes.io/os": "windows" } }, no],
  ["a region", { nodeSelector: { "topology.kubernetes.io/region": "us-east-1" } }, ok],
  ["a host by name", { nodeSelector: { "kubernetes.io/hostname": "i-1" } }, no],
  ["In", required([is(zone, "In", "b", "a")]), ok],
  ["NotIn", required([is(zone, "NotIn", "a")]), no],
  ["NotIn of a label that is absent", required([is("gpu", "NotIn", "a")]), ok],
  ["Exists", required([is(cpu, "Exists")]), ok],
  ["Exists of a label that is absent", required([is("gpu", "Exists")]), no],
  ["DoesNotExist", required([is(cpu, "DoesNotExist")]), no],
  ["Gt", required([is(cpu, "Gt", "15")]), ok],
  ["Gt is not Gte", required([is(cpu, "Gt", "16")]), no],
  ["Gt compares numbers, not letters", required([is(cpu, "Gt", "9")]), ok],
  ["Lt", required([is(cpu, "Lt", "17")]), ok],
  ["Lt of a label that is absent", required([is("gpu", "Lt", "17")]), no],
  ["Gt of a label that is no number", required([is(zone, "Gt", "1")]), no],
  ["expressions of a term hold together", required([is(zone, "In", "a"), is(cpu, "Lt", "2")]), no],
  ["one of several terms is enough", required([is(zone, "In", "b")], [is(cpu, "Gt", "2")]), ok],
  ["selector and affinity hold together", { nodeSelector: { [zone]: "b" }, ...required([is(cpu, "Gt", "2")]) }, no],
  ["a term without anything in it selects nothing", required([]), no],
])("%s", ([_name, spec, want]) => {
  expect(nodeChoice(pod(spec)).obstacle(offer())).toBe(want);
});

const unasked = "of spot capacity, which is not asked for";
const tolerates = (key: string | undefined, operator: string, value?: string): Partial<Pod["spec"]> => ({
  tolerations: [{ ...(key !== undefined && { key }), operator, ...(value !== undefined && { value }) }],
});
const prefersSpot: Partial<Pod["spec"]> = {
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [is(capacity, "In", "spot")] } },
      ],
    },
  },
};
test.for<[string, Partial<Pod["spec"]>, string | undefined]>([
  ["who says nothing", {}, unasked],
  ["who tolerates everything", tolerates(undefined, "Exists"), unasked],
  ["who tolerates another taint", tolerates("dedicated", "Exists"), unasked],
  ["who tolerates spot by value", tolerates("drover.dev/capacity-type", "Equal", "spot"), ok],
  ["who tolerates the key", tolerates(capacity, "Exists"), ok],
  ["who selects spot", { nodeSelector: { [capacity]: "spot" } }, ok],
  ["who selects on-demand", { nodeSelector: { [capacity]: "on-demand" } }, no],
  ["who allows both", required([is(capacity, "In", "spot", "on-demand")]), ok],
  ["who prefers spot", prefersSpot, ok],
  [
    "whose other term asks for spot",
    required([is(capacity, "In", "spot"), is(zone, "In", "b")], [is(zone, "In", "a")]),
    unasked,
  ],
])("a spot machine for a Pod %s", ([_name, spec, want]) => {
  expect(nodeChoice(pod(spec)).obstacle(offer({ capacityType: "spot" }))).toBe(want);
});

const karpenter = "karpenter.k8s.aws/instance-";
const prefersFamily = (family: string): Partial<Pod["spec"]> => {
  const preference = { matchExpressions: [is(`${karpenter}family`, "In", family)] };
  return {
    affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 50, preference }] } },
  };
};
const wantsXen = { nodeSelector: { [`${karpenter}hypervisor`]: "xen" } };
const named = "of class bare-metal, which only a selector by name gets";
test.for<[string, Partial<Pod["spec"]>, string | undefined]>([
  ["who says nothing", {}, named],
  ["who selects its zone", { nodeSelector: { [zone]: "a" } }, named],
  ["who selects its type", { nodeSelector: { "node.kubernetes.io/instance-type": "m5.metal" } }, ok],
  ["who wants its family", required([is(`${karpenter}family`, "In", "m5")]), ok],
  ["who prefers its family", prefersFamily("m5"), ok],
  ["who prefers another family", prefersFamily("m6i"), named],
  ["who wants its hypervisor", wantsXen, named],
  ["who wants its class", { nodeSelector: { "drover.dev/instance-class": "bare-metal" } }, ok],
])("a bare-metal machine for a Pod %s", ([_name, spec, want]) => {
  const type = { [`${karpenter}family`]: "m5", [`${karpenter}hypervisor`]: "xen" };
  const labels = { "drover.dev/instance-class": "bare-metal", ...type };
  expect(nodeChoice(pod(spec)).obstacle(offer({ type: "m5.metal", labels }))).toBe(want);
});

test("who wants Xen has named its class, which nobody else gets", () => {
  const labels = { "drover.dev/instance-class": "xen", [`${karpenter}hypervisor`]: "xen" };
  const obstacle = (spec: Partial<Pod["spec"]>) => nodeChoice(pod(spec)).obstacle(offer({ type: "t2.micro", labels }));
  expect(obstacle(wantsXen)).toBe(ok);
  expect(obstacle({})).toBe("of class xen, which only a selector by name gets");
});

test("preferences add their weights up", () => {
  const preferred = [
    { weight: 10, preference: { matchExpressions: [is(zone, "In", "a")] } },
    { weight: 5, preference: { matchExpressions: [is(cpu, "Gt", "8")] } },
    { weight: 100, preference: { matchExpressions: [is(zone, "In", "b")] } },
  ];
  const spec = { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } } };
  expect(nodeChoice(pod(spec)).score(offer())).toBe(15);
});

const byName = { matchFields: [is("metadata.name", "In", "i-1")] };
test("a Pod that names its Node by a field is told the way out, unless another term may be met", () => {
  const of = (nodeSelectorTerms: object[]) =>
    nodeChoice(
      pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } }),
    );
  expect(of([byName]).impossible).toBe(
    "Node affinity by matchFields names a Node, and a Pod gets a new machine that has no name yet: use matchExpressions on labels",
  );
  const either = of([byName, { matchExpressions: [is(zone, "In", "a")] }]);
  expect([either.impossible, either.obstacle(offer())]).toEqual([undefined, undefined]);
});
