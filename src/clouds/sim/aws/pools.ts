import { AwsError } from "./errors.ts";
import { lifecycleOf, stateAt } from "./instances.ts";
import { type InstanceType, typeNamed } from "./type-table.ts";
import type { AwsWorld } from "./world.ts";

export type Lifecycle = "on-demand" | "spot";

/** How many machines of a pool there can be at once; a pool that isn't set has no end. */
export class Pools {
  readonly #machines = new Map<string, number>();

  /** `*` stands for every type, zone or lifecycle. */
  set(type: string, zone: string, lifecycle: Lifecycle | "*", machines: number): void {
    this.#machines.set(`${type} ${zone} ${lifecycle}`, machines);
  }

  /** Takes back what was set. */
  clear(): void {
    this.#machines.clear();
  }

  machines(type: string, zone: string, lifecycle: Lifecycle): number {
    const sizes = [type, "*"].flatMap((t) =>
      [zone, "*"].flatMap((z) => [lifecycle, "*"].map((l) => this.#machines.get(`${t} ${z} ${l}`))),
    );
    return Math.min(...sizes.map((size) => size ?? Number.POSITIVE_INFINITY));
  }
}

/** The account's vCPU quotas by their codes in Service Quotas, and a few others. */
export class Quotas {
  readonly values = new Map<string, { name: string; value: number }>([
    ["L-1216C47A", { name: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", value: 10_000 }],
    ["L-34B43A08", { name: "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", value: 10_000 }],
    ["L-DB2E81BA", { name: "Running On-Demand G and VT instances", value: 64 }],
    ["L-3819A6DF", { name: "All G and VT Spot Instance Requests", value: 64 }],
    ["L-69A177A2", { name: "Network Load Balancers per Region", value: 50 }],
    ["L-53DA6B97", { name: "Application Load Balancers per Region", value: 50 }],
    ["L-7A658B76", { name: "Storage for General Purpose SSD (gp3) volumes, in TiB", value: 50 }],
    ["L-B22855CB", { name: "Target Groups per Region", value: 3_000 }],
  ]);

  set(code: string, value: number): void {
    this.values.set(code, { name: this.values.get(code)?.name ?? code, value });
  }

  value = (code: string): number => this.values.get(code)?.value ?? Number.POSITIVE_INFINITY;
}

const quotaOf = ({ gpu }: InstanceType, lifecycle: Lifecycle): string => {
  if (gpu !== undefined) return lifecycle === "spot" ? "L-3819A6DF" : "L-DB2E81BA";
  return lifecycle === "spot" ? "L-34B43A08" : "L-1216C47A";
};

/** Machines that the pool and the quota still have room for. */
export function roomFor(world: AwsWorld, type: InstanceType, zone: string, lifecycle: Lifecycle) {
  const nowMs = world.nowMs();
  const living = [...world.instances.values()].filter((instance) => stateAt(instance, nowMs) !== "terminated");
  const inPool = living.filter((one) => one.type === type.name && one.zone === zone && lifecycleOf(one) === lifecycle);
  const code = quotaOf(type, lifecycle);
  const drawing = living.filter((one) => quotaOf(typeNamed(one.type), lifecycleOf(one)) === code);
  const used = drawing.reduce((sum, one) => sum + typeNamed(one.type).vcpus, 0);
  return {
    pool: Math.max(0, world.pools.machines(type.name, zone, lifecycle) - inPool.length),
    quota: Math.max(0, Math.floor((world.quotas.value(code) - used) / type.vcpus)),
    quotaVcpus: world.quotas.value(code),
  };
}

export function noCapacity(type: string, zone: string, lifecycle: Lifecycle, others: readonly string[]): AwsError {
  if (lifecycle === "spot") {
    return new AwsError(
      "InsufficientInstanceCapacity",
      "There is no Spot capacity available that matches your request.",
    );
  }
  return new AwsError(
    "InsufficientInstanceCapacity",
    `We currently do not have sufficient ${type} capacity in the Availability Zone you requested (${zone}). Our system will be working on provisioning additional capacity. You can currently get ${type} capacity by not specifying an Availability Zone in your request or choosing ${others.join(", ")}.`,
  );
}

export function overQuota(lifecycle: Lifecycle, vcpus: number): AwsError {
  if (lifecycle === "spot") return new AwsError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded");
  return new AwsError(
    "VcpuLimitExceeded",
    `You have requested more vCPU capacity than your current vCPU limit of ${vcpus} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.`,
  );
}
