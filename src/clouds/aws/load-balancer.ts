import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, type Filter, type Tag } from "@aws-sdk/client-ec2";
import {
  AddTagsCommand,
  CreateLoadBalancerCommand,
  DeleteLoadBalancerCommand,
  DescribeLoadBalancersCommand,
  ModifyLoadBalancerAttributesCommand,
  SetIpAddressTypeCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { DroverError } from "../../base/errors.ts";
import { annotationOf, type BalancerSettings } from "./annotations.ts";
import { elbCode } from "./balancer-errors.ts";
import { readTags, type SeenLoadBalancer, seenLoadBalancer } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint } from "./balancer-plan.ts";
import { appliedTag, sharedTags, tagsOnceApplied } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import { balancerSubnets, type Subnet } from "./network.ts";
import { clusterTag, tagList, tagsOf } from "./tags.ts";

type Wanted = {
  subnets: readonly string[];
  securityGroups: readonly string[];
  addressType: "ipv4" | "dualstack";
  attributes: Readonly<Record<string, string>>;
};

/** Settings of a load balancer that several share: of each the one of the member that comes first. */
export const sharedSettings = (plans: readonly BalancerPlan[]): BalancerSettings => ({
  ...Object.assign({}, ...plans.map(({ settings }) => settings).reverse()),
  loadBalancerAttributes: Object.assign(
    {},
    ...plans.map(({ settings }) => settings.loadBalancerAttributes ?? {}).reverse(),
  ),
});

/** Makes the load balancer, or makes it what it should be if it was last made to be something else. */
export async function ensureLoadBalancer(
  workshop: Workshop,
  plan: BalancerPlan,
  settings: BalancerSettings,
  securityGroups: readonly string[],
): Promise<SeenLoadBalancer> {
  const { send, inventory, repairs } = workshop;
  const wanted: Wanted = {
    subnets: await subnetsOf(workshop, plan, settings),
    securityGroups,
    addressType: settings.ipAddressType ?? "ipv4",
    attributes: settings.loadBalancerAttributes ?? {},
  };
  const applied = fingerprint({ ...wanted, subnets: [...wanted.subnets].sort(), tags: settings.tags });
  const found = inventory.loadBalancers.get(plan.name);
  const seen = found ?? (await create(workshop, plan, settings, wanted));
  const isEdited = repairs && found !== undefined && loadBalancerDrift(found, securityGroups) !== undefined;
  if (seen.tags[appliedTag] === applied && !isEdited) return seen;
  const LoadBalancerArn = seen.arn;
  if (!isSameSet(subnetsIn(seen), wanted.subnets)) {
    await send("elb", new SetSubnetsCommand({ LoadBalancerArn, ...subnetInput(settings, wanted.subnets) }));
  }
  if (!isSameSet(seen.raw.SecurityGroups ?? [], securityGroups)) {
    await send("elb", new SetSecurityGroupsCommand({ LoadBalancerArn, SecurityGroups: [...securityGroups] }));
  }
  if ((seen.raw.IpAddressType ?? "ipv4") !== wanted.addressType) {
    await send("elb", new SetIpAddressTypeCommand({ LoadBalancerArn, IpAddressType: wanted.addressType }));
  }
  const Attributes = tagList(wanted.attributes);
  if (Attributes.length > 0)
    await send("elb", new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes }));
  const newTags = tagsOnceApplied(settings, applied);
  await send("elb", new AddTagsCommand({ ResourceArns: [LoadBalancerArn], Tags: tagList(newTags) }));
  seen.raw = {
    ...seen.raw,
    SecurityGroups: [...securityGroups],
    IpAddressType: wanted.addressType,
    AvailabilityZones: wanted.subnets.map((SubnetId) => ({ SubnetId })),
  };
  seen.tags = { ...seen.tags, ...newTags };
  return seen;
}

const isSameSet = (one: readonly string[], other: readonly string[]): boolean =>
  [...one].sort().join() === [...other].sort().join();

const subnetsIn = ({ raw }: SeenLoadBalancer): string[] =>
  (raw.AvailabilityZones ?? []).map(({ SubnetId = "" }) => SubnetId);

async function create(
  { send, inventory }: Workshop,
  plan: BalancerPlan,
  settings: BalancerSettings,
  { subnets, securityGroups, addressType }: Wanted,
): Promise<SeenLoadBalancer> {
  const tags = sharedTags(plan, {});
  const command = new CreateLoadBalancerCommand({
    Name: plan.name,
    Type: plan.kind,
    Scheme: plan.scheme,
    IpAddressType: addressType,
    ...subnetInput(settings, subnets),
    SecurityGroups: [...securityGroups],
    Tags: tagList(tags),
  });
  const made = await send("elb", command).catch((error: unknown) => {
    if (elbCode(error) !== "DuplicateLoadBalancerName") throw error;
    return send("elb", new DescribeLoadBalancersCommand({ Names: [plan.name] }));
  });
  const raw = made.LoadBalancers?.[0] ?? {};
  // A name of the user's choice may be somebody else's; and the same name with the same settings is no error at AWS.
  const given =
    plan.settings.name === undefined
      ? tags
      : (await readTags(send, [raw.LoadBalancerArn ?? ""])).get(raw.LoadBalancerArn ?? "");
  if (given?.[clusterTag] !== plan.cluster)
    throw invalid(plan, "name", `there is a load balancer ${plan.name} already, which is not this cluster's.`);
  const seen = seenLoadBalancer(raw, given);
  inventory.loadBalancers.set(plan.name, seen);
  inventory.listeners.set(plan.name, []);
  return seen;
}

