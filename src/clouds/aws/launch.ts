import {
  DescribeInstancesCommand,
  type Instance,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Launch } from "../cloud.ts";
import type { Send } from "./api.ts";
import { awsCodeOf, isFreshProfile, isKind } from "./errors.ts";
import type { Images } from "./images.ts";
import { type AwsMachine, machineOf } from "./instance.ts";
import { type LaunchTemplates, metadataOptions, profileOf } from "./launch-template.ts";
import { machineSubnet, type Networks } from "./network.ts";
import { allPages } from "./pages.ts";
import type { SecurityGroups } from "./security-groups.ts";
import { clusterTag, launchTag, launchTags, type Tags, tagList } from "./tags.ts";

export type LaunchParts = {
  send: Send;
  clock: Clock;
  networks: Networks;
  groups: SecurityGroups;
  templates: LaunchTemplates;
  images: Images;
  /** Whether machines get a public IPv4 address. Default: as their subnet does. */
  publicAddresses?: boolean;
  /** The user's own tags. */
  tags?: Tags;
};

/** What was made a moment ago is not known everywhere in AWS; what refers to it is tried again for so long. */
const freshForMs = 30_000;
const freshAgainMs = 2_000;
/** After this time an instance is in every list. */
const visibleAfterMs = 30_000;

/**
 * Launches at most once, however often it is called for one id. A call that was made a moment ago may be in no list yet:
 * there AWS' own memory of the token counts, which lasts a day. A launch of which anything is listed is never called
 * again, so that it does not matter whether the token is remembered still.
 */
export async function launchMachines(parts: LaunchParts, launch: Launch, signal?: AbortSignal): Promise<AwsMachine[]> {
  const found = await findLaunch(parts.send, launch, signal);
  if (found.length > 0) return awaitLaunch(parts, launch, found, signal);
  try {
    return inOrder(launch, await run(parts, launch, signal));
  } catch (error) {
    // The token stands for a call of other parameters, made before a change of the options: that call counts.
    if (!isKind(error, "mismatch")) throw error;
    const made = await awaitLaunch(parts, launch, [], signal);
    if (made.length === 0) throw error;
    return made;
  }
}

/** Machines of a launch as far as the lists show them. */
async function findLaunch(send: Send, { id, cluster }: Launch, signal?: AbortSignal): Promise<AwsMachine[]> {
  const Filters = [
    { Name: `tag:${launchTag}`, Values: [id] },
    { Name: `tag:${clusterTag}`, Values: [cluster] },
  ];
  const instances = await allPages(
    (NextToken) => send("ec2", new DescribeInstancesCommand({ Filters, MaxResults: 1_000, NextToken }), { signal }),
    ({ Reservations = [] }) => Reservations.flatMap(({ Instances = [] }) => Instances),
  );
  return instances.flatMap((instance) => machineOf(instance) ?? []).sort((a, b) => a.slot - b.slot);
}

/** What a call that was made before has given, once all of it is in the lists. */
async function awaitLaunch(
  { send, clock }: LaunchParts,
  launch: Launch,
  first: AwsMachine[],
  signal?: AbortSignal,
): Promise<AwsMachine[]> {
  const untilMs = clock.monotonicMs() + visibleAfterMs;
  let found = first;
  while (found.length < launch.slots.length && clock.monotonicMs() < untilMs) {
    await clock.sleep(freshAgainMs, signal);
    found = await findLaunch(send, launch, signal);
  }
  return found;
}

