import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { MachineImage, Offer } from "../cloud.ts";
import type { AwsCloud } from "./cloud.ts";
import { findSubjects, type Permissions, tryPermissions } from "./doctor-permissions.ts";
import { awsCodeOf } from "./errors.ts";
import { findZone } from "./hosted-zone.ts";
import { balancerSubnets, type Network, zonesOf } from "./network.ts";

/** One line of the report. note: nothing is wrong, but somebody may want to know. */
export type Finding = { check: string; state: "ok" | "note" | "fix"; text: string };

/** Machines that somebody wants. */
export type Demand = { name: string; machines: number; cpuMillis: number; memoryBytes: number; gpus: number };

export type DoctorOptions = {
  cloud: AwsCloud;
  clock: Clock;
  cluster: string;
  region: string;
  domain: string;
  createZone: boolean;
  /** The machine image of Pods that name none. */
  image: string;
  demands: readonly Demand[];
  /** Machines are reached by their public address, by their private one, or by a program of the user's. */
  reach: "public" | "private" | "command";
  operatorCidrs: readonly string[];
  /** AWS' own time, ms since the epoch; undefined: it could not be asked. */
  awsTimeMs(): Promise<number | undefined>;
};

/** AWS refuses calls whose time is more than five minutes off. */
const skewMaxMs = 60_000;
/** Load balancers want so many free addresses in each of their subnets. */
const freeAddressesMin = 8;

const sentence = (error: unknown): string =>
  (error instanceof DroverError ? error.message : `It failed unexpectedly: ${String(error)}`).replace(/\s+/g, " ");

/** Looks at everything that a cluster on AWS needs, and changes nothing. Findings are in the order to read them in. */
export async function examine(options: DoctorOptions): Promise<Finding[]> {
  const { cloud, cluster, region, createZone } = options;
  const findings: Finding[] = [await clockFinding(options)];
  const identity = await cloud.send("sts", new GetCallerIdentityCommand({})).catch((error: unknown) => error);
  if (identity instanceof Error) {
    // Nobody looks at credentials where there is no AWS.
    const check = awsCodeOf(identity) === "ENOTFOUND" ? "region" : "credentials";
    return [...findings, { check, state: "fix", text: sentence(identity) }];
  }
  const { Arn = "", Account = "" } = identity as { Arn?: string; Account?: string };
  findings.push({ check: "credentials", state: "ok", text: `${Arn} in account ${Account}` });
  findings.push({ check: "region", state: "ok", text: region });
  const network = await cloud.network().catch((error: unknown) => error);
  const [partition = "aws"] = /(?<=^arn:)[\w-]+/.exec(Arn) ?? [];
  const zone = await zoneFinding(options, network);
  const given = {
    ...{ cluster, region, partition, account: Account },
    ...(isNetwork(network) && subjectsOf(network)),
    ...(zone.id !== undefined && { hostedZoneId: zone.id }),
    ...(await findSubjects(cloud.send, cluster)),
  };
  findings.push(...permissionFindings(await tryPermissions(cloud.send, given, createZone)));
  findings.push(...networkFindings(network, options), zone.finding, reachFinding(options));
  findings.push(await imageFinding(options));
  findings.push(...(await quotaFindings(options)));
  return findings;
}

const isNetwork = (found: unknown): found is Network => !(found instanceof Error);

function subjectsOf({ vpcId, subnets: [subnet] }: Network) {
  return { vpcId, ...(subnet && { subnetId: subnet.id, zone: subnet.zone }) };
}

async function clockFinding({ clock, awsTimeMs }: DoctorOptions): Promise<Finding> {
  const theirs = await awsTimeMs();
  if (theirs === undefined) return { check: "clock", state: "note", text: "AWS' time could not be asked for." };
  const seconds = Math.round((clock.wallMs() - theirs) / 1_000);
  if (Math.abs(seconds) * 1_000 < skewMaxMs) return { check: "clock", state: "ok", text: "as AWS'" };
  const how = seconds > 0 ? "ahead of" : "behind";
  const text = `This computer's clock is ${Math.abs(seconds)} s ${how} AWS'; from 300 s on AWS refuses every call: \`timedatectl set-ntp true\`.`;
  return { check: "clock", state: "fix", text };
}

function permissionFindings({ tried, denied, unknown }: Permissions): Finding[] {
  const missing = denied.map(({ action, why }): Finding => {
    return {
      check: "permission",
      state: "fix",
      text: `${action}: ${why} The policy is in infra/; \`drover policy\` prints it.`,
    };
  });
  const byReason = new Map<string, string[]>();
  for (const { action, why } of unknown) {
    // What all of them have in common is said once.
    const reason = why.replace(/\s+/g, " ").replace(/^[\w-]+:\w+ failed with /, "failed with ");
    byReason.set(reason, [...(byReason.get(reason) ?? []), action]);
  }
  const notes = [...byReason].map(([why, actions]): Finding => {
    return { check: "permission", state: "note", text: `Not known of ${actions.join(", ")}: ${why}` };
  });
  const count = tried - denied.length - unknown.length;
  return [
    ...missing,
    ...notes,
    { check: "permissions", state: "ok", text: `${count} of ${tried} actions tried and permitted` },
  ];
}

