import type { InstanceTypeInfo } from "@aws-sdk/client-ec2";

const prefix = "karpenter.k8s.aws/instance-";

/** A label's value: `NVIDIA` is `nvidia`, `RTX PRO 4500` is `rtx-pro-4500`. */
const value = (text: string | number | boolean): string => String(text).toLowerCase().replaceAll(" ", "-");

/** `c`, `7` of `c7g.large`; `u`, `7` of `u7i-12tb.224xlarge`. */
const scheme = /^([a-z]+)(?:-\d+tb)?(\d+)/;

/**
 * Labels that depend on the type alone, with Karpenter's names and values, so that its node selectors work here.
 * `instanceClass`: see the class label of the offers. What is unknown of a type has no label.
 */
export function typeLabels(info: InstanceTypeInfo, instanceClass: string | undefined): Record<string, string> {
  const name: string = info.InstanceType ?? "";
  const [family = "", size = ""] = name.split(".");
  const [, category, generation] = scheme.exec(name) ?? [];
  const facts: Readonly<Record<string, string | number | boolean | undefined>> = {
    category,
    family,
    generation,
    size,
    "capability-flex": family.includes("-flex"),
    cpu: info.VCpuInfo?.DefaultVCpus,
    "cpu-manufacturer": info.ProcessorInfo?.Manufacturer,
    "cpu-sustained-clock-speed-mhz": clockMhz(info),
    memory: info.MemoryInfo?.SizeInMiB,
    hypervisor: info.Hypervisor ?? "",
    "encryption-in-transit-supported": info.NetworkInfo?.EncryptionInTransitSupported ?? false,
    tenancy: "default",
    "ebs-bandwidth": info.EbsInfo?.EbsOptimizedInfo?.MaximumBandwidthInMbps,
    "network-bandwidth": networkMbps(info),
    "local-nvme": info.InstanceStorageInfo?.NvmeSupport === "unsupported" ? undefined : localGb(info),
    ...gpuFacts(info),
    ...acceleratorFacts(info),
  };
  const known = Object.entries(facts).filter(([, fact]) => fact !== undefined && fact !== "");
  return {
    ...Object.fromEntries(known.map(([key, fact]) => [`${prefix}${key}`, value(fact ?? "")])),
    ...(instanceClass !== undefined && { "drover.dev/instance-class": instanceClass }),
  };
}

function clockMhz({ ProcessorInfo }: InstanceTypeInfo): number | undefined {
  const ghz = ProcessorInfo?.SustainedClockSpeedInGhz;
  return ghz === undefined ? undefined : Math.round(ghz * 1_000);
}

/** What is promised, not what it can burst to. */
function networkMbps({ NetworkInfo }: InstanceTypeInfo): number | undefined {
  const gbps = (NetworkInfo?.NetworkCards ?? []).reduce(
    (sum, { BaselineBandwidthInGbps = 0 }) => sum + BaselineBandwidthInGbps,
    0,
  );
  return gbps === 0 ? undefined : Math.round(gbps * 1_000);
}

const localGb = ({ InstanceStorageInfo }: InstanceTypeInfo): number | undefined => InstanceStorageInfo?.TotalSizeInGB;

/** AWS' own: Trainium and Inferentia. The first generation of the latter is told in a field of its own. */
function acceleratorFacts({ NeuronInfo, InferenceAcceleratorInfo }: InstanceTypeInfo) {
  const [one] = NeuronInfo?.NeuronDevices ?? InferenceAcceleratorInfo?.Accelerators ?? [];
  if (!one) return {};
  return { "accelerator-name": one.Name, "accelerator-manufacturer": "aws", "accelerator-count": one.Count };
}

function gpuFacts({ GpuInfo }: InstanceTypeInfo): Record<string, string | number | undefined> {
  const [gpu, ...others] = GpuInfo?.Gpus ?? [];
  if (!gpu || others.length > 0) return {};
  return {
    "gpu-name": gpu.Name,
    "gpu-manufacturer": gpu.Manufacturer,
    "gpu-count": gpu.Count,
    "gpu-memory": gpu.MemoryInfo?.SizeInMiB,
  };
}
