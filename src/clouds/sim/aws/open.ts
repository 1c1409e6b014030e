import { assert } from "../../../base/assert.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import type { Boxes } from "../../box.ts";
import { boxBodies } from "./boxes.ts";
import type { CallFaults, Service } from "./calls.ts";
import { type FakeClient, openClient } from "./client.ts";
import { consoleText } from "./console.ts";
import { noCallFaults } from "./faults.ts";
import { type Furniture, furnish } from "./furnish.ts";
import { type AwsLatencies, ec2Latencies } from "./latencies.ts";
import { Pools, Quotas } from "./pools.ts";
import { droverRetries, type RetryRules } from "./retry.ts";
import { AwsWorld, type Bodies } from "./world.ts";

export type AwsFakeOptions = Furniture & {
  clock: Clock;
  random: Random;
  latencies?: AwsLatencies;
  faults?: CallFaults;
  region?: string;
  /** Availability Zones. Default: a, b and c of the Region. */
  zones?: readonly string[];
  /** How the clients repeat calls by themselves. Default: as drover sets its own. */
  retries?: RetryRules;
  /** What is inside the instances. nothing (default): whatever runs answers on every port; boxes: simulated agents, which
   * serve once they are bound to a Pod and its containers run. */
  inside?: "nothing" | "boxes";
  /** An instance's console. Default: what is inside says it. */
  consoleOf?: (instanceId: string) => string;
};

/** Assignable to what the `aws` cloud calls its clients. */
export type FakeClients = Record<Service, FakeClient>;

/** Without anything inside, an instance that runs serves, and its console ends with its host key. */
const emptyBodies = (world: AwsWorld): Bodies => ({
  launched: () => {},
  ending: () => {},
  noticed: () => {},
  serving: ({ runningAtMs, shuttingDownAtMs }) =>
    world.nowMs() < shuttingDownAtMs
      ? { serves: world.nowMs() >= runningAtMs, sinceMs: runningAtMs }
      : { serves: false, sinceMs: shuttingDownAtMs },
  console: ({ id, runningAtMs }, atMs) => (atMs < runningAtMs ? "" : consoleText(id)),
});

/**
 * A fake of AWS at the SDK's level: one account in one Region. `connect` gives another process clients of its own, and
 * `connectBoxes` its own way into the instances.
 */
export function openAwsFake(options: AwsFakeOptions): {
  world: AwsWorld;
  clients: FakeClients;
  connect(): FakeClients;
  connectBoxes(): Boxes;
} {
  const { clock, random, latencies = ec2Latencies, faults = noCallFaults, region = "us-east-1" } = options;
  const zones = options.zones ?? ["a", "b", "c"].map((letter) => `${region}${letter}`);
  const account = { id: "123456789012", region, zones, userArn: "arn:aws:iam::123456789012:user/drover" };
  const parts = { clock, random, latencies, faults, account, pools: new Pools(), quotas: new Quotas() };
  const world = new AwsWorld(parts);
  const boxes = options.inside === "boxes" ? boxBodies(world) : undefined;
  const { consoleOf } = options;
  world.bodies = { ...(boxes ?? emptyBodies(world)), ...(consoleOf && { console: ({ id }) => consoleOf(id) }) };
  furnish(world, options);
  const connect = (): FakeClients => {
    const client = (service: Service) => openClient(world, service, options.retries ?? droverRetries);
    return {
      ec2: client("ec2"),
      elb: client("elb"),
      route53: client("route53"),
      ssm: client("ssm"),
      pricing: client("pricing"),
      quotas: client("quotas"),
      sts: client("sts"),
      acm: client("acm"),
      wafv2: client("wafv2"),
    };
  };
  const connectBoxes = () => {
    assert(boxes, "the fake was opened with boxes inside");
    return boxes.connect();
  };
  return { world, clients: connect(), connect, connectBoxes };
}
