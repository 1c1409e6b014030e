import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DescribeSecurityGroupsCommand,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import { networkOf } from "../../base/cidr.ts";
import { elbCode } from "./balancer-errors.ts";
import { type SeenSecurityGroup, seenSecurityGroup } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint } from "./balancer-plan.ts";
import { appliedTag, balancerTag, loadBalancerTag, nameTag, sharedTags } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import { isKind } from "./errors.ts";
import { compareRules, type Opening, permissionsOf } from "./group-rules.ts";
import { clusterTag, tagList } from "./tags.ts";

/** Distinguishes what was opened here from what somebody opened by hand. */
const mark = "drover";

/** What the members of a load balancer want it to be reached by. */
const openingsOf = (plans: readonly BalancerPlan[]): Opening[] => {
  const all = plans.flatMap(({ listeners, sourceRanges }) =>
    listeners.flatMap(({ port, protocol }) =>
      carriers(protocol).flatMap((carrier) =>
        sourceRanges.map((source): Opening => ({ protocol: carrier, port, source: networkOf(source) })),
      ),
    ),
  );
  return [...new Map(all.map((each) => [JSON.stringify(each), each])).values()];
};

const carriers = (protocol: BalancerPlan["listeners"][number]["protocol"]): readonly ("tcp" | "udp")[] =>
  protocol === "TCP_UDP" ? ["tcp", "udp"] : [protocol === "UDP" ? "udp" : "tcp"];

const marked = (permissions: readonly IpPermission[]): IpPermission[] =>
  permissions.map(({ IpRanges = [], ...rest }) => ({
    ...rest,
    IpRanges: IpRanges.map((range) => ({ ...range, Description: mark })),
  }));

const isMarked = ({ permissions }: SeenSecurityGroup, { IpProtocol, FromPort, IpRanges }: IpPermission): boolean =>
  permissions.some(
    (each) =>
      each.IpProtocol === IpProtocol &&
      each.FromPort === FromPort &&
      each.IpRanges?.some(({ CidrIp, Description }) => Description === mark && CidrIp === IpRanges?.[0]?.CidrIp),
  );

/**
 * The load balancer's own security group: its listeners' ports for the source ranges; outwards everything, as AWS
 * makes it. `isWhole`: all members are in `plans`, so that what none of them wants may be closed.
 */
export async function ensureSecurityGroup(
  workshop: Workshop,
  plans: readonly BalancerPlan[],
  plan: BalancerPlan,
  isWhole: boolean,
): Promise<SeenSecurityGroup> {
  const { send, inventory, repairs, patiently } = workshop;
  const seen = inventory.securityGroups.get(plan.name) ?? (await create(workshop, plan));
  const wanted = openingsOf(plans);
  const applied = fingerprint(wanted);
  const { missing, extra, texts } = compareRules(wanted, seen.permissions);
  if (seen.tags[appliedTag] === applied && !(repairs && isWhole && texts.length > 0)) return seen;
  // What somebody opened by hand stays open unless repairs are wanted; it is reported.
  const surplus = isWhole ? extra.filter((permission) => repairs || isMarked(seen, permission)) : [];
  const opened = marked(permissionsOf(missing));
  if (opened.length > 0) {
    const command = new AuthorizeSecurityGroupIngressCommand({ GroupId: seen.id, IpPermissions: opened });
    await patiently(["InvalidGroup.NotFound"], () => send("ec2", command)).catch(ignore("InvalidPermission.Duplicate"));
  }
  if (surplus.length > 0) {
    await send("ec2", new RevokeSecurityGroupIngressCommand({ GroupId: seen.id, IpPermissions: surplus })).catch(
      ignore("InvalidPermission.NotFound"),
    );
  }
  await send("ec2", new CreateTagsCommand({ Resources: [seen.id], Tags: tagList({ [appliedTag]: applied }) }));
  const kept = compareRules([], seen.permissions).extra.filter((one) => !surplus.some((other) => isSame(one, other)));
  const ours = kept.filter((permission) => isMarked(seen, permission));
  const byHand = kept.filter((permission) => !isMarked(seen, permission));
  seen.permissions = [...byHand, ...marked(ours), ...opened];
  seen.tags = { ...seen.tags, [appliedTag]: applied };
  return seen;
}

