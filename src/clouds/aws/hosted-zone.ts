import {
  ChangeTagsForResourceCommand,
  CreateHostedZoneCommand,
  DeleteHostedZoneCommand,
  GetHostedZoneCommand,
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

/** `isOurs`: of this cluster, so that its SOA may be changed too. `isMade`: nobody else ends it. */
export type Zone = { id: string; isOurs: boolean; isMade: boolean };

/** How long resolvers may remember that a name does not exist: a Pod may ask before its Service is there. */
export const absenceTtlSeconds = 5;

const plainId = (id = ""): string => id.replace(/^\/hostedzone\//, "");

/**
 * The private zone that the VPC's resolver answers the domain from. Without `createZone` nothing is made or tagged.
 * @throws CLOUD_INVALID: there is none, or it is another cluster's
 */
export async function findZone(options: ZoneOptions, signal?: AbortSignal): Promise<Zone> {
  const { cluster, domain, vpcId, createZone = false } = options;
  const id = (await idOf(options, signal)) ?? (createZone ? await create(options, signal) : undefined);
  if (id === undefined) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The VPC ${vpcId} has no private hosted zone ${domain}: ` +
        "`drover serve --create-zone` makes it, as does the Terraform module in infra/; --domain names another.",
      { domain },
    );
  }
  const { owner, isTagged, isKept } = await ownerOf(options, id, signal);
  if (owner !== undefined && owner !== cluster) {
    throw new DroverError(
      "CLOUD_INVALID",
      `The private hosted zone ${domain} (${id}) belongs to the cluster ${owner}: give this one another --domain.`,
      { domain },
    );
  }
  const isOurs = owner === cluster;
  if (isOurs && !isTagged && createZone) await putTags(options, id, signal);
  return { id, isOurs, isMade: isOurs && !isKept };
}

/** Whose zone it is: by its tag, else by what it was made with, since drover may have ended between the two. */
async function ownerOf({ send }: ZoneOptions, Id: string, signal?: AbortSignal) {
  const command = new ListTagsForResourceCommand({ ResourceType: "hostedzone", ResourceId: Id });
  const tags = tagsOf((await send("route53", command, { signal })).ResourceTagSet?.Tags);
  const { [clusterTag]: owner, [keptByTag]: keeper } = tags;
  const isKept = keeper !== undefined;
  if (owner !== undefined || isKept) return { owner, isTagged: true, isKept };
  const { HostedZone } = await send("route53", new GetHostedZoneCommand({ Id }), { signal });
  return { owner: makerIn(HostedZone?.CallerReference), isTagged: false, isKept };
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

const callerReference = (cluster: string, wallMs: number): string => `drover-${cluster}-${wallMs}`;
/** The cluster that made a zone with this reference. */
const makerIn = (reference = ""): string | undefined => /^drover-(.+)-\d+$/.exec(reference)?.[1];

/** What comes of a call whose answer was lost, or of another's that was quicker, is there already. */
async function create(options: ZoneOptions, signal?: AbortSignal): Promise<string> {
  const { send, clock, cluster, domain, vpcId, region } = options;
  const command = new CreateHostedZoneCommand({
    Name: domain,
    VPC: { VPCId: vpcId, VPCRegion: region as VPCRegion },
    CallerReference: callerReference(cluster, clock.wallMs()),
    HostedZoneConfig: { PrivateZone: true, Comment: `Names of drover's cluster ${cluster}` },
  });
  try {
    return plainId((await send("route53", command, { signal })).HostedZone?.Id);
  } catch (error) {
    const present = isKind(error, "exists") ? await idOf(options, signal) : undefined;
    if (present === undefined) throw error;
    return present;
  }
}

async function putTags({ send, cluster, tags = {} }: ZoneOptions, ResourceId: string, signal?: AbortSignal) {
  const AddTags = tagList({ ...tags, [clusterTag]: cluster });
  const command = new ChangeTagsForResourceCommand({ ResourceType: "hostedzone", ResourceId, AddTags });
  await send("route53", command, { signal });
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
