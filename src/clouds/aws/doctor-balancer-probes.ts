import {
  AddListenerCertificatesCommand,
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeListenerCertificatesCommand,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyRuleCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RegisterTargetsCommand,
  RemoveListenerCertificatesCommand,
  SetIpAddressTypeCommand,
  SetRulePrioritiesCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  ChangeResourceRecordSetsCommand,
  ChangeTagsForResourceCommand,
  CreateHostedZoneCommand,
  DeleteHostedZoneCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListHostedZonesByVPCCommand,
  ListResourceRecordSetsCommand,
  ListTagsForResourceCommand,
  type VPCRegion,
} from "@aws-sdk/client-route-53";
import type { Send } from "./api.ts";
import { absentSubjects, type Probe, type Subjects } from "./doctor-probes.ts";
import { clusterTag, tagList } from "./tags.ts";

const number = "0d0c000000000000";
const arnOf = ({ partition, region, account }: Subjects, rest: string): string =>
  `arn:${partition}:elasticloadbalancing:${region}:${account}:${rest}`;
const LoadBalancerArn = (subjects: Subjects) => arnOf(subjects, `loadbalancer/net/drover-doctor/${number}`);
const TargetGroupArn = (subjects: Subjects) => arnOf(subjects, `targetgroup/drover-doctor/${number}`);
const ListenerArn = (subjects: Subjects) => arnOf(subjects, `listener/app/drover-doctor/${number}/${number}`);
const RuleArn = (subjects: Subjects) =>
  arnOf(subjects, `listener-rule/app/drover-doctor/${number}/${number}/${number}`);

const tags = ({ cluster }: Subjects) => tagList({ [clusterTag]: cluster });
const targets = ({ instanceId: Id }: Subjects) => [{ Id, Port: 80 }];
const certificates = ({ partition, region, account }: Subjects) => [
  { CertificateArn: `arn:${partition}:acm:${region}:${account}:certificate/00000000-0000-4000-8000-0d0c00000000` },
];
const forward = (subjects: Subjects) => [{ Type: "forward" as const, TargetGroupArn: TargetGroupArn(subjects) }];

/** A call of the load balancers, on one that is not there. */
const elb = (make: (subjects: Subjects) => Parameters<Send>[1]): Probe => {
  return (send, subjects) => send("elb", make(subjects));
};

const targetGroup = (subjects: Subjects) =>
  new CreateTargetGroupCommand({
    ...{ Name: "drover-doctor", Protocol: "TCP", Port: 80, VpcId: absentSubjects.vpcId },
    Tags: tags(subjects),
  });

