import { getCallerIdentity, getParameter, getProducts, getServiceQuota, listServiceQuotas } from "./account.ts";
import { attachVolume, detachVolume } from "./attachments.ts";
import type { Service } from "./calls.ts";
import { describeCertificate, listCertificates } from "./certificates.ts";
import { getConsoleOutput } from "./console.ts";
import {
  describeLoadBalancerAttributes,
  describeTargetGroupAttributes,
  modifyLoadBalancerAttributes,
  modifyTargetGroupAttributes,
} from "./elb-attributes.ts";
import { addTags, describeTags as describeElbTags, removeTags } from "./elb-tags.ts";
import {
  changeTagsForResource,
  createHostedZone,
  deleteHostedZone,
  getHostedZone,
  listHostedZonesByVpc,
  listTagsForResource,
} from "./hosted-zones.ts";
import { describeImages } from "./images.ts";
import { describeInstanceTypeOfferings, describeInstanceTypes, describeSpotPriceHistory } from "./instance-types.ts";
import { describeInstances, terminateInstances } from "./instances.ts";
import {
  createLaunchTemplate,
  createLaunchTemplateVersion,
  deleteLaunchTemplate,
  describeLaunchTemplates,
  describeLaunchTemplateVersions,
  modifyLaunchTemplate,
} from "./launch-templates.ts";
import {
  addListenerCertificates,
  describeListenerCertificates,
  removeListenerCertificates,
} from "./listener-certificates.ts";
import { createListener, deleteListener, describeListeners, modifyListener } from "./listeners.ts";
import {
  createLoadBalancer,
  deleteLoadBalancer,
  describeLoadBalancers,
  setIpAddressType,
  setSecurityGroups,
  setSubnets,
} from "./load-balancers.ts";
import { describeAvailabilityZones, describeRouteTables, describeSubnets, describeVpcs } from "./networks.ts";
import { changeRecords, getChange, listRecords } from "./records.ts";
import { createTags, deleteTags, describeTags } from "./resource-tags.ts";
import { createRule, deleteRule, describeRules, modifyRule, setRulePriorities } from "./rules.ts";
import { runInstances } from "./run-instances.ts";
import {
  authorizeEgress,
  authorizeIngress,
  createSecurityGroup,
  deleteSecurityGroup,
  describeSecurityGroupRules,
  describeSecurityGroups,
  revokeEgress,
  revokeIngress,
} from "./security-groups.ts";
import { createTargetGroup, deleteTargetGroup, describeTargetGroups, modifyTargetGroup } from "./target-groups.ts";
import { deregisterTargets, describeTargetHealth, registerTargets } from "./target-health.ts";
import { createVolume, deleteVolume, describeVolumes, modifyVolume } from "./volumes.ts";
import { associateWebAcl, disassociateWebAcl, getWebAclForResource } from "./web-acls.ts";
import type { AwsWorld } from "./world.ts";

/** The work of one command, done in no time. Reads show the world as it was at `seenAtMs`. */
export type Handler = (world: AwsWorld, input: never, seenAtMs: number) => object;

/** By service and by the command's name. */
export const handlers: Readonly<Record<Service, Readonly<Record<string, Handler>>>> = {
  ec2: {
    AttachVolume: attachVolume,
    CreateVolume: createVolume,
    DeleteVolume: deleteVolume,
    DescribeVolumes: describeVolumes,
    DetachVolume: detachVolume,
    ModifyVolume: modifyVolume,
    AuthorizeSecurityGroupEgress: authorizeEgress,
    AuthorizeSecurityGroupIngress: authorizeIngress,
    CreateLaunchTemplate: createLaunchTemplate,
    CreateLaunchTemplateVersion: createLaunchTemplateVersion,
    CreateSecurityGroup: createSecurityGroup,
    CreateTags: createTags,
    DeleteLaunchTemplate: deleteLaunchTemplate,
    DeleteSecurityGroup: deleteSecurityGroup,
    DeleteTags: deleteTags,
    DescribeAvailabilityZones: describeAvailabilityZones,
    DescribeImages: describeImages,
    DescribeInstances: describeInstances,
    DescribeInstanceTypeOfferings: describeInstanceTypeOfferings,
    DescribeInstanceTypes: describeInstanceTypes,
    DescribeLaunchTemplates: describeLaunchTemplates,
    DescribeLaunchTemplateVersions: describeLaunchTemplateVersions,
    DescribeRouteTables: describeRouteTables,
    DescribeSecurityGroupRules: describeSecurityGroupRules,
    DescribeSecurityGroups: describeSecurityGroups,
    DescribeSpotPriceHistory: describeSpotPriceHistory,
    DescribeSubnets: describeSubnets,
    DescribeTags: describeTags,
    DescribeVpcs: describeVpcs,
    GetConsoleOutput: getConsoleOutput,
    ModifyLaunchTemplate: modifyLaunchTemplate,
    RevokeSecurityGroupEgress: revokeEgress,
    RevokeSecurityGroupIngress: revokeIngress,
    RunInstances: runInstances,
    TerminateInstances: terminateInstances,
  },
  elb: {
    AddListenerCertificates: addListenerCertificates,
    AddTags: addTags,
    CreateListener: createListener,
    CreateLoadBalancer: createLoadBalancer,
    CreateRule: createRule,
    CreateTargetGroup: createTargetGroup,
    DeleteListener: deleteListener,
    DeleteLoadBalancer: deleteLoadBalancer,
    DeleteRule: deleteRule,
    DeleteTargetGroup: deleteTargetGroup,
    DeregisterTargets: deregisterTargets,
    DescribeListenerCertificates: describeListenerCertificates,
    DescribeListeners: describeListeners,
    DescribeLoadBalancerAttributes: describeLoadBalancerAttributes,
    DescribeLoadBalancers: describeLoadBalancers,
    DescribeRules: describeRules,
    DescribeTags: describeElbTags,
    DescribeTargetGroupAttributes: describeTargetGroupAttributes,
    DescribeTargetGroups: describeTargetGroups,
    DescribeTargetHealth: describeTargetHealth,
    ModifyListener: modifyListener,
    ModifyLoadBalancerAttributes: modifyLoadBalancerAttributes,
    ModifyRule: modifyRule,
    ModifyTargetGroup: modifyTargetGroup,
    ModifyTargetGroupAttributes: modifyTargetGroupAttributes,
    RegisterTargets: registerTargets,
    RemoveListenerCertificates: removeListenerCertificates,
    RemoveTags: removeTags,
    SetIpAddressType: setIpAddressType,
    SetRulePriorities: setRulePriorities,
    SetSecurityGroups: setSecurityGroups,
    SetSubnets: setSubnets,
  },
  route53: {
    ChangeResourceRecordSets: changeRecords,
    ChangeTagsForResource: changeTagsForResource,
    CreateHostedZone: createHostedZone,
    DeleteHostedZone: deleteHostedZone,
    GetChange: getChange,
    GetHostedZone: getHostedZone,
    ListHostedZonesByVPC: listHostedZonesByVpc,
    ListResourceRecordSets: listRecords,
    ListTagsForResource: listTagsForResource,
  },
  ssm: { GetParameter: getParameter },
  pricing: { GetProducts: getProducts },
  quotas: { GetServiceQuota: getServiceQuota, ListServiceQuotas: listServiceQuotas },
  sts: { GetCallerIdentity: getCallerIdentity },
  acm: { DescribeCertificate: describeCertificate, ListCertificates: listCertificates },
  wafv2: {
    AssociateWebACL: associateWebAcl,
    DisassociateWebACL: disassociateWebAcl,
    GetWebACLForResource: getWebAclForResource,
  },
};
