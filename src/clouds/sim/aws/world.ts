import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import { Buckets } from "./buckets.ts";
import type { CallFaults, CallRecord, Hooks } from "./calls.ts";
import type { Certificate } from "./certificates.ts";
import { Conditions } from "./conditions.ts";
import type { HostedZone, ZoneChange } from "./hosted-zones.ts";
import type { Image } from "./images.ts";
import type { Instance } from "./instances.ts";
import type { AwsLatencies } from "./latencies.ts";
import { draw } from "./latencies.ts";
import type { LaunchTemplate } from "./launch-templates.ts";
import type { Listener } from "./listeners.ts";
import type { LoadBalancer } from "./load-balancers.ts";
import type { Subnet, Vpc } from "./networks.ts";
import type { Pools, Quotas } from "./pools.ts";
import type { SecurityGroup } from "./security-groups.ts";
import type { TargetGroup } from "./target-groups.ts";
import type { Volume } from "./volumes.ts";

/** What every resource has: its place in lists, and when others see it. */
export type Resource = { serial: number; visibleAtMs: number };

/** The account and Region as drover finds them. */
export type Account = { id: string; region: string; zones: readonly string[]; userArn: string };

/** What a machine is to the rest of the simulation; told by the fake as its instances live and end. */
export type Bodies = {
  /** The instance will run from `runningAtMs` on. */
  launched(instance: Instance): void;
  /** It begins to shut down. */
  ending(instance: Instance): void;
  /** AWS has announced its end. */
  noticed(instance: Instance): void;
  /** Whether something on it answers at a port, and since when that is so, on the monotonic scale. */
  serving(instance: Instance, port: number): { serves: boolean; sinceMs: number };
  console(instance: Instance, atMs: number): string;
};

type WorldParts = {
  clock: Clock;
  random: Random;
  latencies: AwsLatencies;
  account: Account;
  faults: CallFaults;
  pools: Pools;
  quotas: Quotas;
};

/**
 * AWS' side: it goes on while drover is down. States follow from recorded moments, so that a look at the past is as easy
 * as one at the present, and nothing but a call or a box ever wakes up.
 */
export class AwsWorld {
  readonly clock: Clock;
  readonly random: Random;
  /** Another one takes effect from the next draw on. */
  latencies: AwsLatencies;
  readonly account: Account;
  readonly pools: Pools;
  readonly quotas: Quotas;
  readonly buckets = new Buckets();
  readonly faults: CallFaults;
  readonly conditions = new Conditions();
  readonly hooks: Hooks = {};
  /** Set when the world is opened. */
  bodies!: Bodies;

  /** Commands sent, by action; what the SDK repeats by itself counts once. */
  readonly calls = new Map<string, number>();
  /** Requests that changed something or tried to, in order. */
  readonly writes: CallRecord[] = [];

  readonly vpcs = new Map<string, Vpc>();
  readonly subnets = new Map<string, Subnet>();
  readonly images = new Map<string, Image>();
  readonly parameters = new Map<string, string>();
  readonly securityGroups = new Map<string, SecurityGroup>();
  readonly launchTemplates = new Map<string, LaunchTemplate>();
  readonly instances = new Map<string, Instance>();
  readonly volumes = new Map<string, Volume>();
  /** Network interfaces that aren't instances' own: load balancers'. */
  readonly interfaces = new Map<string, { groupIds: readonly string[]; subnetId: string; goneAtMs: number }>();
  /** Load balancers, target groups and listeners by ARN. */
  readonly loadBalancers = new Map<string, LoadBalancer>();
  readonly targetGroups = new Map<string, TargetGroup>();
  readonly listeners = new Map<string, Listener>();
  /** The account's certificates by ARN. */
  readonly certificates = new Map<string, Certificate>();
  /** ARNs of the account's web ACLs. */
  readonly webAcls = new Set<string>();
  /** Private hosted zones by id, and changes to them. */
  readonly hostedZones = new Map<string, HostedZone>();
  readonly zoneChanges = new Map<string, ZoneChange>();
  /** Types that a zone doesn't have: `TYPE ZONE`. */
  readonly notOffered = new Set<string>();
  /** Instance profiles by name, and from when on EC2 knows them. */
  readonly instanceProfiles = new Map<string, { arn: string; visibleAtMs: number }>();
  /** Answers by action and client token. */
  readonly tokens = new Map<string, { request: string; answer: unknown }>();
  /** What the account sets for machines whose launch doesn't say: may tags be read at the metadata address. */
  instanceMetadataTags: "enabled" | "disabled" = "disabled";
  #serial = 0;

  constructor({ clock, random, latencies, account, faults, pools, quotas }: WorldParts) {
    this.clock = clock;
    this.random = random;
    this.latencies = latencies;
    this.account = account;
    this.faults = faults;
    this.pools = pools;
    this.quotas = quotas;
  }

  nowMs = (): number => this.clock.monotonicMs();

  /** `i-0123456789abcdef0`. */
  id(prefix: string, digits = 17): string {
    const hex = Array.from({ length: digits }, () => Math.floor(this.random.next() * 16).toString(16));
    return `${prefix}-${hex.join("")}`;
  }

  /** What a new resource begins with. */
  made(): Resource {
    return { serial: this.#serial++, visibleAtMs: this.nowMs() + draw(this.random, this.latencies.otherVisible) };
  }

  /** The first answer to a client token, whatever became of what it made. @throws by `mismatch` for other parameters */
  once<T>(action: string, token: string | undefined, input: object, mismatch: () => Error, work: () => T): T {
    if (token === undefined) return work();
    const request = JSON.stringify(input, sorted);
    const key = `${action} ${token}`;
    const known = this.tokens.get(key);
    if (known !== undefined) {
      if (known.request !== request) throw mismatch();
      return known.answer as T;
    }
    const answer = work();
    this.tokens.set(key, { request, answer });
    return answer;
  }
}

/** For JSON: the same text whatever the order of an object's keys. */
const sorted = (_: string, value: unknown): unknown =>
  value !== null && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/** Whether others see it at that moment. */
export const visibleAt =
  (atMs: number) =>
  ({ visibleAtMs }: Resource): boolean =>
    visibleAtMs <= atMs;
