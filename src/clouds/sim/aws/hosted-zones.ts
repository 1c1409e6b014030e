import type {
  ChangeTagsForResourceRequest,
  ChangeTagsForResourceResponse,
  CreateHostedZoneRequest,
  CreateHostedZoneResponse,
  DeleteHostedZoneRequest,
  DeleteHostedZoneResponse,
  GetHostedZoneRequest,
  GetHostedZoneResponse,
  ListHostedZonesByVPCRequest,
  ListHostedZonesByVPCResponse,
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  ResourceRecordSet,
  HostedZone as Shown,
} from "@aws-sdk/client-route-53";
import { dateOf } from "../../../base/clock.ts";
import { AwsError } from "./errors.ts";
import { draw } from "./latencies.ts";
import { pageOf } from "./paging.ts";
import { addTags, shownTags, type Tags } from "./tags.ts";
import type { AwsWorld, Resource } from "./world.ts";

/** A private zone of one network. */
export type HostedZone = Resource & {
  /** `Z…`, without `/hostedzone/`. */
  id: string;
  /** With the dot at the end. */
  name: string;
  vpcId: string;
  callerReference: string;
  comment?: string;
  /** By name and type. */
  records: Map<string, ResourceRecordSet>;
  /** While one batch is being taken in, another one is refused. */
  busyUntilMs: number;
  tags: Tags;
};

/** A submitted change is in sync from a moment on. */
export type ZoneChange = { id: string; submittedWallMs: number; inSyncAtMs: number };

export const dotted = (name: string): string => `${name.replace(/\.$/, "").toLowerCase()}.`;
export const recordKey = ({ Name = "", Type, SetIdentifier = "" }: ResourceRecordSet): string =>
  `${dotted(Name)} ${Type} ${SetIdentifier}`;

