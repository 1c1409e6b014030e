import {
  AddTagsCommand,
  CreateTargetGroupCommand,
  DeleteTargetGroupCommand,
  DescribeTargetGroupsCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbCode } from "./balancer-errors.ts";
import { type SeenTargetGroup, seenTargetGroup } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint, type HealthCheckInput, type PlannedTargetGroup } from "./balancer-plan.ts";
import { appliedTag, loadBalancerTag, ownTags, tagsOnceApplied, targetGroupTag } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import { tagList } from "./tags.ts";

/** Every target brings its own port; AWS wants one for those that bring none. */
const unusedPort = 80;

const appliedOf = ({ settings: { tags } }: BalancerPlan, { healthCheck, attributes }: PlannedTargetGroup): string =>
  fingerprint([healthCheck, attributes, tags]);

/** Makes the target group, or makes it what it should be if it was last made to be something else. */
export async function ensureTargetGroup(
  workshop: Workshop,
  plan: BalancerPlan,
  wanted: PlannedTargetGroup,
): Promise<SeenTargetGroup> {
  const { send, inventory, repairs } = workshop;
  const applied = appliedOf(plan, wanted);
  const found = inventory.targetGroups.get(wanted.name);
  const seen = found ?? (await create(workshop, plan, wanted));
  const isEdited = repairs && found !== undefined && targetGroupDrift(found, wanted) !== undefined;
  if (seen.tags[appliedTag] === applied && !isEdited) return seen;
  if (found !== undefined) {
    const changed = await send(
      "elb",
      new ModifyTargetGroupCommand({ TargetGroupArn: seen.arn, ...wanted.healthCheck }),
    );
    seen.raw = { ...seen.raw, ...wanted.healthCheck, ...changed.TargetGroups?.[0] };
  }
  // AWS keeps what nobody names; a new group has its defaults.
  const Attributes = tagList({ ...(found && wanted.defaults), ...wanted.attributes });
  await send("elb", new ModifyTargetGroupAttributesCommand({ TargetGroupArn: seen.arn, Attributes }));
  // Only what was carried out whole is marked so: whoever finds another mark does it again.
  const newTags = tagsOnceApplied(plan.settings, applied);
  await send("elb", new AddTagsCommand({ ResourceArns: [seen.arn], Tags: tagList(newTags) }));
  seen.tags = { ...seen.tags, ...newTags };
  return seen;
}

async function create(
  { send, inventory, network }: Workshop,
  plan: BalancerPlan,
  { name, groupId, protocol, protocolVersion, healthCheck }: PlannedTargetGroup,
): Promise<SeenTargetGroup> {
  const tags = ownTags(plan, { [targetGroupTag]: groupId, [loadBalancerTag]: plan.name });
  const command = new CreateTargetGroupCommand({
    Name: name,
    Protocol: protocol,
    ...(protocolVersion !== undefined && { ProtocolVersion: protocolVersion }),
    Port: unusedPort,
    VpcId: network.vpcId,
    TargetType: "instance",
    HealthCheckEnabled: true,
    ...healthCheck,
    Tags: tagList(tags),
  });
  const made = await send("elb", command).catch((error: unknown) => {
    // The name says what it is: one of this name was made by a call whose answer was lost.
    if (elbCode(error) !== "DuplicateTargetGroupName") throw error;
    return send("elb", new DescribeTargetGroupsCommand({ Names: [name] }));
  });
  const seen = seenTargetGroup(made.TargetGroups?.[0] ?? {}, tags);
  inventory.targetGroups.set(name, seen);
  return seen;
}

/** One sentence about what was changed by hand. */
export function targetGroupDrift(
  { name, raw }: SeenTargetGroup,
  { healthCheck }: PlannedTargetGroup,
): string | undefined {
  const changed = (Object.keys(healthCheck) as (keyof HealthCheckInput)[]).filter((key) => {
    const [is, should] = [raw[key], healthCheck[key]];
    return JSON.stringify(is) !== JSON.stringify(should);
  });
  return changed.length === 0 ? undefined : `The target group ${name} has another ${changed.join(", ")}.`;
}

/** A target group is in use for a moment after its listener has gone. */
export async function removeTargetGroup(
  { send, inventory, patiently }: Workshop,
  seen: SeenTargetGroup,
): Promise<void> {
  await patiently(["ResourceInUse"], () =>
    send("elb", new DeleteTargetGroupCommand({ TargetGroupArn: seen.arn })),
  ).catch((error: unknown) => {
    if (elbCode(error) !== "TargetGroupNotFound") throw error;
  });
  inventory.targetGroups.delete(seen.name);
}
