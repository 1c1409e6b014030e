import type {
  AuthorizeSecurityGroupEgressRequest,
  AuthorizeSecurityGroupEgressResult,
  AuthorizeSecurityGroupIngressRequest,
  AuthorizeSecurityGroupIngressResult,
  CreateSecurityGroupRequest,
  CreateSecurityGroupResult,
  DeleteSecurityGroupRequest,
  DeleteSecurityGroupResult,
  DescribeSecurityGroupRulesRequest,
  DescribeSecurityGroupRulesResult,
  DescribeSecurityGroupsRequest,
  DescribeSecurityGroupsResult,
  RevokeSecurityGroupEgressRequest,
  RevokeSecurityGroupEgressResult,
  RevokeSecurityGroupIngressRequest,
  RevokeSecurityGroupIngressResult,
} from "@aws-sdk/client-ec2";
import { AwsError, missingParameter } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { stateAt } from "./instances.ts";
import { type Subnet, vpcNamed } from "./networks.ts";
import { pageOf } from "./paging.ts";
import { permissionsOf, type Rule, rulesMax, rulesOf, sameRule, shownRule } from "./security-group-rules.ts";
import { shownTags, type Tags, tagsFor } from "./tags.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

export type SecurityGroup = Resource & {
  id: string;
  name: string;
  description: string;
  vpcId: string;
  ingress: Rule[];
  egress: Rule[];
  tags: Tags;
};

const notFound = (id: string): AwsError =>
  new AwsError("InvalidGroup.NotFound", `The security group '${id}' does not exist`);

function find(world: AwsWorld, id: string | undefined, atMs: number): SecurityGroup {
  if (id === undefined) throw missingParameter("GroupId");
  const group = world.securityGroups.get(id);
  if (group === undefined || !visibleAt(atMs)(group)) throw notFound(id);
  return group;
}

/** @throws InvalidGroup.NotFound, or InvalidParameter for a group of another network */
export function groupsForLaunch(world: AwsWorld, ids: readonly string[], subnet: Subnet, atMs: number): string[] {
  for (const id of ids) {
    if (find(world, id, atMs).vpcId === subnet.vpcId) continue;
    throw new AwsError(
      "InvalidParameter",
      `Security group ${id} and subnet ${subnet.id} belong to different networks.`,
    );
  }
  return [...new Set(ids)];
}

export function defaultGroup(world: AwsWorld, vpcId: string): SecurityGroup {
  const found = [...world.securityGroups.values()].find((one) => one.vpcId === vpcId && one.name === "default");
  if (found === undefined) throw notFound("default");
  return found;
}

export function makeGroup(
  world: AwsWorld,
  { name, description, vpcId, tags }: Pick<SecurityGroup, "name" | "description" | "vpcId" | "tags">,
): SecurityGroup {
  const everywhere = rulesOf(world, [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }]);
  const group = {
    ...world.made(),
    id: world.id("sg"),
    name,
    description,
    vpcId,
    ingress: [],
    egress: everywhere,
    tags,
  };
  world.securityGroups.set(group.id, group);
  return group;
}

