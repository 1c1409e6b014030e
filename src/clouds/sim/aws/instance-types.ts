import type {
  DescribeInstanceTypeOfferingsRequest,
  DescribeInstanceTypeOfferingsResult,
  DescribeInstanceTypesRequest,
  DescribeInstanceTypesResult,
  DescribeSpotPriceHistoryRequest,
  DescribeSpotPriceHistoryResult,
  InstanceTypeInfo,
} from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError, invalidValue } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { pageOf } from "./paging.ts";
import { hasType, type InstanceType, instanceTypes, spotUsdPerHour } from "./type-table.ts";
import type { AwsWorld } from "./world.ts";

type Row = InstanceType & { serial: number };
const rows: readonly Row[] = instanceTypes.map((type, serial) => ({ ...type, serial }));

const fields: Fields<Row & { tags?: never }> = {
  "instance-type": ({ name }) => [name],
  "current-generation": () => ["true"],
  "bare-metal": () => ["false"],
  hypervisor: () => ["nitro"],
  "burstable-performance-supported": ({ name }) => [String(name.startsWith("t"))],
  "instance-storage-supported": ({ name }) => [String(name.startsWith("g4dn"))],
  "processor-info.supported-architecture": ({ architecture }) => [architecture],
  "supported-usage-class": () => ["on-demand", "spot"],
  "supported-virtualization-type": () => ["hvm"],
  "supported-root-device-type": () => ["ebs"],
  "vcpu-info.default-vcpus": ({ vcpus }) => [String(vcpus)],
  "memory-info.size-in-mib": ({ memoryMib }) => [String(memoryMib)],
};

export function describeInstanceTypes(_: AwsWorld, input: DescribeInstanceTypesRequest): DescribeInstanceTypesResult {
  const unknown = (input.InstanceTypes ?? []).filter((name) => !hasType(name));
  if (unknown.length > 0) {
    throw new AwsError(
      "InvalidInstanceType",
      `The following supplied instance types do not exist: [${unknown.join(", ")}]`,
    );
  }
  const { MaxResults: max = 100 } = input;
  if (max < 5 || max > 100)
    throw invalidValue(`Value ( ${max} ) for parameter MaxResults is invalid. Expecting a value between 5 and 100.`);
  const named = rows.filter(({ name }) => input.InstanceTypes?.some((wanted) => wanted === name) ?? true);
  const { page, next } = pageOf(named.filter(matcher(input.Filters, fields)), max, input.NextToken);
  return { InstanceTypes: page.map(shown), NextToken: next };
}

function shown(type: InstanceType): InstanceTypeInfo {
  const arm = type.architecture === "arm64";
  const isBurstable = type.name.startsWith("t");
  const threads = arm || type.name.startsWith("c7a") ? 1 : 2;
  return {
    InstanceType: type.name as NonNullable<InstanceTypeInfo["InstanceType"]>,
    CurrentGeneration: true,
    FreeTierEligible: type.name === "t3.micro",
    SupportedUsageClasses: ["on-demand", "spot"],
    SupportedRootDeviceTypes: ["ebs"],
    SupportedVirtualizationTypes: ["hvm"],
    BareMetal: false,
    Hypervisor: "nitro",
    ProcessorInfo: {
      SupportedArchitectures: [type.architecture],
      SustainedClockSpeedInGhz: arm ? 2.6 : 3.2,
      Manufacturer: arm ? "AWS" : type.name.startsWith("c7a") ? "AMD" : "Intel",
    },
    VCpuInfo: {
      DefaultVCpus: type.vcpus,
      DefaultCores: Math.max(1, type.vcpus / threads),
      DefaultThreadsPerCore: threads,
    },
    MemoryInfo: { SizeInMiB: type.memoryMib },
    InstanceStorageSupported: type.name.startsWith("g4dn"),
    EbsInfo: {
      EbsOptimizedSupport: "default",
      EncryptionSupport: "supported",
      EbsOptimizedInfo: { BaselineBandwidthInMbps: 650, MaximumBandwidthInMbps: 10_000 },
      NvmeSupport: "required",
    },
    NetworkInfo: {
      NetworkPerformance: "Up to 12.5 Gigabit",
      MaximumNetworkInterfaces: 3,
      Ipv4AddressesPerInterface: 10,
      EncryptionInTransitSupported: !isBurstable,
      EnaSupport: "required",
    },
    ...(type.gpu && {
      GpuInfo: {
        Gpus: [
          {
            Name: type.gpu.name,
            Manufacturer: type.gpu.manufacturer,
            Count: type.gpu.count,
            MemoryInfo: { SizeInMiB: type.gpu.memoryMib },
          },
        ],
        TotalGpuMemoryInMiB: type.gpu.memoryMib * type.gpu.count,
      },
    }),
    HibernationSupported: true,
    BurstablePerformanceSupported: isBurstable,
    DedicatedHostsSupported: !isBurstable,
    AutoRecoverySupported: true,
    SupportedBootModes: arm ? ["uefi"] : ["legacy-bios", "uefi"],
  };
}

