import { AwsError } from "./errors.ts";

export type InstanceType = {
  name: string;
  architecture: "x86_64" | "arm64";
  vcpus: number;
  memoryMib: number;
  /** On demand, Linux, us-east-1. */
  usdPerHour: number;
  gpu?: { name: string; manufacturer: string; count: number; memoryMib: number };
};

/** Name, vCPUs, GiB, USD an hour: §4 of the AWS facts (us-east-1, 2026-07-20). */
const rows: readonly (readonly [string, number, number, number])[] = [
  ["t3.nano", 2, 0.5, 0.0052],
  ["t3.micro", 2, 1, 0.0104],
  ["t3.small", 2, 2, 0.0208],
  ["t3.medium", 2, 4, 0.0416],
  ["t3.large", 2, 8, 0.0832],
  ["t3.xlarge", 4, 16, 0.1664],
  ["t4g.nano", 2, 0.5, 0.0042],
  ["t4g.micro", 2, 1, 0.0084],
  ["t4g.small", 2, 2, 0.0168],
  ["t4g.medium", 2, 4, 0.0336],
  ["t4g.large", 2, 8, 0.0672],
  ["t4g.xlarge", 4, 16, 0.1344],
  ["m7i-flex.large", 2, 8, 0.09576],
  ["m7i.large", 2, 8, 0.1008],
  ["m7i.xlarge", 4, 16, 0.2016],
  ["m7i.2xlarge", 8, 32, 0.4032],
  ["m7g.medium", 1, 4, 0.0408],
  ["m7g.large", 2, 8, 0.0816],
  ["m7g.xlarge", 4, 16, 0.1632],
  ["m8g.medium", 1, 4, 0.04488],
  ["c7a.medium", 1, 2, 0.05132],
  ["c7i.large", 2, 4, 0.08925],
  ["c7i.xlarge", 4, 8, 0.1785],
  ["c7g.medium", 1, 2, 0.0363],
  ["c7g.large", 2, 4, 0.0725],
  ["c7g.xlarge", 4, 8, 0.145],
  ["r7i.large", 2, 16, 0.1323],
  ["r7g.medium", 1, 8, 0.0536],
  ["r7g.large", 2, 16, 0.1071],
  ["r7g.xlarge", 4, 32, 0.2142],
  ["g4dn.xlarge", 4, 16, 0.526],
];

const gpus: Readonly<Record<string, InstanceType["gpu"]>> = {
  "g4dn.xlarge": { name: "T4", manufacturer: "NVIDIA", count: 1, memoryMib: 16_384 },
};

/** Graviton families have a `g` after the generation. */
const isArm = (name: string): boolean => /^[a-z]+\d+g/.test(name);

export const instanceTypes: readonly InstanceType[] = rows.map(([name, vcpus, gib, usdPerHour]) => {
  const gpu = gpus[name];
  const architecture = isArm(name) ? "arm64" : "x86_64";
  return { name, architecture, vcpus, memoryMib: gib * 1_024, usdPerHour, ...(gpu && { gpu }) };
});

const byName = new Map(instanceTypes.map((type) => [type.name, type]));

/** @throws InvalidParameterValue, as RunInstances words it */
export function typeNamed(name: string): InstanceType {
  const type = byName.get(name);
  if (type !== undefined) return type;
  throw new AwsError("InvalidParameterValue", `Invalid value '${name}' for InstanceType.`);
}

export const hasType = (name: string): boolean => byName.has(name);

/** About a third of what it costs on demand. */
export const spotUsdPerHour = ({ usdPerHour }: InstanceType): number => Math.round(usdPerHour * 3_500) / 10_000;
