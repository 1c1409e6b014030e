import { clusterTag, lentTag } from "./tags.ts";

const word = <Name extends string>(name: Name) => `\${${name}}` as const;

/** A policy's words that depend on the account, in the form of Terraform's templates. */
export const placeholders = {
  partition: word("partition"),
  region: word("region"),
  account: word("account"),
  cluster: word("cluster"),
  zone: word("zone_id"),
} as const;

type Condition = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

/** One statement of the policy: what drover may do (`ec2:RunInstances`), to what, and on which condition. */
export type Grant = {
  sid: string;
  actions: readonly string[];
  /** After `arn:PARTITION:`; absent: everything. */
  resources?: readonly string[];
  condition?: Condition;
  /** Only where this option of `drover serve` is used. */
  option?: "--create-zone";
};

const { region, account, cluster, zone } = placeholders;
const here = { "aws:RequestedRegion": region };
/** The thing carries the cluster's tag already. */
const own = { [`aws:ResourceTag/${clusterTag}`]: cluster };
/** The call gives the cluster's tag. */
const tagged = { [`aws:RequestTag/${clusterTag}`]: cluster };
/** No call moves anything into another cluster. */
const kept = { StringEquals: own, StringEqualsIfExists: tagged };

const of = (service: string, words: string): string[] => words.split(/\s+/).map((word) => `${service}:${word}`);
const ec2 = (...kinds: readonly string[]) => kinds.map((kind) => `ec2:${region}:${account}:${kind}/*`);
const elb = (...kinds: readonly string[]) => kinds.map((kind) => `elasticloadbalancing:${region}:${account}:${kind}/*`);

/**
 * All that drover asks of AWS, each action where it is granted. The policy is made of it, doctor tries it, and a test
 * compares it with the commands in these sources. Resource kinds and condition keys: AWS' service authorization reference.
 */