function networkFindings(network: unknown, { reach }: DoctorOptions): Finding[] {
  if (!isNetwork(network)) return [{ check: "network", state: "fix", text: sentence(network) }];
  const { vpcId, subnets } = network;
  const zones = zonesOf(network);
  const findings: Finding[] = [{ check: "network", state: "ok", text: `${vpcId} with zones ${zones.join(", ")}` }];
  for (const { id, zone, freeAddresses, isPublic } of subnets) {
    const text = `${id} in ${zone}, ${isPublic ? "public" : "private"}, ${freeAddresses} free addresses`;
    if (freeAddresses >= freeAddressesMin) findings.push({ check: "subnet", state: "ok", text });
    else {
      const advice = `load balancers need ${freeAddressesMin}: make a larger subnet, or leave it out (--subnets).`;
      findings.push({ check: "subnet", state: "fix", text: `${text}; ${advice}` });
    }
  }
  if (zones.length < 2) {
    const text =
      "All machines share one zone, and application load balancers (Ingress) need two: add a subnet in another.";
    findings.push({ check: "subnet", state: "note", text });
  }
  if (reach === "public" && !subnets.some(({ isPublic }) => isPublic)) {
    const text = `${vpcId} has no public subnet, so machines get no public address: --reach private, or --proxy-command.`;
    findings.push({ check: "reach", state: "fix", text });
  }
  try {
    balancerSubnets(network, "internet-facing");
  } catch (error) {
    findings.push({ check: "load balancers", state: "note", text: sentence(error) });
  }
  return findings;
}

async function zoneFinding(options: DoctorOptions, network: unknown): Promise<{ finding: Finding; id?: string }> {
  const { cloud, clock, cluster, domain, region, createZone } = options;
  const check = "names";
  if (!isNetwork(network)) return { finding: { check, state: "note", text: "A private zone belongs to a VPC." } };
  try {
    const { send } = cloud;
    const { id } = await findZone({ send, clock, cluster, domain, region, vpcId: network.vpcId });
    return { finding: { check, state: "ok", text: `private zone ${domain} (${id})` }, id };
  } catch (error) {
    const isAbsent =
      error instanceof DroverError && error.code === "CLOUD_INVALID" && /has no private/.test(error.message);
    if (isAbsent && createZone) return { finding: { check, state: "ok", text: `drover will make the zone ${domain}` } };
    return { finding: { check, state: "fix", text: sentence(error) } };
  }
}

function reachFinding({ reach, operatorCidrs }: DoctorOptions): Finding {
  const check = "ssh";
  if (reach === "command") return { check, state: "ok", text: "by a program of yours; no port is opened" };
  if (operatorCidrs.length > 0) return { check, state: "ok", text: `port 22 is opened to ${operatorCidrs.join(", ")}` };
  if (reach === "private")
    return {
      check,
      state: "note",
      text: "This computer must be in the VPC, or in a network that is routed to it; port 22 is opened to --operator-cidr.",
    };
  const text =
    "Port 22 of the machines is opened to nobody: name this computer's address (--operator-cidr ADDRESS/32), or use --proxy-command.";
  return { check, state: "fix", text };
}

/** One of either architecture will do: what a Pod needs is looked at when it comes. */
async function imageFinding({ cloud, image }: DoctorOptions): Promise<Finding> {
  const check = "image";
  const found = ({ id, architecture, family }: MachineImage) => `${image} is ${id} for ${architecture}, ${family}`;
  try {
    return { check, state: "ok", text: found(await cloud.machines.image(image, "amd64")) };
  } catch (error) {
    const other = await cloud.machines.image(image, "arm64").catch(() => undefined);
    return other ? { check, state: "ok", text: found(other) } : { check, state: "fix", text: sentence(error) };
  }
}

async function quotaFindings({ cloud, demands }: DoctorOptions): Promise<Finding[]> {
  if (demands.length === 0) {
    const text = "Not compared with anything: --replicas NUMBER or -f FILE says what is wanted.";
    return [{ check: "quotas", state: "note", text }];
  }
  let offers: readonly Offer[];
  try {
    offers = await cloud.machines.offers();
  } catch (error) {
    return [{ check: "quotas", state: "fix", text: sentence(error) }];
  }
  const used = new Map<string, number>();
  return demands.map((demand) => quotaFinding(demand, offers, used));
}

/** `used`: mCPU of each quota that the demands before this one take. */
function quotaFinding(demand: Demand, offers: readonly Offer[], used: Map<string, number>): Finding {
  const { name, machines, cpuMillis, memoryBytes, gpus } = demand;
  const check = "quota";
  const fits = ({ capacityType, architecture, labels = {}, ...offer }: Offer) =>
    capacityType === "on-demand" &&
    // Nobody gets these who does not name them.
    labels["drover.dev/instance-class"] === undefined &&
    (architecture === "amd64" || gpus > 0) &&
    offer.cpuMillis >= cpuMillis &&
    offer.memoryBytes >= memoryBytes &&
    (offer.gpus ?? 0) >= gpus;
  const [cheapest] = offers.filter(fits).sort((a, b) => a.priceUsdPerHour - b.priceUsdPerHour);
  const asked = `${name}: ${machines} × ${cpuMillis}m CPU, ${Math.ceil(memoryBytes / 2 ** 20)}Mi`;
  if (!cheapest) return { check, state: "fix", text: `${asked}: no instance type that is offered here is as large.` };
  const { type, quota, quotaCpuMillis = 0, left, priceUsdPerHour } = cheapest;
  const price = `${type}, ${(machines * priceUsdPerHour).toFixed(2)} USD an hour together`;
  if (quota === undefined) return { check, state: "ok", text: `${asked}: ${price}; no quota is known` };
  const before = used.get(quota) ?? 0;
  used.set(quota, before + machines * quotaCpuMillis);
  const free = Math.max(0, left.cpuMillis - before);
  const needed = machines * quotaCpuMillis;
  if (needed <= free) return { check, state: "ok", text: `${asked}: ${price}; ${quota} has room` };
  const text = `${asked}: ${needed / 1_000} vCPUs of ${type} are needed and ${free / 1_000} are left of the quota ${quota}: ask for more in the console of Service Quotas.`;
  return { check, state: "fix", text };
}
