import { readFileSync } from "node:fs";
import type { InstanceTypeInfo } from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { baselineCpuMillis } from "../../../src/clouds/aws/burstable.ts";
import { instanceTypeOf } from "../../../src/clouds/aws/instance-types.ts";

/** Real answers of DescribeInstanceTypes (us-east-1, 2026), cut to what is looked at. */
const infos: InstanceTypeInfo[] = JSON.parse(readFileSync(new URL("./instance-types.json", import.meta.url), "utf8"));
const typeOf = (name: string) => {
  const info = infos.find(({ InstanceType }) => InstanceType === name);
  return info && instanceTypeOf(info);
};

test.for([
  ["a burstable type counts with its baseline", "t3.nano", "amd64", 100, 473, 0, ""],
  ["the smallest of the next size", "t3.micro", "amd64", 200, 947, 0, ""],
  ["on AMD", "t3a.small", "amd64", 400, 1_894, 0, ""],
  ["on Graviton", "t4g.small", "arm64", 400, 1_894, 0, ""],
  ["a whole CPU", "c7a.medium", "amd64", 1_000, 1_894, 0, ""],
  ["flexible types are counted whole", "m7i-flex.large", "amd64", 2_000, 7_577, 0, ""],
  ["graphics processors", "g4dn.xlarge", "amd64", 4_000, 15_155, 1, ""],
  ["eight of them", "p5.48xlarge", "amd64", 192_000, 1_939_865, 8, ""],
  ["a part of a graphics processor is none", "g6f.large", "amd64", 2_000, 7_577, 0, ""],
  ["an earlier generation is for who names it", "m5.large", "amd64", 2_000, 7_577, 0, "previous-generation"],
  ["a computer of its own, too", "m5.metal", "amd64", 96_000, 363_724, 0, "bare-metal"],
  ["and what Xen runs", "t2.micro", "amd64", 100, 947, 0, "xen"],
] as const)("%s: %s", ([_fact, name, architecture, cpuMillis, memoryMib, gpus, instanceClass]) => {
  const type = typeOf(name);
  expect(type).toMatchObject({ name, architecture, cpuMillis, gpus });
  expect(type?.memoryBytes).toBe(memoryMib * 2 ** 20);
  expect(type?.labels["drover.dev/instance-class"] ?? "").toBe(instanceClass);
});

test.for([["a Mac", "mac1.metal"]] as const)("%s is not offered", ([_what, name]) => {
  expect(infos.some(({ InstanceType }) => InstanceType === name)).toBe(true);
  expect(typeOf(name)).toBeUndefined();
});

test.for<[string, Partial<InstanceTypeInfo>]>([
  ["without hardware virtualisation", { SupportedVirtualizationTypes: ["paravirtual"] }],
  ["with instance-store roots alone", { SupportedRootDeviceTypes: ["instance-store"] }],
  ["sold in blocks alone", { SupportedUsageClasses: ["capacity-block"] }],
  ["without a size", { MemoryInfo: {} }],
])("a type %s is not offered", ([_what, change]) => {
  const info = infos.find(({ InstanceType }) => InstanceType === "c7a.medium");
  expect(info && instanceTypeOf({ ...info, ...change })).toBeUndefined();
});

test("labels are Karpenter's", () => {
  expect(typeOf("g4dn.xlarge")?.labels).toEqual({
    "karpenter.k8s.aws/instance-category": "g",
    "karpenter.k8s.aws/instance-family": "g4dn",
    "karpenter.k8s.aws/instance-generation": "4",
    "karpenter.k8s.aws/instance-size": "xlarge",
    "karpenter.k8s.aws/instance-capability-flex": "false",
    "karpenter.k8s.aws/instance-cpu": "4",
    "karpenter.k8s.aws/instance-cpu-manufacturer": "intel",
    "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz": "2500",
    "karpenter.k8s.aws/instance-memory": "16384",
    "karpenter.k8s.aws/instance-hypervisor": "nitro",
    "karpenter.k8s.aws/instance-encryption-in-transit-supported": "true",
    "karpenter.k8s.aws/instance-tenancy": "default",
    "karpenter.k8s.aws/instance-ebs-bandwidth": "3500",
    "karpenter.k8s.aws/instance-network-bandwidth": "5000",
    "karpenter.k8s.aws/instance-local-nvme": "125",
    "karpenter.k8s.aws/instance-gpu-name": "t4",
    "karpenter.k8s.aws/instance-gpu-manufacturer": "nvidia",
    "karpenter.k8s.aws/instance-gpu-count": "1",
    "karpenter.k8s.aws/instance-gpu-memory": "16384",
  });
});

test("Inferentia and Trainium are accelerators", () => {
  const info = infos.find(({ InstanceType }) => InstanceType === "inf2.xlarge");
  const NeuronInfo = { NeuronDevices: [{ Count: 1, Name: "Inferentia2" }] };
  const first = { InferenceAcceleratorInfo: { Accelerators: [{ Count: 4, Name: "Inferentia", Manufacturer: "AWS" }] } };
  const labelsOf = (more: Partial<InstanceTypeInfo>) => info && instanceTypeOf({ ...info, ...more })?.labels;
  const label = (fact: string) => `karpenter.k8s.aws/instance-accelerator-${fact}`;
  expect(labelsOf({ NeuronInfo })).toMatchObject({
    [label("name")]: "inferentia2",
    [label("manufacturer")]: "aws",
    [label("count")]: "1",
  });
  expect(labelsOf(first)).toMatchObject({ [label("name")]: "inferentia", [label("count")]: "4" });
});

test.for([
  ["u7i-12tb.224xlarge", "u", "7"],
  ["m7i-flex.large", "m", "7"],
  ["inf2.xlarge", "inf", "2"],
] as const)("category and generation of %s", ([name, category, generation]) => {
  const labels = typeOf(name)?.labels ?? {};
  expect([labels["karpenter.k8s.aws/instance-category"], labels["karpenter.k8s.aws/instance-generation"]]).toEqual([
    category,
    generation,
  ]);
});

test.for([
  ["t2", "xlarge", 4, 900],
  ["t2", "2xlarge", 8, 1_360],
  ["t3", "xlarge", 4, 1_600],
  ["t9", "enormous", 2, 100],
] as const)("the baseline of %s.%s", ([family, size, vcpus, cpuMillis]) => {
  expect(baselineCpuMillis(family, size, vcpus)).toBe(cpuMillis);
});