/** These services can't only try a call: each is one that fails for want of the thing it is about. */
export const balancerProbes: Readonly<Record<string, Probe>> = {
  DescribeListenerCertificates: elb((s) => new DescribeListenerCertificatesCommand({ ListenerArn: ListenerArn(s) })),
  DescribeListeners: elb((s) => new DescribeListenersCommand({ LoadBalancerArn: LoadBalancerArn(s) })),
  DescribeLoadBalancers: elb(() => new DescribeLoadBalancersCommand({ PageSize: 1 })),
  DescribeRules: elb((s) => new DescribeRulesCommand({ ListenerArn: ListenerArn(s) })),
  DescribeTags: elb((s) => new DescribeTagsCommand({ ResourceArns: [LoadBalancerArn(s)] })),
  DescribeTargetGroups: elb(() => new DescribeTargetGroupsCommand({ PageSize: 1 })),
  DescribeTargetHealth: elb((s) => new DescribeTargetHealthCommand({ TargetGroupArn: TargetGroupArn(s) })),
  AddListenerCertificates: elb(
    (s) => new AddListenerCertificatesCommand({ ListenerArn: ListenerArn(s), Certificates: certificates(s) }),
  ),
  // Tagging is asked for by what makes things.
  AddTags: elb(targetGroup),
  CreateTargetGroup: elb(targetGroup),
  CreateListener: elb(
    (s) =>
      new CreateListenerCommand({
        ...{ LoadBalancerArn: LoadBalancerArn(s), Protocol: "TCP", Port: 80, DefaultActions: forward(s) },
        Tags: tags(s),
      }),
  ),
  CreateLoadBalancer: elb(
    (s) =>
      new CreateLoadBalancerCommand({
        ...{ Name: "drover-doctor", Type: "network", Scheme: "internal", Subnets: [absentSubjects.subnetId] },
        Tags: tags(s),
      }),
  ),
  CreateRule: elb(
    (s) =>
      new CreateRuleCommand({
        ...{ ListenerArn: ListenerArn(s), Priority: 1, Actions: forward(s), Tags: tags(s) },
        Conditions: [{ Field: "path-pattern", Values: ["/drover-doctor"] }],
      }),
  ),
  DeleteListener: elb((s) => new DeleteListenerCommand({ ListenerArn: ListenerArn(s) })),
  DeleteLoadBalancer: elb((s) => new DeleteLoadBalancerCommand({ LoadBalancerArn: LoadBalancerArn(s) })),
  DeleteRule: elb((s) => new DeleteRuleCommand({ RuleArn: RuleArn(s) })),
  DeleteTargetGroup: elb((s) => new DeleteTargetGroupCommand({ TargetGroupArn: TargetGroupArn(s) })),
  DeregisterTargets: elb(
    (s) => new DeregisterTargetsCommand({ TargetGroupArn: TargetGroupArn(s), Targets: targets(s) }),
  ),
  ModifyListener: elb((s) => new ModifyListenerCommand({ ListenerArn: ListenerArn(s), DefaultActions: forward(s) })),
  ModifyLoadBalancerAttributes: elb(
    (s) =>
      new ModifyLoadBalancerAttributesCommand({
        LoadBalancerArn: LoadBalancerArn(s),
        Attributes: [{ Key: "deletion_protection.enabled", Value: "false" }],
      }),
  ),
  ModifyRule: elb((s) => new ModifyRuleCommand({ RuleArn: RuleArn(s), Actions: forward(s) })),
  ModifyTargetGroup: elb(
    (s) => new ModifyTargetGroupCommand({ TargetGroupArn: TargetGroupArn(s), HealthCheckIntervalSeconds: 10 }),
  ),
  ModifyTargetGroupAttributes: elb(
    (s) =>
      new ModifyTargetGroupAttributesCommand({
        TargetGroupArn: TargetGroupArn(s),
        Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: "30" }],
      }),
  ),
  RegisterTargets: elb((s) => new RegisterTargetsCommand({ TargetGroupArn: TargetGroupArn(s), Targets: targets(s) })),
  RemoveListenerCertificates: elb(
    (s) => new RemoveListenerCertificatesCommand({ ListenerArn: ListenerArn(s), Certificates: certificates(s) }),
  ),
  SetIpAddressType: elb(
    (s) => new SetIpAddressTypeCommand({ LoadBalancerArn: LoadBalancerArn(s), IpAddressType: "ipv4" }),
  ),
  SetRulePriorities: elb(
    (s) => new SetRulePrioritiesCommand({ RulePriorities: [{ RuleArn: RuleArn(s), Priority: 1 }] }),
  ),
  SetSecurityGroups: elb(
    (s) =>
      new SetSecurityGroupsCommand({
        LoadBalancerArn: LoadBalancerArn(s),
        SecurityGroups: [absentSubjects.securityGroupId],
      }),
  ),
  SetSubnets: elb(
    (s) => new SetSubnetsCommand({ LoadBalancerArn: LoadBalancerArn(s), Subnets: [absentSubjects.subnetId] }),
  ),
};

const VpcRegion = ({ region }: Subjects) => region as VPCRegion;

/** `CreateHostedZone` is about a VPC that there is not, `ChangeResourceRecordSets` deletes a name that there is not. */
export const nameProbes: Readonly<Record<string, Probe>> = {
  ChangeResourceRecordSets: (send, { hostedZoneId: HostedZoneId }) => {
    const ResourceRecords = [{ Value: '"tried only"' }];
    const ResourceRecordSet = { Name: "drover-doctor.invalid", Type: "TXT" as const, TTL: 1, ResourceRecords };
    const Changes = [{ Action: "DELETE" as const, ResourceRecordSet }];
    return send("route53", new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes } }));
  },
  GetHostedZone: (send, { hostedZoneId: Id }) => send("route53", new GetHostedZoneCommand({ Id })),
  GetChange: (send) => send("route53", new GetChangeCommand({ Id: "C000000000DOCTOR" })),
  ListHostedZonesByVPC: (send, s) =>
    send("route53", new ListHostedZonesByVPCCommand({ VPCId: s.vpcId, VPCRegion: VpcRegion(s) })),
  ListResourceRecordSets: (send, { hostedZoneId: HostedZoneId }) =>
    send("route53", new ListResourceRecordSetsCommand({ HostedZoneId, MaxItems: 1 })),
  ListTagsForResource: (send, { hostedZoneId: ResourceId }) =>
    send("route53", new ListTagsForResourceCommand({ ResourceType: "hostedzone", ResourceId })),
  CreateHostedZone: (send, s) =>
    send(
      "route53",
      new CreateHostedZoneCommand({
        ...{ Name: "drover-doctor.invalid", CallerReference: "drover-doctor" },
        VPC: { VPCId: absentSubjects.vpcId, VPCRegion: VpcRegion(s) },
        HostedZoneConfig: { PrivateZone: true },
      }),
    ),
  DeleteHostedZone: (send) => send("route53", new DeleteHostedZoneCommand({ Id: absentSubjects.hostedZoneId })),
  ChangeTagsForResource: (send, s) =>
    send(
      "route53",
      new ChangeTagsForResourceCommand({
        ResourceType: "hostedzone",
        ResourceId: absentSubjects.hostedZoneId,
        AddTags: tags(s),
      }),
    ),
};
