/** Capacity and refill a second of an action's token bucket. */
export type Bucket = { capacity: number; perSecond: number };

/** §1 of the AWS facts. `resources` counts the instances that a call is about, beside the request itself. */
export type Limit = { requests: Bucket; resources?: Bucket };

const ec2Reads: Limit = { requests: { capacity: 100, perSecond: 20 } };
const ec2Writes: Limit = { requests: { capacity: 50, perSecond: 5 } };
const ec2PlainReads: Limit = { requests: { capacity: 50, perSecond: 10 } };
const hundredAtFive: Limit = { requests: { capacity: 100, perSecond: 5 } };
const elbReads: Limit = { requests: { capacity: 40, perSecond: 10 } };
const elbModifies: Limit = { requests: { capacity: 20, perSecond: 3 } };
const elbTargets: Limit = { requests: { capacity: 20, perSecond: 4 } };
const webAclReads: Limit = { requests: { capacity: 1, perSecond: 1 } };
const webAclWrites: Limit = { requests: { capacity: 1, perSecond: 0.5 } };
const route53Calls: Limit = { requests: { capacity: 50, perSecond: 10 } };

const ec2Actions: Readonly<Record<string, Limit>> = {
  RunInstances: { requests: { capacity: 5, perSecond: 2 }, resources: { capacity: 1_000, perSecond: 2 } },
  StartInstances: { requests: { capacity: 5, perSecond: 2 }, resources: { capacity: 1_000, perSecond: 2 } },
  TerminateInstances: { requests: { capacity: 100, perSecond: 5 }, resources: { capacity: 1_000, perSecond: 20 } },
  StopInstances: { requests: { capacity: 100, perSecond: 5 }, resources: { capacity: 1_000, perSecond: 20 } },
  CreateTags: { requests: { capacity: 100, perSecond: 10 } },
  CreateVolume: hundredAtFive,
  CreateSnapshot: hundredAtFive,
};

const isRead = (action: string): boolean => /^(Describe|Get|List)/.test(action);

/** Whether a call only looks. */
export const isWrite = (action: string): boolean => !isRead(action);

/** A read that names neither a filter nor ids nor a page. */
const isPlain = (input: object): boolean =>
  !Object.entries(input).some(([name, value]) => name !== "DryRun" && value !== undefined);

/** The bucket's name and its limits. */
export function limitOf(service: string, action: string, input: object): { name: string; limit: Limit } | undefined {
  const name = `${service}:${action}`;
  if (service === "ec2") {
    if (!isRead(action)) return { name, limit: ec2Actions[action] ?? ec2Writes };
    return isPlain(input) ? { name: `${name}:plain`, limit: ec2PlainReads } : { name, limit: ec2Reads };
  }
  if (service === "elb") {
    if (isRead(action)) return { name: "elb:reads", limit: elbReads };
    return { name, limit: /Targets$/.test(action) ? elbTargets : elbModifies };
  }
  if (service === "route53") return { name, limit: route53Calls };
  if (service === "wafv2") return { name, limit: isRead(action) ? webAclReads : webAclWrites };
  return undefined;
}

/** Instances that a call is about. */
export function resourcesOf(action: string, input: { MaxCount?: number; InstanceIds?: readonly string[] }): number {
  return action === "RunInstances" ? (input.MaxCount ?? 1) : (input.InstanceIds?.length ?? 1);
}

/** The account's buckets, filled anew as time passes. */
export class Buckets {
  readonly #levels = new Map<string, { level: number; atMs: number }>();

  /** Takes what the call costs from every bucket or, when one of them has too little, nothing. */
  take(name: string, { requests, resources }: Limit, count: number, nowMs: number): boolean {
    const wanted: [string, Bucket, number][] = [[name, requests, 1]];
    if (resources !== undefined) wanted.push([`${name}:resources`, resources, Math.min(count, resources.capacity)]);
    const levels = wanted.map(([key, bucket, cost]) => ({ key, left: this.#level(key, bucket, nowMs) - cost }));
    if (levels.some(({ left }) => left < 0)) return false;
    for (const { key, left } of levels) this.#levels.set(key, { level: left, atMs: nowMs });
    return true;
  }

  #level(key: string, { capacity, perSecond }: Bucket, nowMs: number): number {
    const last = this.#levels.get(key);
    if (last === undefined) return capacity;
    return Math.min(capacity, last.level + ((nowMs - last.atMs) / 1_000) * perSecond);
  }
}