export function createSecurityGroup(world: AwsWorld, input: CreateSecurityGroupRequest): CreateSecurityGroupResult {
  const { GroupName: name, Description: description } = input;
  if (name === undefined) throw missingParameter("GroupName");
  if (description === undefined) throw missingParameter("GroupDescription");
  const vpcs = [...world.vpcs.values()];
  const vpcId = input.VpcId ?? vpcs.find(({ isDefault }) => isDefault)?.id;
  if (vpcId === undefined) throw new AwsError("VPCIdNotSpecified", "No default VPC for this user");
  vpcNamed(world, vpcId);
  if (!/^[\w .\-:/()#,@[\]+=&;{}!$*]{1,255}$/.test(name) || name.startsWith("sg-"))
    throw new AwsError("InvalidParameterValue", `Invalid security group name '${name}'.`);
  if ([...world.securityGroups.values()].some((other) => other.vpcId === vpcId && other.name === name)) {
    throw new AwsError("InvalidGroup.Duplicate", `The security group '${name}' already exists for VPC '${vpcId}'`);
  }
  const tags = tagsFor(input.TagSpecifications, "security-group");
  const group = makeGroup(world, { name, description, vpcId, tags });
  return { GroupId: group.id, Tags: shownTags(tags) };
}

type Direction = "ingress" | "egress";
type RuleChange = AuthorizeSecurityGroupIngressRequest;

/** A call is carried out as a whole or not at all. */
function authorize(world: AwsWorld, direction: Direction, input: RuleChange, atMs: number) {
  const group = find(world, input.GroupId, atMs);
  const added = rulesOf(world, input.IpPermissions ?? [], tagsFor(input.TagSpecifications, "security-group-rule"));
  const twice = added.find((rule) => group[direction].some(sameRule(rule)));
  if (twice !== undefined) {
    throw new AwsError(
      "InvalidPermission.Duplicate",
      `the specified rule "peer: ${twice.peer}, ${twice.protocol.toUpperCase()}, from port: ${twice.from}, to port: ${twice.to}, ALLOW" already exists`,
    );
  }
  if (group[direction].length + added.length > rulesMax) {
    throw new AwsError(
      "RulesPerSecurityGroupLimitExceeded",
      "The maximum number of rules per security group has been reached.",
    );
  }
  group[direction].push(...added);
  return {
    Return: true,
    SecurityGroupRules: added.map((rule) => shownRule(world, group.id, rule, direction === "egress")),
  };
}

function revoke(
  world: AwsWorld,
  direction: Direction,
  input: RevokeSecurityGroupIngressRequest | RevokeSecurityGroupEgressRequest,
  atMs: number,
) {
  const group = find(world, input.GroupId, atMs);
  const named = input.SecurityGroupRuleIds ?? [];
  const gone = rulesOf(world, input.IpPermissions ?? []);
  const isGone = (rule: Rule) => named.includes(rule.id) || gone.some((other) => sameRule(other)(rule));
  const missing = gone.some((rule) => !group[direction].some(sameRule(rule)));
  if (missing || named.some((id) => !group[direction].some((rule) => rule.id === id))) {
    throw new AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");
  }
  group[direction] = group[direction].filter((rule) => !isGone(rule));
  return { Return: true };
}

export const authorizeIngress = (
  world: AwsWorld,
  input: AuthorizeSecurityGroupIngressRequest,
  atMs: number,
): AuthorizeSecurityGroupIngressResult => authorize(world, "ingress", input, atMs);
export const authorizeEgress = (
  world: AwsWorld,
  input: AuthorizeSecurityGroupEgressRequest,
  atMs: number,
): AuthorizeSecurityGroupEgressResult => authorize(world, "egress", input, atMs);
export const revokeIngress = (
  world: AwsWorld,
  input: RevokeSecurityGroupIngressRequest,
  atMs: number,
): RevokeSecurityGroupIngressResult => revoke(world, "ingress", input, atMs);
export const revokeEgress = (
  world: AwsWorld,
  input: RevokeSecurityGroupEgressRequest,
  atMs: number,
): RevokeSecurityGroupEgressResult => revoke(world, "egress", input, atMs);

const fields: Fields<SecurityGroup> = {
  "group-id": ({ id }) => [id],
  "group-name": ({ name }) => [name],
  description: ({ description }) => [description],
  "vpc-id": ({ vpcId }) => [vpcId],
};

export function describeSecurityGroups(
  world: AwsWorld,
  input: DescribeSecurityGroupsRequest,
  atMs: number,
): DescribeSecurityGroupsResult {
  const seen = [...world.securityGroups.values()].filter(visibleAt(atMs));
  const wanted = input.GroupIds?.map((id) => find(world, id, atMs)) ?? seen;
  const named = wanted.filter(({ name }) => input.GroupNames?.includes(name) ?? true);
  const { page, next } = pageOf(
    named.filter(matcher(input.Filters, fields)),
    input.MaxResults ?? 1_000,
    input.NextToken,
  );
  return {
    SecurityGroups: page.map((group) => ({
      GroupId: group.id,
      GroupName: group.name,
      Description: group.description,
      VpcId: group.vpcId,
      OwnerId: world.account.id,
      SecurityGroupArn: `arn:aws:ec2:${world.account.region}:${world.account.id}:security-group/${group.id}`,
      IpPermissions: permissionsOf(world, group.ingress),
      IpPermissionsEgress: permissionsOf(world, group.egress),
      Tags: shownTags(group.tags),
    })),
    NextToken: next,
  };
}

type OwnedRule = Rule & { groupId: string; isEgress: boolean };
const ruleFields: Fields<OwnedRule> = {
  "group-id": ({ groupId }) => [groupId],
  "security-group-rule-id": ({ id }) => [id],
};

export function describeSecurityGroupRules(
  world: AwsWorld,
  input: DescribeSecurityGroupRulesRequest,
  atMs: number,
): DescribeSecurityGroupRulesResult {
  const groups = [...world.securityGroups.values()].filter(visibleAt(atMs));
  const rules = groups.flatMap(({ id, ingress, egress }): OwnedRule[] => [
    ...ingress.map((rule) => ({ ...rule, groupId: id, isEgress: false })),
    ...egress.map((rule) => ({ ...rule, groupId: id, isEgress: true })),
  ]);
  const named = rules.filter(({ id }) => input.SecurityGroupRuleIds?.includes(id) ?? true);
  const found = named.filter(matcher(input.Filters, ruleFields));
  const { page, next } = pageOf(found, input.MaxResults ?? 1_000, input.NextToken);
  return {
    SecurityGroupRules: page.map((rule) => shownRule(world, rule.groupId, rule, rule.isEgress)),
    NextToken: next,
  };
}

/** Who uses a group keeps it: instances, interfaces of load balancers, rules of other groups. */
function isUsed(world: AwsWorld, { id }: SecurityGroup): boolean {
  const nowMs = world.nowMs();
  const byInstance = [...world.instances.values()].some(
    (one) => one.securityGroupIds.includes(id) && stateAt(one, nowMs) !== "terminated",
  );
  const byInterface = [...world.interfaces.values()].some(
    ({ groupIds, goneAtMs }) => groupIds.includes(id) && nowMs < goneAtMs,
  );
  const byRule = [...world.securityGroups.values()].some(
    (other) => other.id !== id && [...other.ingress, ...other.egress].some(({ peer }) => peer === id),
  );
  return byInstance || byInterface || byRule;
}

export function deleteSecurityGroup(
  world: AwsWorld,
  input: DeleteSecurityGroupRequest,
  atMs: number,
): DeleteSecurityGroupResult {
  const group = find(world, input.GroupId, atMs);
  if (group.name === "default") {
    throw new AwsError(
      "CannotDelete",
      `the specified group: "${group.id}" name: "default" cannot be deleted by a user`,
    );
  }
  if (isUsed(world, group)) throw new AwsError("DependencyViolation", `resource ${group.id} has a dependent object`);
  world.securityGroups.delete(group.id);
  return { Return: true, GroupId: group.id };
}
