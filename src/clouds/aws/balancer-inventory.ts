import { DescribeSecurityGroupsCommand, type IpPermission, type SecurityGroup } from "@aws-sdk/client-ec2";
import {
  type Listener as AwsListener,
  type LoadBalancer as AwsLoadBalancer,
  type Rule as AwsRule,
  type TargetGroup as AwsTargetGroup,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { GetWebACLForResourceCommand } from "@aws-sdk/client-wafv2";
import pLimit from "p-limit";
import { DroverError } from "../../base/errors.ts";
import type { Send } from "./api.ts";
import { loadBalancerTag, noWebAcl, webAclTag } from "./balancer-tags.ts";
import { allPages } from "./pages.ts";
import { clusterTag, type Tags, tagsOf } from "./tags.ts";

/** `webAcl`: of one that was given a web ACL, the ARN of the one that it has, "" for none; absent: it is not known. */
export type SeenLoadBalancer = { arn: string; name: string; raw: AwsLoadBalancer; tags: Tags; webAcl?: string };
export type SeenTargetGroup = { arn: string; name: string; loadBalancer: string; raw: AwsTargetGroup; tags: Tags };
export type SeenRule = { arn: string; priority: number; raw: AwsRule; tags: Tags };
export type SeenListener = { arn: string; port: number; raw: AwsListener; tags: Tags; rules: SeenRule[] };
export type SeenSecurityGroup = { id: string; name: string; permissions: readonly IpPermission[]; tags: Tags };

/**
 * Everything of the cluster's balancers that there is at AWS, except targets. It is read once, kept true by every
 * change that is made here, and read again now and then to find what was changed by hand.
 */
export type Inventory = {
  /** By name. */
  loadBalancers: Map<string, SeenLoadBalancer>;
  targetGroups: Map<string, SeenTargetGroup>;
  /** By the load balancer's name. */
  listeners: Map<string, SeenListener[]>;
  securityGroups: Map<string, SeenSecurityGroup>;
};

export type InventoryScope = {
  send: Send;
  cluster: string;
  vpcId: string;
  signal?: AbortSignal | undefined;
  /** Also which web ACLs load balancers have, of which AWS tells one a second. */
  withWebAcls?: boolean;
};

/** DescribeTags takes no more. */
const tagArnsMax = 20;
const limit = () => pLimit(4);

/** This service calls the token a marker. */
const marked =
  <Page extends { NextMarker?: string | undefined }>(page: (Marker: string | undefined) => Promise<Page>) =>
  async (Marker: string | undefined): Promise<Page & { NextToken?: string | undefined }> => {
    const answer = await page(Marker);
    return { ...answer, NextToken: answer.NextMarker };
  };

/** `calls`: how many Describe calls it took. */
export async function readInventory(scope: InventoryScope): Promise<{ inventory: Inventory; calls: number }> {
  let calls = 0;
  const counted: Send = (service, command, options) => {
    calls++;
    return scope.send(service, command, { signal: scope.signal, ...options });
  };
  const [balancers, groups, securityGroups] = await Promise.all([
    ownLoadBalancers(counted, scope),
    ownTargetGroups(counted, scope),
    ownSecurityGroups(counted, scope),
  ]);
  if (scope.withWebAcls) await lookAtWebAcls(counted, balancers);
  const slots = limit();
  const listeners = await Promise.all(
    balancers.map(({ arn, name, raw }) =>
      slots(
        async (): Promise<[string, SeenListener[]]> => [
          name,
          await readListeners(counted, arn, raw.Type === "application"),
        ],
      ),
    ),
  );
  const inventory: Inventory = {
    loadBalancers: new Map(balancers.map((each) => [each.name, each])),
    targetGroups: new Map(groups.map((each) => [each.name, each])),
    listeners: new Map(listeners),
    securityGroups: new Map(securityGroups.map((each) => [each.name, each])),
  };
  return { inventory, calls };
}

async function ownLoadBalancers(send: Send, { vpcId, cluster }: InventoryScope): Promise<SeenLoadBalancer[]> {
  const all = await allPages(
    marked((Marker) => send("elb", new DescribeLoadBalancersCommand({ Marker }))),
    ({ LoadBalancers }) => LoadBalancers,
  );
  const here = all.filter((each) => each.VpcId === vpcId && each.Type !== "gateway");
  const tags = await readTags(
    send,
    here.map(({ LoadBalancerArn = "" }) => LoadBalancerArn),
  );
  return here
    .map((raw) => seenLoadBalancer(raw, tags.get(raw.LoadBalancerArn ?? "") ?? {}))
    .filter((each) => each.tags[clusterTag] === cluster);
}

export const seenLoadBalancer = (raw: AwsLoadBalancer, tags: Tags): SeenLoadBalancer => ({
  arn: raw.LoadBalancerArn ?? "",
  name: raw.LoadBalancerName ?? "",
  raw,
  tags,
});

/** The web ACL that drover has given the load balancer; undefined: it has given none. */
export const givenWebAcl = ({ tags }: SeenLoadBalancer): string | undefined =>
  tags[webAclTag] === noWebAcl ? undefined : tags[webAclTag];

/** The ARN of the web ACL that a load balancer has, "" if it has none. */
export async function readWebAcl(send: Send, ResourceArn: string): Promise<string> {
  const { WebACL } = await send("wafv2", new GetWebACLForResourceCommand({ ResourceArn }));
  return WebACL?.ARN ?? "";
}

/** Of load balancers that were given one: which they have now. Where nobody can be asked it is not known. */
async function lookAtWebAcls(send: Send, balancers: readonly SeenLoadBalancer[]): Promise<void> {
  for (const seen of balancers.filter((each) => givenWebAcl(each) !== undefined)) {
    try {
      seen.webAcl = await readWebAcl(send, seen.arn);
    } catch (error) {
      if (!(error instanceof DroverError)) throw error;
    }
  }
}

async function ownTargetGroups(send: Send, { vpcId, cluster }: InventoryScope): Promise<SeenTargetGroup[]> {
  const all = await allPages(
    marked((Marker) => send("elb", new DescribeTargetGroupsCommand({ Marker }))),
    ({ TargetGroups }) => TargetGroups,
  );
  // Strangers' are left out before their tags are asked for.
  const here = all.filter((each) => each.VpcId === vpcId && each.TargetGroupName?.startsWith("dr-"));
  const tags = await readTags(
    send,
    here.map(({ TargetGroupArn = "" }) => TargetGroupArn),
  );
  return here
    .map((raw) => seenTargetGroup(raw, tags.get(raw.TargetGroupArn ?? "") ?? {}))
    .filter((each) => each.tags[clusterTag] === cluster);
}

export const seenTargetGroup = (raw: AwsTargetGroup, tags: Tags): SeenTargetGroup => ({
  arn: raw.TargetGroupArn ?? "",
  name: raw.TargetGroupName ?? "",
  loadBalancer: tags[loadBalancerTag] ?? "",
  raw,
  tags,
});

async function ownSecurityGroups(send: Send, { vpcId, cluster }: InventoryScope): Promise<SeenSecurityGroup[]> {
  const Filters = [
    { Name: "vpc-id", Values: [vpcId] },
    { Name: `tag:${clusterTag}`, Values: [cluster] },
    { Name: "tag-key", Values: [loadBalancerTag] },
  ];
  const all = await allPages(
    (NextToken) => send("ec2", new DescribeSecurityGroupsCommand({ Filters, NextToken, MaxResults: 1_000 })),
    ({ SecurityGroups }) => SecurityGroups,
  );
  return all.map(seenSecurityGroup);
}

export const seenSecurityGroup = (raw: SecurityGroup): SeenSecurityGroup => ({
  id: raw.GroupId ?? "",
  name: raw.GroupName ?? "",
  permissions: raw.IpPermissions ?? [],
  tags: tagsOf(raw.Tags),
});

/** A load balancer's listeners with their rules and tags. */
export async function readListeners(send: Send, arn: string, withRules: boolean): Promise<SeenListener[]> {
  const all = await allPages(
    marked((Marker) => send("elb", new DescribeListenersCommand({ LoadBalancerArn: arn, Marker }))),
    ({ Listeners }) => Listeners,
  );
  const slots = limit();
  const rules = await Promise.all(
    all.map(({ ListenerArn = "" }) => slots(() => (withRules ? readRules(send, ListenerArn) : []))),
  );
  const arns = [...all.map(({ ListenerArn = "" }) => ListenerArn), ...rules.flat().map(({ RuleArn = "" }) => RuleArn)];
  const tags = await readTags(send, arns);
  return all.map((raw, index): SeenListener => {
    const own = (rules[index] ?? []).map((rule) => seenRule(rule, tags.get(rule.RuleArn ?? "") ?? {}));
    return {
      arn: raw.ListenerArn ?? "",
      port: raw.Port ?? 0,
      raw,
      tags: tags.get(raw.ListenerArn ?? "") ?? {},
      rules: own,
    };
  });
}

export const seenRule = (raw: AwsRule, tags: Tags): SeenRule => ({
  arn: raw.RuleArn ?? "",
  priority: Number(raw.Priority),
  raw,
  tags,
});

async function readRules(send: Send, ListenerArn: string): Promise<AwsRule[]> {
  const all = await allPages(
    marked((Marker) => send("elb", new DescribeRulesCommand({ ListenerArn, Marker }))),
    ({ Rules }) => Rules,
  );
  return all.filter(({ IsDefault }) => !IsDefault);
}

export async function readTags(send: Send, arns: readonly string[]): Promise<Map<string, Tags>> {
  const batches = Array.from({ length: Math.ceil(arns.length / tagArnsMax) }, (_, index) =>
    arns.slice(index * tagArnsMax, (index + 1) * tagArnsMax),
  );
  const slots = limit();
  const pages = await Promise.all(
    batches.map((ResourceArns) => slots(() => send("elb", new DescribeTagsCommand({ ResourceArns })))),
  );
  const described = pages.flatMap(({ TagDescriptions = [] }) => TagDescriptions);
  return new Map(described.map(({ ResourceArn = "", Tags }) => [ResourceArn, tagsOf(Tags)]));
}