type Offering = { serial: number; name: string; location: string };
const offeringFields: Fields<Offering & { tags?: never }> = {
  "instance-type": ({ name }) => [name],
  location: ({ location }) => [location],
  "availability-zone": ({ location }) => [location],
  "product-description": () => ["Linux/UNIX"],
};

/** What isn't offered in a zone: set by tests, `TYPE ZONE`. */
const isOffered = (world: AwsWorld, name: string, zone: string): boolean => !world.notOffered.has(`${name} ${zone}`);

export function describeInstanceTypeOfferings(
  world: AwsWorld,
  input: DescribeInstanceTypeOfferingsRequest,
): DescribeInstanceTypeOfferingsResult {
  const kind = input.LocationType ?? "region";
  if (kind !== "region" && kind !== "availability-zone") throw invalidValue(`The fake knows no offerings by ${kind}.`);
  const { zones, region } = world.account;
  const places = kind === "region" ? [region] : zones;
  const all = rows.flatMap(({ name }, row) =>
    places.map((location, place): Offering => ({ serial: row * places.length + place, name, location })),
  );
  const offered = all.filter(({ name, location }) =>
    kind === "region" ? zones.some((zone) => isOffered(world, name, zone)) : isOffered(world, name, location),
  );
  const { page, next } = pageOf(
    offered.filter(matcher(input.Filters, offeringFields)),
    Math.min(1_000, input.MaxResults ?? 1_000),
    input.NextToken,
  );
  return {
    InstanceTypeOfferings: page.map(({ name, location }) => ({
      InstanceType: name as NonNullable<InstanceTypeInfo["InstanceType"]>,
      LocationType: kind,
      Location: location,
    })),
    NextToken: next,
  };
}

/** One price a type and zone, of now. */
export function describeSpotPriceHistory(
  world: AwsWorld,
  input: DescribeSpotPriceHistoryRequest,
): DescribeSpotPriceHistoryResult {
  const zones = world.account.zones.filter((zone) => zone === (input.AvailabilityZone ?? zone));
  const types = rows.filter(({ name }) => input.InstanceTypes?.some((wanted) => wanted === name) ?? true);
  const prices = types.flatMap((type, row) =>
    zones.map((zone, place) => ({ serial: row * zones.length + place, name: type.name, location: zone, type })),
  );
  const { page, next } = pageOf(
    prices.filter(matcher<Offering & { tags?: never }>(input.Filters, offeringFields)),
    Math.min(1_000, input.MaxResults ?? 1_000),
    input.NextToken,
  );
  return {
    SpotPriceHistory: page.map(({ name, location, type }) => ({
      InstanceType: name as NonNullable<InstanceTypeInfo["InstanceType"]>,
      AvailabilityZone: location,
      ProductDescription: "Linux/UNIX",
      SpotPrice: spotUsdPerHour(type).toFixed(6),
      Timestamp: dateOf(world.clock.wallMs()),
    })),
    NextToken: next,
  };
}