const isSame = (one: IpPermission, other: IpPermission): boolean => JSON.stringify(one) === JSON.stringify(other);

const ignore =
  (...codes: readonly string[]) =>
  (error: unknown): undefined => {
    if (!codes.includes(elbCode(error))) throw error;
  };

async function create({ send, inventory, network }: Workshop, plan: BalancerPlan): Promise<SeenSecurityGroup> {
  const tags = sharedTags(plan, { [loadBalancerTag]: plan.name, Name: `drover ${plan.cluster} ${plan.people}` });
  const command = new CreateSecurityGroupCommand({
    GroupName: plan.name,
    Description: `Load balancer of drover's cluster ${plan.cluster}`,
    VpcId: network.vpcId,
    TagSpecifications: [{ ResourceType: "security-group", Tags: tagList(tags) }],
  });
  const made = await send("ec2", command).catch(ignore("InvalidGroup.Duplicate"));
  const seen =
    made === undefined
      ? await adopt(send, plan, network.vpcId)
      : { id: made.GroupId ?? "", name: plan.name, permissions: [], tags };
  inventory.securityGroups.set(plan.name, seen);
  return seen;
}

/** Made by a call whose answer was lost. */
async function adopt(send: Workshop["send"], plan: BalancerPlan, vpcId: string): Promise<SeenSecurityGroup> {
  const Filters = [
    { Name: "group-name", Values: [plan.name] },
    { Name: "vpc-id", Values: [vpcId] },
    { Name: `tag:${clusterTag}`, Values: [plan.cluster] },
  ];
  const found = await send("ec2", new DescribeSecurityGroupsCommand({ Filters }));
  return seenSecurityGroup(found.SecurityGroups?.[0] ?? {});
}

/** One sentence about what was changed by hand. */
export function securityGroupDrift(seen: SeenSecurityGroup, plans: readonly BalancerPlan[]): string | undefined {
  const [text] = compareRules(openingsOf(plans), seen.permissions).texts;
  return text === undefined ? undefined : `The security group ${seen.id} ${text}.`;
}

/** Network interfaces of a deleted load balancer hold it for minutes: then false, and another time. */
export async function removeSecurityGroup({ send, inventory }: Workshop, seen: SeenSecurityGroup): Promise<boolean> {
  try {
    await send("ec2", new DeleteSecurityGroupCommand({ GroupId: seen.id }));
  } catch (error) {
    if (isKind(error, "busy") || elbCode(error) === "InvalidGroup.InUse") return false;
    if (!isKind(error, "absent")) throw error;
  }
  inventory.securityGroups.delete(seen.name);
  return true;
}

/** Says whose remains it is, where it was shared: it outlives everything else that says so. */
export async function markRemains(workshop: Workshop, seen: SeenSecurityGroup, id: string): Promise<void> {
  const { send, inventory } = workshop;
  if (seen.tags[balancerTag] === id) return;
  const group = [...inventory.targetGroups.values()].find(({ tags }) => tags[balancerTag] === id);
  const tags = { [balancerTag]: id, [nameTag]: group?.tags[nameTag] ?? "" };
  await send("ec2", new CreateTagsCommand({ Resources: [seen.id], Tags: tagList(tags) }));
  seen.tags = { ...seen.tags, ...tags };
}

/** The group has come back before its remains were gone. */
export async function unmarkRemains({ send }: Workshop, seen: SeenSecurityGroup, id: string): Promise<void> {
  if (seen.tags[balancerTag] !== id) return;
  await send("ec2", new DeleteTagsCommand({ Resources: [seen.id], Tags: [{ Key: balancerTag }, { Key: nameTag }] }));
  const { [balancerTag]: _, [nameTag]: __, ...tags } = seen.tags;
  seen.tags = tags;
}
