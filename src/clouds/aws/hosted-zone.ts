import {
  ChangeTagsForResourceCommand,
  CreateHostedZoneCommand,
  DeleteHostedZoneCommand,
  ListHostedZonesByVPCCommand,
  ListResourceRecordSetsCommand,
  ListTagsForResourceCommand,
  type ResourceRecordSet,
  type VPCRegion,
} from "@aws-sdk/client-route-53";
import type { Clock } from "../../base/clock.ts";
import { DroverError, isCode } from "../../base/errors.ts";
import type { Send } from "./api.ts";
import { awsCodeOf, isKind } from "./errors.ts";
import type { Networks } from "./network.ts";
import { allPages } from "./pages.ts";
import { plainName, type ZoneRecords } from "./record-changes.ts";
import { clusterTag, keptByTag, type Tags, tagList, tagsOf } from "./tags.ts";

export type ZoneOptions = {
  send: Send;
  clock: Clock;
  cluster: string;
  /** `cluster.local`. */
  domain: string;
  vpcId: string;
  region: string;
  /** Make the zone when the VPC has none of this name. Default: no. */
  createZone?: boolean;
  tags?: Tags;
};

/** `isOurs`: tagged with this cluster, so that its SOA may be changed too. `isMade`: nobody else ends it. */
export type Zone = { id: string; isOurs: boolean; isMade: boolean };

/** How long resolvers may remember that a name does not exist: a Pod may ask before its Service is there. */
export const absenceTtlSeconds = 5;

const plainId = (id = ""): string => id.replace(/^\/hostedzone\//, "");

/**
 * The private zone that the VPC's resolver answers the domain from.
 * @throws CLOUD_INVALID: there is none, or it is another cluster's
 */
export async function findZone(options: ZoneOptions, signal?: AbortSignal): Promise<Zone> {
  const { send, cluster, domain, vpcId, createZone = false } = options;
  const id = (await idOf(options, signal)) ?? (createZone ? await create(options, signal) : undefined);
  if (id === undefined) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The VPC ${vpcId} has no private hosted zone ${domain}: ` +
        "`drover serve --create-zone` makes it, as does the Terraform module in infra/; --domain names another.",
      { domain },
    );
  }
  const command = new ListTagsForResourceCommand({ ResourceType: "hostedzone", ResourceId: id });
  const tags = tagsOf((await send("route53", command, { signal })).ResourceTagSet?.Tags);
  const owner = tags[clusterTag];
  if (owner !== undefined && owner !== cluster) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The private hosted zone ${domain} (${id}) belongs to the cluster ${owner}: give this one another --domain.`,
      { domain },
    );
  }
  const isOurs = owner === cluster;
  return { id, isOurs, isMade: isOurs && tags[keptByTag] === undefined };
}

async function idOf({ send, domain, vpcId, region }: ZoneOptions, signal?: AbortSignal): Promise<string | undefined> {
  const VPCRegion = region as VPCRegion;
  const zones = await allPages(
    (NextToken) => send("route53", new ListHostedZonesByVPCCommand({ VPCId: vpcId, VPCRegion, NextToken }), { signal }),
    ({ HostedZoneSummaries }) => HostedZoneSummaries,
  );
  const zone = zones.find(({ Name = "" }) => plainName(Name) === domain);
  return zone && plainId(zone.HostedZoneId);
}

/** One that was made by a call whose answer was lost is found by the next look. */
async function create(options: ZoneOptions, signal?: AbortSignal): Promise<string> {
  const { send, clock, cluster, domain, vpcId, region, tags = {} } = options;
  const command = new CreateHostedZoneCommand({
    Name: domain,
    VPC: { VPCId: vpcId, VPCRegion: region as VPCRegion },
    CallerReference: `drover-${cluster}-${clock.wallMs()}`,
    HostedZoneConfig: { PrivateZone: true, Comment: `Names of drover's cluster ${cluster}` },
  });
  const id = plainId((await send("route53", command, { signal })).HostedZone?.Id);
  const AddTags = tagList({ ...tags, [clusterTag]: cluster });
  await send("route53", new ChangeTagsForResourceCommand({ ResourceType: "hostedzone", ResourceId: id, AddTags }), {
    signal,
  });
  return id;
}

/** The zone that was made for the cluster by `createZone`, if it is there. */
export async function findMadeZone(
  { networks, ...options }: Omit<ZoneOptions, "vpcId"> & { networks: Pick<Networks, "find"> },
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    const { vpcId } = await networks.find();
    const { id, isMade } = await findZone({ ...options, vpcId, createZone: false }, signal);
    return isMade ? id : undefined;
  } catch (error) {
    // Neither without a VPC nor without a zone, nor in another cluster's, was one made.
    if (isCode(error, "CLOUD_INVALID")) return undefined;
    throw error;
  }
}

/** Whether it has gone: with records that are not drover's it stays. */
export async function removeZone(send: Send, Id: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await send("route53", new DeleteHostedZoneCommand({ Id }), { signal });
  } catch (error) {
    if (awsCodeOf(error) === "HostedZoneNotEmpty") return false;
    if (!isKind(error, "absent")) throw error;
  }
  return true;
}

/** All record sets of a zone by name. */
export async function readRecords(send: Send, HostedZoneId: string, signal?: AbortSignal): Promise<ZoneRecords> {
  const zone = new Map<string, ResourceRecordSet[]>();
  let next: Partial<ResourceRecordSet> | undefined = {};
  while (next) {
    const command: ListResourceRecordSetsCommand = new ListResourceRecordSetsCommand({
      HostedZoneId,
      StartRecordName: next.Name,
      StartRecordType: next.Type,
      StartRecordIdentifier: next.SetIdentifier,
    });
    const page = await send("route53", command, { signal });
    for (const set of page.ResourceRecordSets ?? []) {
      const name = plainName(set.Name ?? "");
      zone.set(name, [...(zone.get(name) ?? []), set]);
    }
    const { NextRecordName: Name, NextRecordType: Type, NextRecordIdentifier: SetIdentifier } = page;
    const after: Partial<ResourceRecordSet> = { ...(Type && { Type }), Name, SetIdentifier };
    next = page.IsTruncated ? after : undefined;
  }
  return zone;
}
