import type {
  CreateTagsRequest,
  DeleteTagsRequest,
  DescribeTagsRequest,
  DescribeTagsResult,
  TagDescription,
} from "@aws-sdk/client-ec2";
import { AwsError } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { pageOf } from "./paging.ts";
import { addTags, type Tags } from "./tags.ts";
import type { AwsWorld } from "./world.ts";

/** CreateTags takes so many resources at once. */
const resourcesMax = 1_000;

type Kind = { kind: string; code: string; what: string; things: ReadonlyMap<string, { tags: Tags }> };

/** What can be tagged, by the prefix of its id. */
const kindsOf = (world: AwsWorld): Readonly<Record<string, Kind>> => ({
  i: { kind: "instance", code: "InvalidInstanceID.NotFound", what: "instance ID", things: world.instances },
  lt: {
    kind: "launch-template",
    code: "InvalidLaunchTemplateId.NotFound",
    what: "launch template ID",
    things: world.launchTemplates,
  },
  sg: { kind: "security-group", code: "InvalidGroup.NotFound", what: "security group", things: world.securityGroups },
  subnet: { kind: "subnet", code: "InvalidSubnetID.NotFound", what: "subnet ID", things: world.subnets },
  vol: { kind: "volume", code: "InvalidVolume.NotFound", what: "volume", things: world.volumes },
  vpc: { kind: "vpc", code: "InvalidVpcID.NotFound", what: "vpc ID", things: world.vpcs },
});

function tagsOf(world: AwsWorld, id: string): Tags {
  const kind = kindsOf(world)[id.slice(0, id.lastIndexOf("-"))];
  if (kind === undefined) throw new AwsError("InvalidID", `The ID '${id}' is not valid`);
  const thing = kind.things.get(id);
  if (thing === undefined) throw new AwsError(kind.code, `The ${kind.what} '${id}' does not exist`);
  return thing.tags;
}

export function createTags(world: AwsWorld, { Resources: ids = [], Tags: tags = [] }: CreateTagsRequest): object {
  if (ids.length > resourcesMax) {
    throw new AwsError("InvalidParameterValue", `The maximum number of resources is ${resourcesMax}.`);
  }
  for (const found of ids.map((id) => tagsOf(world, id))) addTags(found, tags);
  return {};
}

/** A tag that is named with a value goes only if it has that value. */
export function deleteTags(world: AwsWorld, { Resources: ids = [], Tags: tags }: DeleteTagsRequest): object {
  for (const found of ids.map((id) => tagsOf(world, id))) {
    if (tags === undefined) found.clear();
    for (const { Key: key = "", Value: value } of tags ?? []) {
      if (value === undefined || found.get(key) === value) found.delete(key);
    }
  }
  return {};
}

type Row = { serial: number; id: string; kind: string; key: string; value: string };
const fields: Fields<Row & { tags?: never }> = {
  "resource-id": ({ id }) => [id],
  "resource-type": ({ kind }) => [kind],
  key: ({ key }) => [key],
  value: ({ value }) => [value],
};

export function describeTags(world: AwsWorld, input: DescribeTagsRequest): DescribeTagsResult {
  const rows = Object.values(kindsOf(world)).flatMap(({ kind, things }) =>
    [...things].flatMap(([id, { tags }]) => [...tags].map(([key, value]) => ({ id, kind, key, value }))),
  );
  const found = rows.map((row, serial) => ({ ...row, serial })).filter(matcher(input.Filters, fields));
  const { page, next } = pageOf(found, Math.min(1_000, input.MaxResults ?? 1_000), input.NextToken);
  return {
    Tags: page.map(({ id, kind, key, value }) => ({
      ResourceId: id,
      ResourceType: kind as NonNullable<TagDescription["ResourceType"]>,
      Key: key,
      Value: value,
    })),
    NextToken: next,
  };
}