export function zoneOf(world: AwsWorld, given: string | undefined): HostedZone {
  const id = (given ?? "").replace(/^\/hostedzone\//, "");
  const zone = world.hostedZones.get(id);
  if (zone === undefined) throw new AwsError("NoSuchHostedZone", `No hosted zone found with ID: ${id}`);
  return zone;
}

type NewZone = Pick<HostedZone, "name" | "vpcId" | "callerReference"> & { comment?: string };

export function makeZone(world: AwsWorld, { name, ...facts }: NewZone): HostedZone {
  const id = `Z${world.id("", 20).slice(1).toUpperCase()}`;
  const own: ResourceRecordSet[] = [
    { Name: name, Type: "NS", TTL: 172_800, ResourceRecords: [{ Value: "ns-0.awsdns-00.com." }] },
    {
      Name: name,
      Type: "SOA",
      TTL: 900,
      ResourceRecords: [{ Value: "ns-0.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400" }],
    },
  ];
  const records = new Map(own.map((set) => [recordKey(set), set]));
  const zone: HostedZone = { ...world.made(), id, name, ...facts, records, busyUntilMs: 0, tags: new Map() };
  world.hostedZones.set(id, zone);
  return zone;
}

export function submit(world: AwsWorld) {
  const change: ZoneChange = {
    id: `C${world.id("", 20).slice(1).toUpperCase()}`,
    submittedWallMs: world.clock.wallMs(),
    inSyncAtMs: world.nowMs() + draw(world.random, world.latencies.changeInSync),
  };
  world.zoneChanges.set(change.id, change);
  return shownChange(change, world.nowMs());
}

export const shownChange = ({ id, submittedWallMs, inSyncAtMs }: ZoneChange, atMs: number) => ({
  Id: `/change/${id}`,
  Status: atMs >= inSyncAtMs ? ("INSYNC" as const) : ("PENDING" as const),
  SubmittedAt: dateOf(submittedWallMs),
});

export function createHostedZone(world: AwsWorld, input: CreateHostedZoneRequest): CreateHostedZoneResponse {
  const { CallerReference: callerReference = "", VPC: vpc, HostedZoneConfig: config } = input;
  const name = dotted(input.Name ?? "");
  const vpcId = vpc?.VPCId;
  if (vpcId === undefined) throw new AwsError("InvalidInput", "The fake makes private hosted zones only: give a VPC");
  if (!world.vpcs.has(vpcId)) throw new AwsError("InvalidVPCId", `The VPC: ${vpcId} you provided does not exist.`);
  const zones = [...world.hostedZones.values()];
  if (zones.some((other) => other.callerReference === callerReference)) {
    throw new AwsError(
      "HostedZoneAlreadyExists",
      `A hosted zone has already been created with the specified caller reference: ${callerReference}`,
    );
  }
  const same = zones.find((other) => other.vpcId === vpcId && other.name === name);
  if (same !== undefined) {
    throw new AwsError(
      "ConflictingDomainExists",
      `The VPC ${vpcId} in region ${world.account.region} has already been associated with the hosted zone ${same.id} with the same domain name.`,
    );
  }
  const comment = config?.Comment;
  const zone = makeZone(world, { name, vpcId, callerReference, ...(comment !== undefined && { comment }) });
  return {
    HostedZone: shown(zone),
    ChangeInfo: submit(world),
    VPC: { VPCId: vpcId, VPCRegion: vpc?.VPCRegion },
    Location: `https://route53.amazonaws.com/2013-04-01/hostedzone/${zone.id}`,
  } as CreateHostedZoneResponse;
}

const shown = (zone: HostedZone): Shown => ({
  Id: `/hostedzone/${zone.id}`,
  Name: zone.name,
  CallerReference: zone.callerReference,
  Config: { PrivateZone: true, ...(zone.comment !== undefined && { Comment: zone.comment }) },
  ResourceRecordSetCount: zone.records.size,
});

export function getHostedZone(world: AwsWorld, { Id }: GetHostedZoneRequest): GetHostedZoneResponse {
  const zone = zoneOf(world, Id);
  return { HostedZone: shown(zone), VPCs: [{ VPCId: zone.vpcId }] };
}

export function deleteHostedZone(world: AwsWorld, { Id }: DeleteHostedZoneRequest): DeleteHostedZoneResponse {
  const zone = zoneOf(world, Id);
  if (zone.records.size > 2) {
    throw new AwsError(
      "HostedZoneNotEmpty",
      "The specified hosted zone contains non-required resource record sets and so cannot be deleted.",
    );
  }
  world.hostedZones.delete(zone.id);
  return { ChangeInfo: submit(world) };
}

export function listHostedZonesByVpc(
  world: AwsWorld,
  input: ListHostedZonesByVPCRequest,
): ListHostedZonesByVPCResponse {
  const size = input.MaxItems ?? 100;
  const zones = [...world.hostedZones.values()].filter(({ vpcId }) => vpcId === input.VPCId);
  const { page, next } = pageOf(zones, size, input.NextToken);
  return {
    HostedZoneSummaries: page.map(({ id, name }) => ({
      HostedZoneId: id,
      Name: name,
      Owner: { OwningAccount: world.account.id },
    })),
    MaxItems: size,
    ...(next !== undefined && { NextToken: next }),
  };
}

export function changeTagsForResource(
  world: AwsWorld,
  input: ChangeTagsForResourceRequest,
): ChangeTagsForResourceResponse {
  const { tags } = zoneOf(world, input.ResourceId);
  addTags(tags, input.AddTags ?? []);
  for (const key of input.RemoveTagKeys ?? []) tags.delete(key);
  return {};
}

export function listTagsForResource(world: AwsWorld, input: ListTagsForResourceRequest): ListTagsForResourceResponse {
  const { tags } = zoneOf(world, input.ResourceId);
  return { ResourceTagSet: { ResourceType: "hostedzone", ResourceId: input.ResourceId, Tags: shownTags(tags) } };
}