async function run(parts: LaunchParts, launch: Launch, signal?: AbortSignal): Promise<readonly Instance[]> {
  const { send, clock, groups, templates } = parts;
  const untilMs = clock.monotonicMs() + freshForMs;
  let input = await runInput(parts, launch, signal);
  for (;;) {
    try {
      const options = { signal, resources: launch.slots.length };
      return (await send("ec2", new RunInstancesCommand(input), options)).Instances ?? [];
    } catch (error) {
      if (clock.monotonicMs() >= untilMs || !isAboutFresh(error)) throw explained(error, launch);
      await clock.sleep(freshAgainMs, signal);
      // Somebody may have deleted what this process believes to be there.
      const name = input.LaunchTemplate?.LaunchTemplateName;
      if (name !== undefined && awsCodeOf(error).startsWith("InvalidLaunchTemplate")) templates.forget(name);
      if (awsCodeOf(error) === "InvalidGroup.NotFound") groups.forget();
      input = await runInput(parts, launch, signal);
    }
  }
}

/** AWS' own words name the profile and not who asks for it. */
function explained(error: unknown, { template: { profile } }: Launch): unknown {
  if (!isFreshProfile(error) || profile === undefined) return error;
  const message =
    `There is no instance profile ${profile} (ServiceAccount's annotation drover.dev/instance-profile, or ` +
    `eks.amazonaws.com/role-arn by the role's name): ${error.message}`;
  return new DroverError(error.code, message, { ...error.details }, error);
}

/** It refers to something that may have been made a moment ago. */
const isAboutFresh = (error: unknown): boolean =>
  isFreshProfile(error) ||
  /^Invalid(Group|LaunchTemplateName|LaunchTemplateId)\.NotFound(Exception)?$/.test(awsCodeOf(error));

/** The whole call. The same launch gives the same input as long as the options and the network stay the same. */
async function runInput(parts: LaunchParts, launch: Launch, signal?: AbortSignal): Promise<RunInstancesCommandInput> {
  const { template, placement, slots, id } = launch;
  const { publicAddresses } = parts;
  const image = await parts.images.find(template.image, template.architecture, signal);
  const [network, groupIds, templateName] = await Promise.all([
    parts.networks.find(),
    parts.groups.forMachine(template.ports ?? []),
    parts.templates.ensure(template, image),
  ]);
  const subnet = machineSubnet(network, placement.zone, publicAddresses === true);
  const isSpot = placement.capacityType === "spot";
  const tags = tagList(launchTags(launch, parts.tags));
  const tagged = [
    "instance",
    "volume",
    "network-interface",
    ...(isSpot ? ["spot-instances-request" as const] : []),
  ] as const;
  return {
    ClientToken: id,
    MinCount: 1,
    MaxCount: slots.length,
    InstanceType: placement.type as RunInstancesCommandInput["InstanceType"],
    LaunchTemplate: { LaunchTemplateName: templateName, Version: "$Default" },
    ...(publicAddresses === undefined
      ? { SubnetId: subnet.id, SecurityGroupIds: groupIds }
      : { NetworkInterfaces: [interfaceOf(subnet.id, groupIds, publicAddresses)] }),
    // Said in the launch template too; here for providers that take over only a part of it.
    MetadataOptions: metadataOptions,
    InstanceInitiatedShutdownBehavior: "terminate",
    ...(template.profile !== undefined && { IamInstanceProfile: profileOf(template.profile) }),
    ...(isSpot && {
      InstanceMarketOptions: {
        MarketType: "spot",
        SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
      },
    }),
    TagSpecifications: tagged.map((ResourceType) => ({ ResourceType, Tags: tags })),
  };
}

/** Only an interface that is spelled out can be given or refused a public address. */
const interfaceOf = (SubnetId: string, Groups: string[], AssociatePublicIpAddress: boolean) => ({
  DeviceIndex: 0,
  SubnetId,
  Groups,
  AssociatePublicIpAddress,
  DeleteOnTermination: true,
});

/** The answer of a launch tells its machines whether or not it repeats their tags. */
function inOrder(launch: Launch, instances: readonly Instance[]): AwsMachine[] {
  const tags = tagList(launchTags(launch));
  const machines = instances.flatMap((instance) => machineOf({ ...instance, Tags: tags }) ?? []);
  return machines.sort((a, b) => a.slot - b.slot);
}
