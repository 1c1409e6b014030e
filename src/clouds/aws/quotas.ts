import { DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import { ListServiceQuotasCommand } from "@aws-sdk/client-service-quotas";
import type { Clock } from "../../base/clock.ts";
import type { Placement } from "../cloud.ts";
import type { Send } from "./api.ts";
import { allPages } from "./pages.ts";
import { remember } from "./remember.ts";

type CapacityType = Placement["capacityType"];
/** `code`: as in Service Quotas; `name`: for people. */
export type Quota = { code: string; name: string };
/** An instance that counts against a quota. */
export type Running = { id: string; type: string; capacityType: CapacityType };

/**
 * Quotas of EC2 are of vCPUs, by family. The first row whose pattern fits a type counts; a type without a row has no
 * quota that drover knows. Source: the quota tables of the EC2 user guide (on-demand and spot), 2026-11.
 */
const rows: readonly { family: RegExp; onDemand: Quota; spot?: Quota }[] = [
  row(/^dl\d/, "DL", "L-6E869C2A", "L-85EED4F7"),
  row(/^f\d/, "F", "L-74FC7D96", "L-88CF9481"),
  row(/^(g|gr|vt)\d/, "G and VT", "L-DB2E81BA", "L-3819A6DF"),
  row(/^hpc\d/, "HPC", "L-F7808C92"),
  row(/^inf\d/, "Inf", "L-1945791B", "L-B5D1601B"),
  { ...row(/^p5/, "P", "L-417A185B"), spot: { code: "L-C4BD4855", name: "All P5 Spot Instance Requests" } },
  row(/^p\d/, "P", "L-417A185B", "L-7212CCBC"),
  row(/^trn\d/, "Trn", "L-2C3B7624", "L-6B0D517C"),
  row(/^u(-|\d)/, "High Memory", "L-43DA4232"),
  row(/^x\d/, "X", "L-7295265B", "L-E3A00192"),
  row(/^(a|c|d|h|i|im|is|m|r|t|z)\d/, "Standard (A, C, D, H, I, M, R, T, Z)", "L-1216C47A", "L-34B43A08"),
];

function row(family: RegExp, families: string, onDemandCode: string, spotCode?: string) {
  const onDemand = { code: onDemandCode, name: `Running On-Demand ${families} instances` };
  const spot = spotCode === undefined ? undefined : { code: spotCode, name: `All ${families} Spot Instance Requests` };
  return { family, onDemand, ...(spot && { spot }) };
}

export function quotaOf(type: string, capacityType: CapacityType): Quota | undefined {
  const found = rows.find(({ family }) => family.test(type));
  return capacityType === "spot" ? found?.spot : found?.onDemand;
}

/** Limits change by a support case; what runs changes all the time, but launches under way are counted elsewhere. */
const limitsAgeMaxMs = 300_000;
const usageAgeMaxMs = 15_000;

export type QuotaOptions = {
  send: Send;
  clock: Clock;
  /** Undefined: no such type. */
  vcpusOf: (type: string) => number | undefined;
  /** Instances that the caller knows of, newer than what a list shows. */
  running?: () => Iterable<Running>;
  /** Told what could not be found out, in one sentence. */
  tell: (message: string) => void;
};

export type Quotas = {
  /** vCPUs that are left, by quota code. A quota that is absent could not be read: nothing is held back for it. */
  left(signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
};

export function openQuotas({ send, clock, vcpusOf, running, tell }: QuotaOptions): Quotas {
  const limits = remember(clock, limitsAgeMaxMs, new Map<string, number>(), {
    read: (signal) => listLimits(send, signal),
    failed: (why) => tell(`The account's quotas are unknown, so launches are not held back for them: ${why}`),
  });
  const usage = remember<readonly Running[]>(clock, usageAgeMaxMs, [], {
    read: (signal) => listRunning(send, signal),
    failed: (why) => tell(`Of the instances that count against quotas only drover's own are known: ${why}`),
  });
  return {
    async left(signal) {
      const [byCode, listed] = await Promise.all([limits(signal), usage(signal)]);
      const left = new Map(byCode);
      const instances = new Map([...listed, ...(running?.() ?? [])].map((one) => [one.id, one]));
      for (const { type, capacityType } of instances.values()) {
        const code = quotaOf(type, capacityType)?.code ?? "";
        const limit = left.get(code);
        if (limit !== undefined) left.set(code, limit - (vcpusOf(type) ?? 0));
      }
      return left;
    },
  };
}

async function listLimits(send: Send, signal?: AbortSignal): Promise<Map<string, number>> {
  const quotas = await allPages(
    (NextToken) =>
      send("quotas", new ListServiceQuotasCommand({ ServiceCode: "ec2", MaxResults: 100, NextToken }), { signal }),
    ({ Quotas }) => Quotas,
  );
  const codes = new Set(rows.flatMap(({ onDemand, spot }) => [onDemand.code, ...(spot ? [spot.code] : [])]));
  const known = quotas.filter(({ QuotaCode = "" }) => codes.has(QuotaCode));
  return new Map(
    known.flatMap(({ QuotaCode, Value }) => (QuotaCode && Value !== undefined ? [[QuotaCode, Value]] : [])),
  );
}

/** All of the account's in the region, others' too: they share the quotas. What is still pending counts, soon at least. */
async function listRunning(send: Send, signal?: AbortSignal): Promise<Running[]> {
  const reservations = await allPages(
    (NextToken) =>
      send(
        "ec2",
        new DescribeInstancesCommand({
          Filters: [{ Name: "instance-state-name", Values: ["pending", "running"] }],
          MaxResults: 1_000,
          NextToken,
        }),
        { signal },
      ),
    (page) => page.Reservations,
  );
  return reservations.flatMap(({ Instances = [] }) =>
    Instances.map(({ InstanceId: id = "", InstanceType: type = "", InstanceLifecycle }) => ({
      ...{ id, type },
      capacityType: InstanceLifecycle === "spot" ? ("spot" as const) : ("on-demand" as const),
    })),
  );
}
