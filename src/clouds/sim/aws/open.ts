import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import type { CallFaults, Service } from "./calls.ts";
import { type FakeClient, openClient } from "./client.ts";
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
  /** What is inside the instances. Default: nothing, but everything that runs answers on every port. */
  bodies?: (world: AwsWorld) => Bodies;
};

/** Assignable to what the `aws` cloud calls its clients. */
export type FakeClients = Record<Service, FakeClient>;

/** Without anything inside, an instance that runs serves, and its console ends with its host key. */
const emptyBodies = (world: AwsWorld): Bodies => ({
  launched: () => {},
  ending: () => {},
  serving: ({ runningAtMs, shuttingDownAtMs }) =>
    world.nowMs() < shuttingDownAtMs
      ? { serves: world.nowMs() >= runningAtMs, sinceMs: runningAtMs }
      : { serves: false, sinceMs: shuttingDownAtMs },
  console: ({ id, runningAtMs }, atMs) => (atMs < runningAtMs ? "" : consoleText(id)),
});

/** What cloud-init prints of a machine's keys; the key is made up. */
export const consoleText = (instanceId: string): string => {
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from("ssh-ed25519"),
    Buffer.from([0, 0, 0, 32]),
    Buffer.from(instanceId.padEnd(32, ".").slice(0, 32)),
  ]);
  return [
    "[    0.000000] Linux version 6.1.0-30-cloud-amd64",
    "-----BEGIN SSH HOST KEY KEYS-----",
    `ssh-ed25519 ${blob.toString("base64")} root@${instanceId}`,
    "-----END SSH HOST KEY KEYS-----",
    "Cloud-init v. 23.4 finished. Datasource DataSourceEc2Local.\r\n",
  ].join("\r\n");
};

/** A fake of AWS at the SDK's level: one account in one Region. `connect` gives another process clients of its own. */
export function openAwsFake(options: AwsFakeOptions): {
  world: AwsWorld;
  clients: FakeClients;
  connect(): FakeClients;
} {
  const { clock, random, latencies = ec2Latencies, faults = noCallFaults, region = "us-east-1" } = options;
  const zones = options.zones ?? ["a", "b", "c"].map((letter) => `${region}${letter}`);
  const account = { id: "123456789012", region, zones, userArn: "arn:aws:iam::123456789012:user/drover" };
  const parts = { clock, random, latencies, faults, account, pools: new Pools(), quotas: new Quotas() };
  const world = new AwsWorld(parts);
  world.bodies = (options.bodies ?? emptyBodies)(world);
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
    };
  };
  return { world, clients: connect(), connect };
}