export const grants: readonly Grant[] = [
  {
    sid: "Look",
    actions: [
      ...of(
        "ec2",
        `DescribeImages DescribeInstances DescribeInstanceTypeOfferings DescribeInstanceTypes DescribeLaunchTemplates
        DescribeRouteTables DescribeSecurityGroups DescribeSpotPriceHistory DescribeSubnets DescribeVolumes DescribeVpcs`,
      ),
      ...of(
        "elasticloadbalancing",
        `DescribeListenerCertificates DescribeListeners DescribeLoadBalancers DescribeRules DescribeTags
        DescribeTargetGroups DescribeTargetHealth`,
      ),
      "servicequotas:ListServiceQuotas",
      ...of("acm", "DescribeCertificate ListCertificates"),
      ...of("wafv2", "GetWebACL GetWebACLForResource"),
    ],
    condition: { StringEquals: here },
  },
  // Not of one region: the price list, the private zones, the caller.
  {
    sid: "LookEverywhere",
    actions: ["pricing:GetProducts", "route53:ListHostedZonesByVPC", "sts:GetCallerIdentity"],
  },
  { sid: "Images", actions: ["ssm:GetParameter"], resources: [`ssm:${region}::parameter/aws/service/*`] },
  {
    sid: "LaunchWith",
    actions: ["ec2:RunInstances"],
    resources: [`ec2:${region}::image/*`, `ec2:${region}:*:snapshot/*`, ...ec2("image", "subnet", "security-group")],
  },
  {
    sid: "LaunchFrom",
    actions: ["ec2:RunInstances"],
    resources: ec2("launch-template"),
    condition: { StringEquals: own },
  },
  {
    sid: "Launch",
    actions: ["ec2:RunInstances"],
    resources: ec2("instance", "volume", "network-interface", "spot-instances-request"),
    condition: { StringEquals: tagged },
  },
  {
    sid: "Create",
    actions: of("ec2", "CreateLaunchTemplate CreateSecurityGroup CreateVolume"),
    resources: ec2("launch-template", "security-group", "volume"),
    condition: { StringEquals: tagged },
  },
  { sid: "CreateIn", actions: ["ec2:CreateSecurityGroup"], resources: ec2("vpc") },
  {
    sid: "TagWhatIsCreated",
    actions: ["ec2:CreateTags"],
    resources: [`ec2:${region}:${account}:*/*`],
    condition: {
      StringEquals: {
        ...tagged,
        "ec2:CreateAction": ["RunInstances", "CreateLaunchTemplate", "CreateSecurityGroup", "CreateVolume"],
      },
    },
  },
  {
    sid: "Own",
    actions: [
      ...of(
        "ec2",
        `AttachVolume AuthorizeSecurityGroupIngress DeleteLaunchTemplate DeleteSecurityGroup DeleteVolume DetachVolume
        GetConsoleOutput ModifyVolume RevokeSecurityGroupIngress TerminateInstances`,
      ),
      ...of(
        "elasticloadbalancing",
        `AddListenerCertificates DeleteListener DeleteLoadBalancer DeleteRule DeleteTargetGroup DeregisterTargets
        ModifyListener ModifyLoadBalancerAttributes ModifyRule ModifyTargetGroup ModifyTargetGroupAttributes
        RegisterTargets RemoveListenerCertificates SetIpAddressType SetRulePriorities SetSecurityGroups SetSubnets
        SetWebAcl`,
      ),
    ],
    condition: { StringEquals: own },
  },
  // The instance is the cluster's own; the volume is one that its owner lends by a tag.
  {
    sid: "AttachLent",
    actions: of("ec2", "AttachVolume DetachVolume"),
    resources: ec2("volume"),
    condition: { StringEquals: { [`aws:ResourceTag/${lentTag}`]: cluster } },
  },
  {
    sid: "TagOwn",
    actions: ["ec2:CreateTags", "elasticloadbalancing:AddTags"],
    resources: [...ec2("security-group"), `elasticloadbalancing:${region}:${account}:*`],
    condition: kept,
  },
  {
    sid: "UntagOwn",
    actions: ["ec2:DeleteTags"],
    resources: ec2("security-group"),
    condition: { StringEquals: own, "ForAllValues:StringNotEquals": { "aws:TagKeys": [clusterTag] } },
  },
  {
    sid: "CreateBalancers",
    actions: of("elasticloadbalancing", "CreateListener CreateLoadBalancer CreateRule CreateTargetGroup"),
    condition: { StringEquals: tagged },
  },
  {
    sid: "TagNewBalancers",
    actions: ["elasticloadbalancing:AddTags"],
    resources: elb("loadbalancer", "targetgroup", "listener", "listener-rule"),
    condition: {
      StringEquals: {
        ...tagged,
        "elasticloadbalancing:CreateAction": [
          "CreateListener",
          "CreateLoadBalancer",
          "CreateRule",
          "CreateTargetGroup",
        ],
      },
    },
  },
  {
    sid: "WebAcls",
    actions: of("wafv2", "AssociateWebACL DisassociateWebACL"),
    resources: [`wafv2:${region}:${account}:regional/webacl/*/*`, ...elb("loadbalancer/app")],
  },
  {
    sid: "Logins",
    actions: ["cognito-idp:DescribeUserPoolClient"],
    resources: [`cognito-idp:${region}:${account}:userpool/*`],
  },
  {
    sid: "Names",
    actions: of("route53", "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets ListTagsForResource"),
    resources: [`route53:::hostedzone/${zone}`],
  },
  { sid: "NamesInSync", actions: ["route53:GetChange"], resources: ["route53:::change/*"] },
  // A new zone has no id to name and no tag to ask for before there is one.
  {
    sid: "CreateZone",
    actions: of("route53", "ChangeTagsForResource CreateHostedZone"),
    option: "--create-zone",
  },
  {
    sid: "DeleteZone",
    actions: ["route53:DeleteHostedZone"],
    resources: [`route53:::hostedzone/${zone}`],
    option: "--create-zone",
  },
  {
    sid: "GivePodsRoles",
    actions: ["iam:PassRole"],
    resources: [`iam::${account}:role/drover-pod-*`],
    condition: { StringEquals: { "iam:PassedToService": "ec2.amazonaws.com" } },
  },
  // The first load balancer and the first spot machine of an account make the role that AWS itself works with.
  {
    sid: "FirstOfAnAccount",
    actions: ["iam:CreateServiceLinkedRole"],
    condition: {
      StringEquals: { "iam:AWSServiceName": ["elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"] },
    },
  },
];

/** Actions that no command of drover's is called by: AWS asks for them on behalf of another call. */
export const impliedActions: readonly string[] = [
  "cognito-idp:DescribeUserPoolClient",
  "elasticloadbalancing:SetWebAcl",
  "iam:CreateServiceLinkedRole",
  "iam:PassRole",
  "wafv2:GetWebACL",
];

/** Every action once, sorted. */
export const grantedActions = (): string[] => [...new Set(grants.flatMap(({ actions }) => actions))].sort();

/** Its permission depends on tags of the thing it is done to, so that trying it on nothing proves nothing. */
export const needsOwnThing = (action: string): boolean => {
  const where = grants.filter(({ actions }) => actions.includes(action));
  const isBound = ({ condition }: Grant) =>
    Object.entries(condition?.["StringEquals"] ?? {}).some(
      ([key, value]) => key.startsWith("aws:ResourceTag/") && value === cluster,
    );
  return where.every(isBound);
};