const invalid = ({ kind }: BalancerPlan, field: keyof BalancerSettings, message: string): DroverError => {
  const annotation = annotationOf(kind, field) ?? field;
  return new DroverError("CLOUD_INVALID", `${annotation}: ${message}`, { annotation });
};

/** Named ones, as they were named, or of each zone the one that suits the scheme, by their ids. */
async function subnetsOf(workshop: Workshop, plan: BalancerPlan, settings: BalancerSettings): Promise<string[]> {
  const { send } = workshop;
  const given = await idsOf(workshop, plan, "subnets", settings.subnets ?? [], async (Filters) => {
    const { Subnets = [] } = await send("ec2", new DescribeSubnetsCommand({ Filters }));
    return Subnets.map(({ SubnetId = "", Tags }) => ({ id: SubnetId, Tags }));
  });
  const subnets = given.length > 0 ? given : discovered(workshop, plan).sort();
  if (plan.kind === "application" && subnets.length < 2) {
    throw invalid(plan, "subnets", "an application load balancer needs subnets of two zones at least.");
  }
  return subnets;
}

/** AWS wants so many free addresses in each subnet of a load balancer. */
const addressesMin = 8;
const clusterTagStart = "kubernetes.io/cluster/";

/** One a zone, none that is full or other clusters' own; where the load balancer is already, it stays. */
function discovered({ network, inventory }: Workshop, { name, scheme, cluster }: BalancerPlan): string[] {
  const present = inventory.loadBalancers.get(name);
  const kept = network.subnets.filter(({ id }) => present && subnetsIn(present).includes(id));
  const isOurs = ({ tags }: Subnet) => {
    const owners = Object.keys(tags).filter((key) => key.startsWith(clusterTagStart));
    return owners.length === 0 || owners.includes(clusterTagStart + cluster);
  };
  const usable = network.subnets.filter((each) => isOurs(each) && each.freeAddresses >= addressesMin);
  const found = balancerSubnets({ ...network, subnets: [...new Set([...kept, ...usable])] }, scheme);
  return found.map(({ id, zone }) => kept.find((each) => each.zone === zone)?.id ?? id);
}

/** The security groups of the user's own; undefined: he names none. */
export async function givenGroups(
  workshop: Workshop,
  plan: BalancerPlan,
  { securityGroups }: BalancerSettings,
): Promise<string[] | undefined> {
  return securityGroups === undefined
    ? undefined
    : await idsOf(workshop, plan, "securityGroups", securityGroups, async (Filters) => {
        const { SecurityGroups = [] } = await workshop.send("ec2", new DescribeSecurityGroupsCommand({ Filters }));
        return SecurityGroups.map(({ GroupId = "", Tags }) => ({ id: GroupId, Tags }));
      });
}

/** What an annotation calls by their ids (`subnet-…`, `sg-…`) or by the values of their tag Name, as ids in its order. */
async function idsOf(
  { network }: Workshop,
  plan: BalancerPlan,
  field: "subnets" | "securityGroups",
  given: readonly string[],
  find: (filters: Filter[]) => Promise<{ id: string; Tags: Tag[] | undefined }[]>,
): Promise<string[]> {
  const [start, kind] = field === "subnets" ? ["subnet-", "subnet"] : ["sg-", "security group"];
  const names = given.filter((each) => !each.startsWith(start));
  if (names.length === 0) return [...given];
  const found = await find([
    { Name: "vpc-id", Values: [network.vpcId] },
    { Name: "tag:Name", Values: names },
  ]);
  const named = (name: string) => found.filter(({ Tags }) => tagsOf(Tags)["Name"] === name).map(({ id }) => id);
  const missing = names.filter((name) => named(name).length === 0);
  if (missing.length > 0) throw invalid(plan, field, `no ${kind} of ${network.vpcId} is named ${missing.join(", ")}.`);
  return [...new Set(given.flatMap((each) => (each.startsWith(start) ? each : named(each))))];
}

/** Addresses of the user's own go to the subnets in the order in which both are given. */
function subnetInput({ elasticIps, privateAddresses }: BalancerSettings, subnets: readonly string[]) {
  const given = elasticIps ?? privateAddresses;
  if (given === undefined) return { Subnets: [...subnets] };
  if (given.length !== subnets.length) {
    const annotation = annotationOf("network", elasticIps ? "elasticIps" : "privateAddresses") ?? "";
    const message = `${annotation}: ${given.length} addresses for ${subnets.length} subnets; each needs one.`;
    throw new DroverError("CLOUD_INVALID", message, { annotation });
  }
  return {
    SubnetMappings: subnets.map((SubnetId, index) => ({
      SubnetId,
      ...(elasticIps ? { AllocationId: given[index] } : { PrivateIPv4Address: given[index] }),
    })),
  };
}

/** One sentence about what was changed by hand. */
export function loadBalancerDrift(
  { name, raw }: SeenLoadBalancer,
  securityGroups: readonly string[],
): string | undefined {
  if (isSameSet(raw.SecurityGroups ?? [], securityGroups)) return undefined;
  return `The load balancer ${name} has the security groups ${raw.SecurityGroups?.join(", ") || "none"}.`;
}

/** Its listeners and their rules go with it. */
export async function removeLoadBalancer({ send, inventory }: Workshop, seen: SeenLoadBalancer): Promise<void> {
  await send("elb", new DeleteLoadBalancerCommand({ LoadBalancerArn: seen.arn })).catch((error: unknown) => {
    if (elbCode(error) !== "LoadBalancerNotFound") throw error;
  });
  inventory.loadBalancers.delete(seen.name);
  inventory.listeners.delete(seen.name);
}
