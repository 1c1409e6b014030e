import {
  AttachVolumeCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  CreateVolumeCommand,
  DeleteLaunchTemplateCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeLaunchTemplatesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSpotPriceHistoryCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  DetachVolumeCommand,
  GetConsoleOutputCommand,
  ModifyVolumeCommand,
  type ResourceType,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { GetProductsCommand } from "@aws-sdk/client-pricing";
import { ListServiceQuotasCommand } from "@aws-sdk/client-service-quotas";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import type { Send } from "./api.ts";
import { clusterTag, tagList } from "./tags.ts";

/** What the calls are tried on: the cluster's own where it has made some, else names that nothing has. */
export type Subjects = {
  cluster: string;
  region: string;
  partition: string;
  account: string;
  vpcId: string;
  subnetId: string;
  zone: string;
  hostedZoneId: string;
  instanceId: string;
  securityGroupId: string;
  launchTemplateId: string;
  volumeId: string;
  imageId: string;
};

/** One call that shows whether an action is permitted and changes nothing. */
export type Probe = (send: Send, subjects: Subjects) => Promise<unknown>;

export const absentSubjects = {
  vpcId: "vpc-0d0c0000000000000",
  subnetId: "subnet-0d0c0000000000000",
  hostedZoneId: "Z000000000DOCTOR",
  instanceId: "i-0d0c0000000000000",
  securityGroupId: "sg-0d0c0000000000000",
  launchTemplateId: "lt-0d0c0000000000000",
  volumeId: "vol-0d0c0000000000000",
  imageId: "ami-0d0c0000000000000",
} as const;

const DryRun = true;
const name = "drover-doctor";
/** A machine image that every account may see. */
export const imageParameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

const tagSpecifications = (cluster: string, ...types: readonly ResourceType[]) =>
  types.map((ResourceType) => ({ ResourceType, Tags: tagList({ [clusterTag]: cluster }) }));

const rule = { IpPermissions: [{ IpProtocol: "tcp", FromPort: 9, ToPort: 9, IpRanges: [{ CidrIp: "192.0.2.1/32" }] }] };
const launch = ({ cluster, subnetId, imageId }: Subjects) => ({
  ...{ DryRun, MinCount: 1, MaxCount: 1, SubnetId: subnetId, ImageId: imageId },
  InstanceType: "t3.micro" as const,
  TagSpecifications: tagSpecifications(cluster, "instance", "volume", "network-interface"),
});
const group = ({ cluster, vpcId }: Subjects) =>
  new CreateSecurityGroupCommand({
    ...{ DryRun, GroupName: name, Description: "Tried only", VpcId: vpcId },
    TagSpecifications: tagSpecifications(cluster, "security-group"),
  });

/** EC2 and the small services: reads, and calls that EC2 only tries. */
export const computeProbes: Readonly<Record<string, Probe>> = {
  "ec2:DescribeImages": (send) => send("ec2", new DescribeImagesCommand({ DryRun, Owners: ["self"] })),
  "ec2:DescribeInstances": (send) => send("ec2", new DescribeInstancesCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeInstanceTypeOfferings": (send) =>
    send("ec2", new DescribeInstanceTypeOfferingsCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeInstanceTypes": (send) => send("ec2", new DescribeInstanceTypesCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeLaunchTemplates": (send) => send("ec2", new DescribeLaunchTemplatesCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeRouteTables": (send) => send("ec2", new DescribeRouteTablesCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeSecurityGroups": (send) => send("ec2", new DescribeSecurityGroupsCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeSpotPriceHistory": (send) =>
    send("ec2", new DescribeSpotPriceHistoryCommand({ DryRun, InstanceTypes: ["t3.micro"], MaxResults: 5 })),
  "ec2:DescribeSubnets": (send) => send("ec2", new DescribeSubnetsCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeVolumes": (send) => send("ec2", new DescribeVolumesCommand({ DryRun, MaxResults: 5 })),
  "ec2:DescribeVpcs": (send) => send("ec2", new DescribeVpcsCommand({ DryRun, MaxResults: 5 })),
  "ec2:GetConsoleOutput": (send, { instanceId: InstanceId }) =>
    send("ec2", new GetConsoleOutputCommand({ DryRun, InstanceId })),
  "ec2:RunInstances": (send, subjects) => send("ec2", new RunInstancesCommand(launch(subjects))),
  "iam:PassRole": (send, subjects) =>
    send("ec2", new RunInstancesCommand({ ...launch(subjects), IamInstanceProfile: { Name: `drover-pod-${name}` } })),
  "ec2:TerminateInstances": (send, { instanceId }) =>
    send("ec2", new TerminateInstancesCommand({ DryRun, InstanceIds: [instanceId] })),
  "ec2:CreateLaunchTemplate": (send, { cluster }) =>
    send(
      "ec2",
      new CreateLaunchTemplateCommand({
        ...{ DryRun, LaunchTemplateName: name, LaunchTemplateData: { InstanceType: "t3.micro" } },
        TagSpecifications: tagSpecifications(cluster, "launch-template"),
      }),
    ),
  "ec2:DeleteLaunchTemplate": (send, { launchTemplateId: LaunchTemplateId }) =>
    send("ec2", new DeleteLaunchTemplateCommand({ DryRun, LaunchTemplateId })),
  "ec2:CreateSecurityGroup": (send, subjects) => send("ec2", group(subjects)),
  // Tagging is asked for by what makes things.
  "ec2:CreateTags": (send, subjects) => send("ec2", group(subjects)),
  "ec2:DeleteTags": (send, { securityGroupId }) =>
    send("ec2", new DeleteTagsCommand({ DryRun, Resources: [securityGroupId], Tags: [{ Key: name }] })),
  "ec2:DeleteSecurityGroup": (send, { securityGroupId: GroupId }) =>
    send("ec2", new DeleteSecurityGroupCommand({ DryRun, GroupId })),
  "ec2:AuthorizeSecurityGroupIngress": (send, { securityGroupId: GroupId }) =>
    send("ec2", new AuthorizeSecurityGroupIngressCommand({ DryRun, GroupId, ...rule })),
  "ec2:RevokeSecurityGroupIngress": (send, { securityGroupId: GroupId }) =>
    send("ec2", new RevokeSecurityGroupIngressCommand({ DryRun, GroupId, ...rule })),
  "ec2:CreateVolume": (send, { cluster, zone: AvailabilityZone }) =>
    send(
      "ec2",
      new CreateVolumeCommand({
        ...{ DryRun, AvailabilityZone, Size: 1, VolumeType: "gp3" },
        TagSpecifications: tagSpecifications(cluster, "volume"),
      }),
    ),
  "ec2:AttachVolume": (send, { volumeId: VolumeId, instanceId: InstanceId }) =>
    send("ec2", new AttachVolumeCommand({ DryRun, VolumeId, InstanceId, Device: "/dev/sdf" })),
  "ec2:DetachVolume": (send, { volumeId: VolumeId }) => send("ec2", new DetachVolumeCommand({ DryRun, VolumeId })),
  "ec2:ModifyVolume": (send, { volumeId: VolumeId }) =>
    send("ec2", new ModifyVolumeCommand({ DryRun, VolumeId, Size: 16_384 })),
  "ec2:DeleteVolume": (send, { volumeId: VolumeId }) => send("ec2", new DeleteVolumeCommand({ DryRun, VolumeId })),
  "pricing:GetProducts": (send) => send("pricing", new GetProductsCommand({ ServiceCode: "AmazonEC2", MaxResults: 1 })),
  "servicequotas:ListServiceQuotas": (send) =>
    send("quotas", new ListServiceQuotasCommand({ ServiceCode: "ec2", MaxResults: 1 })),
  "ssm:GetParameter": (send) => send("ssm", new GetParameterCommand({ Name: imageParameter })),
  "sts:GetCallerIdentity": (send) => send("sts", new GetCallerIdentityCommand({})),
};
