import {
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  type InstanceTypeInfo,
} from "@aws-sdk/client-ec2";
import type { Architecture } from "../cloud.ts";
import type { Send } from "./api.ts";
import { baselineCpuMillis } from "./burstable.ts";
import { typeLabels } from "./instance-labels.ts";
import { allPages } from "./pages.ts";

/** A type as far as the choice of machines goes. */
export type InstanceType = {
  /** `m7g.large`: family and size. */
  name: string;
  architecture: Architecture;
  vcpus: number;
  /** What it gives all the time: of a burstable type its baseline. */
  cpuMillis: number;
  /** What programs can use, see `memoryShare`. */
  memoryBytes: number;
  /** NVIDIA's, whole ones. */
  gpus: number;
  capacityTypes: readonly ("on-demand" | "spot")[];
  labels: Readonly<Record<string, string>>;
};

/**
 * The hypervisor, the firmware and the kernel keep a part of the memory that a type is sold with: at most 7.5 % is what
 * Karpenter takes off (`--vm-memory-overhead-percent`), and so does drover.
 */
const memoryShare = 0.925;

/** The least and the most that the API gives at once. */
const typesPageSize = 100;
const offeringsPageSize = 1_000;

const architectures: Readonly<Record<string, Architecture>> = { x86_64: "amd64", arm64: "arm64" };

/**
 * Types that nobody gets who does not name them: a computer of its own boots for minutes and costs much, an earlier
 * generation runs out first, and volumes are found by their NVMe serial number, which Xen has not.
 */
function classOf({ BareMetal, CurrentGeneration, Hypervisor }: InstanceTypeInfo): string | undefined {
  if (BareMetal) return "bare-metal";
  if (!CurrentGeneration) return "previous-generation";
  return Hypervisor === "nitro" ? undefined : "xen";
}

/** One type, or undefined where no image of drover's can start: no HVM, no EBS root, a Mac, no on-demand price model. */
export function instanceTypeOf(info: InstanceTypeInfo): InstanceType | undefined {
  const name: string = info.InstanceType ?? "";
  const [family = "", size = ""] = name.split(".");
  const architecture = info.ProcessorInfo?.SupportedArchitectures?.map((each) => architectures[each]).find(Boolean);
  const vcpus = info.VCpuInfo?.DefaultVCpus ?? 0;
  const memoryMib = info.MemoryInfo?.SizeInMiB ?? 0;
  const isUsable =
    info.SupportedVirtualizationTypes?.includes("hvm") === true &&
    info.SupportedRootDeviceTypes?.includes("ebs") === true;
  const capacityTypes = (["on-demand", "spot"] as const).filter((each) => info.SupportedUsageClasses?.includes(each));
  if (!isUsable || !architecture || vcpus === 0 || memoryMib === 0 || capacityTypes.length === 0) return undefined;
  const gpus = (info.GpuInfo?.Gpus ?? []).filter(({ Manufacturer }) => Manufacturer?.toUpperCase() === "NVIDIA");
  const cpuMillis = info.BurstablePerformanceSupported ? baselineCpuMillis(family, size, vcpus) : vcpus * 1_000;
  return {
    ...{ name, architecture, vcpus, cpuMillis, capacityTypes },
    memoryBytes: Math.floor(memoryMib * memoryShare) * 2 ** 20,
    gpus: gpus.reduce((sum, { Count = 0 }) => sum + Count, 0),
    labels: typeLabels(info, classOf(info)),
  };
}

/** Every type of the region that can be used, sorted by name. */
export async function listInstanceTypes(send: Send, signal?: AbortSignal): Promise<InstanceType[]> {
  const infos = await allPages(
    (NextToken) => send("ec2", new DescribeInstanceTypesCommand({ MaxResults: typesPageSize, NextToken }), { signal }),
    ({ InstanceTypes }) => InstanceTypes,
  );
  return infos.flatMap((info) => instanceTypeOf(info) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `TYPE ZONE` of each type that is offered in one of these zones. */
export async function listOfferings(send: Send, zones: readonly string[], signal?: AbortSignal): Promise<Set<string>> {
  const offerings = await allPages(
    (NextToken) =>
      send(
        "ec2",
        new DescribeInstanceTypeOfferingsCommand({
          LocationType: "availability-zone",
          Filters: [{ Name: "location", Values: [...zones] }],
          MaxResults: offeringsPageSize,
          NextToken,
        }),
        { signal },
      ),
    ({ InstanceTypeOfferings }) => InstanceTypeOfferings,
  );
  return new Set(offerings.map(({ InstanceType, Location }) => `${InstanceType} ${Location}`));
}
