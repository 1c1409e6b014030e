import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import {
  CreateLaunchTemplateCommand,
  DeleteLaunchTemplateCommand,
  DescribeLaunchTemplatesCommand,
  type LaunchTemplate,
  type RequestLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import type { MachineTemplate } from "../cloud.ts";
import type { Send } from "./api.ts";
import { isKind } from "./errors.ts";
import type { AwsImage } from "./images.ts";
import { allPages } from "./pages.ts";
import { clusterTag, type Tags, tagList, tagsOf, templateTag } from "./tags.ts";

/**
 * The metadata service answers sessions alone, and no further than the machine itself. Tags stay out of it: with them a
 * key that has a slash refuses the launch, and an account's default may switch them on.
 */
export const metadataOptions = {
  HttpEndpoint: "enabled",
  HttpTokens: "required",
  HttpPutResponseHopLimit: 1,
  InstanceMetadataTags: "disabled",
} as const;

/** `profile`: an instance profile's name or ARN. */
export const profileOf = (profile: string): { Arn: string } | { Name: string } =>
  profile.startsWith("arn:") ? { Arn: profile } : { Name: profile };

const gib = 2 ** 30;

/** What is the same for all machines of a template wherever they run; `UserData` as it is before it is packed. */
function launchTemplateData(template: MachineTemplate, image: AwsImage): RequestLaunchTemplateData {
  const VolumeSize = Math.ceil(Math.max(template.diskBytes, image.diskBytesMin) / gib);
  const Ebs = { VolumeSize, VolumeType: "gp3" as const, Encrypted: true, DeleteOnTermination: true };
  return {
    ImageId: image.id,
    UserData: template.userData,
    BlockDeviceMappings: [{ DeviceName: image.rootDevice, Ebs }],
    MetadataOptions: metadataOptions,
    InstanceInitiatedShutdownBehavior: "terminate",
    Monitoring: { Enabled: false },
    ...(template.profile !== undefined && { IamInstanceProfile: profileOf(template.profile) }),
  };
}

const packed = ({ UserData = "", ...data }: RequestLaunchTemplateData): RequestLaunchTemplateData => ({
  ...data,
  UserData: gzipSync(UserData, { level: 9 }).toString("base64"),
});

/** Equal names mean equal contents: an existing template of the name can be taken as it is. */
function launchTemplateName(cluster: string, hash: string, data: RequestLaunchTemplateData): string {
  const digest = createHash("sha256").update(JSON.stringify(data)).digest("hex").slice(0, 8);
  return `drover-${cluster.slice(0, 63)}-${hash}-${digest}`;
}

export type LaunchTemplates = {
  /** The name of a launch template for this machine template; made when there is none. */
  ensure(template: MachineTemplate, image: AwsImage): Promise<string>;
  /** It is not there: it is made again by the next `ensure`. */
  forget(name: string): void;
  /** Deletes those that nothing has needed for an hour. `inUse`: hashes of machine templates that machines have. */
  prune(inUse: ReadonlySet<string>, signal?: AbortSignal): Promise<void>;
  /** Deletes all of the cluster. */
  remove(signal?: AbortSignal): Promise<void>;
};

const unusedKeepMs = 3_600_000;

export function openLaunchTemplates(send: Send, clock: Clock, cluster: string, userTags: Tags = {}): LaunchTemplates {
  const known = new Map<string, { made: Promise<void>; usedAtMs: number }>();

  async function make(name: string, hash: string, data: RequestLaunchTemplateData): Promise<void> {
    const tags = tagList({ ...userTags, Name: name, [clusterTag]: cluster, [templateTag]: hash });
    const command = new CreateLaunchTemplateCommand({
      LaunchTemplateName: name,
      LaunchTemplateData: packed(data),
      TagSpecifications: [{ ResourceType: "launch-template", Tags: tags }],
    });
    await send("ec2", command).catch((error: unknown) => {
      if (!isKind(error, "exists")) throw error;
    });
  }

  const list = (signal?: AbortSignal): Promise<LaunchTemplate[]> => {
    const Filters = [{ Name: `tag:${clusterTag}`, Values: [cluster] }];
    return allPages(
      (NextToken) => send("ec2", new DescribeLaunchTemplatesCommand({ Filters, NextToken }), { signal }),
      ({ LaunchTemplates: templates }) => templates,
    );
  };

  async function remove({ LaunchTemplateId, LaunchTemplateName = "" }: LaunchTemplate, signal?: AbortSignal) {
    known.delete(LaunchTemplateName);
    await send("ec2", new DeleteLaunchTemplateCommand({ LaunchTemplateId }), { signal }).catch((error: unknown) => {
      if (!isKind(error, "absent")) throw error;
    });
  }

  return {
    async ensure(template, image) {
      const data = launchTemplateData(template, image);
      const name = launchTemplateName(cluster, template.hash, data);
      const made = known.get(name)?.made ?? make(name, template.hash, data);
      known.set(name, { made, usedAtMs: clock.monotonicMs() });
      try {
        await made;
      } catch (error) {
        known.delete(name);
        throw error;
      }
      return name;
    },
    forget: (name) => void known.delete(name),
    async prune(inUse, signal) {
      for (const [name, { usedAtMs }] of known) {
        if (clock.monotonicMs() - usedAtMs > unusedKeepMs) known.delete(name);
      }
      for (const template of await list(signal)) {
        const ageMs = clock.wallMs() - (template.CreateTime?.getTime() ?? clock.wallMs());
        const isNeeded =
          inUse.has(tagsOf(template.Tags)[templateTag] ?? "") || known.has(template.LaunchTemplateName ?? "");
        if (!isNeeded && ageMs > unusedKeepMs) await remove(template, signal);
      }
    },
    async remove(signal) {
      for (const template of await list(signal)) await remove(template, signal);
    },
  };
}
