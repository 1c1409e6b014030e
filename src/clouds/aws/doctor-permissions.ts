import {
  DescribeInstancesCommand,
  DescribeLaunchTemplatesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
} from "@aws-sdk/client-ec2";
import { GetParameterCommand } from "@aws-sdk/client-ssm";
import { grantedActions, grants, needsOwnThing } from "./actions.ts";
import type { Send } from "./api.ts";
import { balancerProbes, nameProbes } from "./doctor-balancer-probes.ts";
import { absentSubjects, computeProbes, imageParameter, type Probe, type Subjects } from "./doctor-probes.ts";
import { protectionProbes } from "./doctor-protection-probes.ts";
import { isKind } from "./errors.ts";
import { clusterTag } from "./tags.ts";

const probes: Readonly<Record<string, Probe>> = {
  ...computeProbes,
  ...Object.fromEntries(Object.entries(balancerProbes).map(([name, probe]) => [`elasticloadbalancing:${name}`, probe])),
  ...protectionProbes,
  ...Object.fromEntries(Object.entries(nameProbes).map(([name, probe]) => [`route53:${name}`, probe])),
};

/** AWS does these on behalf of drover's calls and offers no way to try them. */
const untriable = ["cognito-idp:DescribeUserPoolClient", "iam:CreateServiceLinkedRole"];

export type Permissions = {
  tried: number;
  /** Not permitted, with AWS' sentence. */
  denied: readonly { action: string; why: string }[];
  /** Nothing can be said, with the reason. */
  unknown: readonly { action: string; why: string }[];
};

/** One of each kind that the cluster has made: trying a call on it tells the truth about conditions on tags. */
export async function findSubjects(send: Send, cluster: string): Promise<Partial<Subjects>> {
  const Filters = [{ Name: `tag:${clusterTag}`, Values: [cluster] }];
  const asked = {
    instanceId: send("ec2", new DescribeInstancesCommand({ Filters, MaxResults: 5 })).then(
      ({ Reservations }) => Reservations?.[0]?.Instances?.[0]?.InstanceId,
    ),
    securityGroupId: send("ec2", new DescribeSecurityGroupsCommand({ Filters, MaxResults: 5 })).then(
      ({ SecurityGroups }) => SecurityGroups?.[0]?.GroupId,
    ),
    launchTemplateId: send("ec2", new DescribeLaunchTemplatesCommand({ Filters, MaxResults: 5 })).then(
      ({ LaunchTemplates }) => LaunchTemplates?.[0]?.LaunchTemplateId,
    ),
    volumeId: send("ec2", new DescribeVolumesCommand({ Filters, MaxResults: 5 })).then(
      ({ Volumes }) => Volumes?.[0]?.VolumeId,
    ),
    imageId: send("ssm", new GetParameterCommand({ Name: imageParameter })).then(({ Parameter }) => Parameter?.Value),
  };
  // Who may not look is found out by the probes.
  const found = await Promise.all(
    Object.entries(asked).map(async ([name, one]) => [name, await one.catch(() => undefined)] as const),
  );
  return Object.fromEntries(found.filter(([, id]) => id !== undefined));
}

type Given = Pick<Subjects, "cluster" | "region" | "partition" | "account"> & Partial<Subjects>;

/**
 * Tries every action of the policy with calls that change nothing. Where all actions on the cluster's own things of a
 * service are refused on things that are not there, that is what a condition on their tags does, and nothing is known.
 */
export async function tryPermissions(send: Send, given: Given, createZone: boolean): Promise<Permissions> {
  const zone = `${given.region}a`;
  const subjects: Subjects = { ...absentSubjects, zone, ...given };
  const optional = new Set(grants.flatMap(({ option, actions }) => (option && !createZone ? actions : [])));
  const actions = grantedActions().filter((action) => !untriable.includes(action) && !optional.has(action));
  const outcomes = await Promise.all(actions.map((action) => tryOne(send, action, subjects)));
  const denied = new Map(outcomes.flatMap(({ denied: action, why }) => (action ? [[action, why] as const] : [])));
  const unclear = new Set(actionsOnNothing(actions, given, denied));
  const shown = ([action, why]: readonly [string, string]) => ({ action, why });
  return {
    tried: actions.length,
    denied: [...denied].filter(([action]) => !unclear.has(action)).map(shown),
    unknown: [
      ...[...unclear].map((action) => ({ action, why: "it depends on the tags of things that there are none of yet" })),
      ...outcomes.flatMap(({ action, unknown }) => (unknown === undefined ? [] : [{ action, why: unknown }])),
    ],
  };
}

/** Of each service the actions that were tried on nothing, if all of them were refused. */
function actionsOnNothing(actions: readonly string[], given: Given, denied: ReadonlyMap<string, string>): string[] {
  const onNothing = actions.filter((action) => isOnNothing(action, given));
  const services = new Set(onNothing.map(serviceOf));
  return [...services].flatMap((service) => {
    const ofService = onNothing.filter((action) => serviceOf(action) === service);
    return ofService.length > 1 && ofService.every((action) => denied.has(action)) ? ofService : [];
  });
}

const serviceOf = (action: string): string => action.replace(/:.*/, "");

function isOnNothing(action: string, given: Given): boolean {
  if (action.startsWith("route53:")) return given.hostedZoneId === undefined && !/GetChange|ByVPC/.test(action);
  if (!needsOwnThing(action)) return false;
  if (!action.startsWith("ec2:")) return true;
  if (/Volume/.test(action)) return given.volumeId === undefined || given.instanceId === undefined;
  if (/SecurityGroup|Tags/.test(action)) return given.securityGroupId === undefined;
  return /LaunchTemplate/.test(action) ? given.launchTemplateId === undefined : given.instanceId === undefined;
}

type Outcome = { action: string; denied?: string; why: string; unknown?: string };

/** Whatever AWS says but "not permitted" and "not now" comes after it has looked at the permission. */
async function tryOne(send: Send, action: string, subjects: Subjects): Promise<Outcome> {
  const probe = probes[action];
  if (!probe) return { action, why: "", unknown: "there is no way to try it" };
  try {
    await probe(send, subjects);
    return { action, why: "" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (isKind(error, "denied")) return { action, why, denied: String(error.details["action"] ?? action) };
    return isKind(error, "expired", "throttled", "transient") ? { action, why, unknown: why } : { action, why };
  }
}
