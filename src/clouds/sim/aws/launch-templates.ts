import type {
  CreateLaunchTemplateRequest,
  CreateLaunchTemplateResult,
  CreateLaunchTemplateVersionRequest,
  CreateLaunchTemplateVersionResult,
  DeleteLaunchTemplateRequest,
  DeleteLaunchTemplateResult,
  DescribeLaunchTemplatesRequest,
  DescribeLaunchTemplatesResult,
  DescribeLaunchTemplateVersionsRequest,
  DescribeLaunchTemplateVersionsResult,
  LaunchTemplateSpecification,
  ModifyLaunchTemplateRequest,
  ModifyLaunchTemplateResult,
  RequestLaunchTemplateData,
  ResponseLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { AwsError, invalidValue } from "./errors.ts";
import { type Fields, matcher } from "./filters.ts";
import { pageOf } from "./paging.ts";
import { shownTags, type Tags, tagsFor } from "./tags.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

export type LaunchTemplate = Resource & {
  id: string;
  name: string;
  madeWallMs: number;
  /** The first version has number 1. */
  versions: RequestLaunchTemplateData[];
  defaultVersion: number;
  tags: Tags;
};

type Reference = { LaunchTemplateId?: string | undefined; LaunchTemplateName?: string | undefined };

/** @throws InvalidLaunchTemplateId.NotFound, InvalidLaunchTemplateName.NotFoundException */
function find(
  world: AwsWorld,
  { LaunchTemplateId: id, LaunchTemplateName: name }: Reference,
  atMs: number,
): LaunchTemplate {
  const seen = [...world.launchTemplates.values()].filter(visibleAt(atMs));
  if (id !== undefined) {
    const found = seen.find((template) => template.id === id);
    if (found !== undefined) return found;
    throw new AwsError(
      "InvalidLaunchTemplateId.NotFound",
      `The specified launch template, with template ID ${id}, does not exist.`,
    );
  }
  const found = seen.find((template) => template.name === name);
  if (found !== undefined) return found;
  throw new AwsError(
    "InvalidLaunchTemplateName.NotFoundException",
    `The specified launch template, with template name ${name}, does not exist.`,
  );
}

function versionNumber(template: LaunchTemplate, version: string | undefined): number {
  if (version === undefined || version === "$Default") return template.defaultVersion;
  const number = version === "$Latest" ? template.versions.length : Number(version);
  if (template.versions[number - 1] !== undefined) return number;
  throw new AwsError(
    "InvalidLaunchTemplateId.VersionNotFound",
    `Could not find the specified version ${version} for the launch template with ID ${template.id}.`,
  );
}

/** What a RunInstances takes from its launch template. */
export function templateData(world: AwsWorld, specification: LaunchTemplateSpecification, atMs: number) {
  const template = find(world, specification, atMs);
  const version = versionNumber(template, specification.Version);
  return { template, version, data: template.versions[version - 1] as RequestLaunchTemplateData };
}

export function createLaunchTemplate(world: AwsWorld, input: CreateLaunchTemplateRequest): CreateLaunchTemplateResult {
  const mismatch = () =>
    new AwsError(
      "IdempotentParameterMismatch",
      "Client token already used before but the request parameters don't match.",
    );
  return world.once("CreateLaunchTemplate", input.ClientToken, input, mismatch, () => {
    const { LaunchTemplateName: name = "", LaunchTemplateData: data = {} } = input;
    if (!/^[a-zA-Z0-9().\-/_]{3,125}$/.test(name))
      throw new AwsError(
        "InvalidLaunchTemplateName.MalformedException",
        `The launch template name ${name} is invalid.`,
      );
    if ([...world.launchTemplates.values()].some((other) => other.name === name))
      throw new AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.");
    const template: LaunchTemplate = {
      ...world.made(),
      id: world.id("lt"),
      name,
      madeWallMs: world.clock.wallMs(),
      versions: [data],
      defaultVersion: 1,
      tags: tagsFor(input.TagSpecifications, "launch-template"),
    };
    world.launchTemplates.set(template.id, template);
    return { LaunchTemplate: shown(template) };
  });
}

export function createLaunchTemplateVersion(
  world: AwsWorld,
  input: CreateLaunchTemplateVersionRequest,
  atMs: number,
): CreateLaunchTemplateVersionResult {
  const template = find(world, input, atMs);
  const source =
    input.SourceVersion === undefined ? {} : template.versions[versionNumber(template, input.SourceVersion) - 1];
  template.versions.push({ ...source, ...input.LaunchTemplateData });
  return { LaunchTemplateVersion: shownVersion(template, template.versions.length) };
}

export function modifyLaunchTemplate(
  world: AwsWorld,
  input: ModifyLaunchTemplateRequest,
  atMs: number,
): ModifyLaunchTemplateResult {
  const template = find(world, input, atMs);
  template.defaultVersion = versionNumber(template, input.DefaultVersion);
  return { LaunchTemplate: shown(template) };
}

export function deleteLaunchTemplate(
  world: AwsWorld,
  input: DeleteLaunchTemplateRequest,
  atMs: number,
): DeleteLaunchTemplateResult {
  const template = find(world, input, atMs);
  world.launchTemplates.delete(template.id);
  return { LaunchTemplate: shown(template) };
}

const fields: Fields<LaunchTemplate> = {
  "launch-template-name": ({ name }) => [name],
};

export function describeLaunchTemplates(
  world: AwsWorld,
  input: DescribeLaunchTemplatesRequest,
  atMs: number,
): DescribeLaunchTemplatesResult {
  const named = [
    ...(input.LaunchTemplateIds ?? []).map((LaunchTemplateId) => find(world, { LaunchTemplateId }, atMs)),
    ...(input.LaunchTemplateNames ?? []).map((LaunchTemplateName) => find(world, { LaunchTemplateName }, atMs)),
  ];
  const all = input.LaunchTemplateIds === undefined && input.LaunchTemplateNames === undefined;
  const wanted = all ? [...world.launchTemplates.values()].filter(visibleAt(atMs)) : named;
  const size = Math.min(200, input.MaxResults ?? 200);
  const { page, next } = pageOf(wanted.filter(matcher(input.Filters, fields)), size, input.NextToken);
  return { LaunchTemplates: page.map(shown), NextToken: next };
}

export function describeLaunchTemplateVersions(
  world: AwsWorld,
  input: DescribeLaunchTemplateVersionsRequest,
  atMs: number,
): DescribeLaunchTemplateVersionsResult {
  const template = find(world, input, atMs);
  const numbers =
    input.Versions?.map((version) => versionNumber(template, version)) ?? template.versions.map((_, i) => i + 1);
  const versions = numbers.map((number) => ({ serial: number, shown: shownVersion(template, number) }));
  const { page, next } = pageOf(versions, input.MaxResults ?? 200, input.NextToken);
  return { LaunchTemplateVersions: page.map((version) => version.shown), NextToken: next };
}

const shown = (template: LaunchTemplate) => ({
  LaunchTemplateId: template.id,
  LaunchTemplateName: template.name,
  CreateTime: dateOf(template.madeWallMs),
  DefaultVersionNumber: template.defaultVersion,
  LatestVersionNumber: template.versions.length,
  Tags: shownTags(template.tags),
});

const shownVersion = (template: LaunchTemplate, number: number) => ({
  LaunchTemplateId: template.id,
  LaunchTemplateName: template.name,
  VersionNumber: number,
  DefaultVersion: number === template.defaultVersion,
  CreateTime: dateOf(template.madeWallMs),
  LaunchTemplateData: structuredClone(template.versions[number - 1]) as ResponseLaunchTemplateData,
});

/** User data is base64 of at most 16 KB. @throws InvalidUserData.Malformed, InvalidParameterValue */
export function checkUserData(encoded: string | undefined): void {
  if (encoded === undefined) return;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, ""))
    throw new AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
  if (bytes.length > 16_384) throw invalidValue("User data is limited to 16384 bytes");
}
