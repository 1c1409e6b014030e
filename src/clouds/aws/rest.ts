import {
  DescribeLaunchTemplatesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
} from "@aws-sdk/client-ec2";
import type { Send } from "./api.ts";
import { isKept } from "./group-calls.ts";
import { allPages } from "./pages.ts";
import { onDemandUsdPerHour, shippedPrices, spotShare } from "./prices.ts";
import { clusterTag } from "./tags.ts";

/** What carries the cluster's tag beside machines, balancers and names. */
export type Rest = {
  /** Every EBS disk; `machineId`: whose it is now, root disks included. */
  disks: readonly { id: string; sizeGib: number; machineId?: string }[];
  launchTemplates: readonly string[];
  securityGroups: readonly string[];
};

export async function listRest(send: Send, cluster: string, signal?: AbortSignal): Promise<Rest> {
  const Filters = [{ Name: `tag:${clusterTag}`, Values: [cluster] }];
  const [volumes, templates, groups] = await Promise.all([
    allPages(
      (NextToken) => send("ec2", new DescribeVolumesCommand({ Filters, MaxResults: 500, NextToken }), { signal }),
      ({ Volumes }) => Volumes,
    ),
    allPages(
      (NextToken) => send("ec2", new DescribeLaunchTemplatesCommand({ Filters, NextToken }), { signal }),
      ({ LaunchTemplates }) => LaunchTemplates,
    ),
    allPages(
      (NextToken) => send("ec2", new DescribeSecurityGroupsCommand({ Filters, NextToken }), { signal }),
      ({ SecurityGroups }) => SecurityGroups,
    ),
  ]);
  const living = volumes.filter(({ State }) => State !== "deleting" && State !== "deleted");
  return {
    disks: living.map(({ VolumeId = "", Size = 0, Attachments = [] }) => {
      const machineId = Attachments.find(({ State }) => State !== "detached")?.InstanceId;
      return { id: VolumeId, sizeGib: Size, ...(machineId !== undefined && { machineId }) };
    }),
    launchTemplates: templates.map(({ LaunchTemplateName = "" }) => LaunchTemplateName).sort(),
    securityGroups: groups
      .filter((group) => !isKept(group))
      .map(({ GroupName = "" }) => GroupName)
      .sort(),
  };
}

/** What a machine costs by the prices that drover comes with; undefined: they don't know its type. */
export function usdPerHour(type: string, capacityType: "on-demand" | "spot" = "on-demand"): number | undefined {
  const onDemand = onDemandUsdPerHour(shippedPrices, type);
  return onDemand === undefined || capacityType === "on-demand" ? onDemand : onDemand * spotShare;
}
