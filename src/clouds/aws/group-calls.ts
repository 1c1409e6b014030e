import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  DeleteSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  type Filter,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import type { Clock } from "../../base/clock.ts";
import type { Send } from "./api.ts";
import { appliedTag } from "./balancer-tags.ts";
import { isKind } from "./errors.ts";
import { type Opening, permissionsOf } from "./group-rules.ts";
import { allPages } from "./pages.ts";
import { clusterTag, gathered, keptByTag, spread, type Tags, tagList, tagsOf } from "./tags.ts";

/** What a group of the cluster is for. */
const roleTag = "drover.dev/security-group";
/** A group that was made a moment ago is not known everywhere in AWS: it is asked for again for so long. */
const freshForMs = 30_000;
const freshAgainMs = 1_000;
/** Interfaces of deleted load balancers and machines stay for minutes. */
const deleteAgainMs = 10_000;

export const roleOf = ({ Tags = [] }: SecurityGroup): string => Tags.find(({ Key }) => Key === roleTag)?.Value ?? "";
/** Somebody else ends it. */
export const isKept = ({ Tags = [] }: SecurityGroup): boolean => Tags.some(({ Key }) => Key === keptByTag);
/** Words for what drover itself last let in, mostly sources; undefined: it has not noted them. */
export function appliedIn({ Tags = [] }: SecurityGroup): string[] | undefined {
  const tags = tagsOf(Tags);
  return tags[appliedTag] === undefined ? undefined : gathered(tags, appliedTag).split(" ").filter(Boolean);
}
const sourcesText = (sources: readonly string[]): string => [...sources].sort().join(" ");
export const isApplied = (group: SecurityGroup, sources: readonly string[]): boolean => {
  const applied = appliedIn(group);
  return applied !== undefined && sourcesText(applied) === sourcesText(sources);
};

/** A text that has become shorter leaves none of the longer one's end: those tags are emptied. */
function appliedTags(sources: readonly string[], present: Tags = {}): Tags {
  const known = Object.keys(present).filter((key) => key.startsWith(appliedTag));
  const emptied = [appliedTag, ...known].map((key) => [key, ""] as const);
  return Object.fromEntries([...emptied, ...spread(appliedTag, sourcesText(sources))]);
}

export const groupName = (cluster: string, role: string): string => `drover-${cluster}-${role}`.slice(0, 255);

/** The machines' groups of a cluster at AWS; each call may be repeated. */
export class GroupCalls {
  readonly #send: Send;
  readonly #clock: Clock;
  readonly #cluster: string;
  readonly #tags: Tags;

  constructor(send: Send, clock: Clock, cluster: string, tags: Tags) {
    this.#send = send;
    this.#clock = clock;
    this.#cluster = cluster;
    this.#tags = tags;
  }

  #describe(Filters: Filter[], signal?: AbortSignal): Promise<SecurityGroup[]> {
    return allPages(
      (NextToken) => this.#send("ec2", new DescribeSecurityGroupsCommand({ Filters, NextToken }), { signal }),
      ({ SecurityGroups }) => SecurityGroups,
    );
  }

  list(signal?: AbortSignal): Promise<SecurityGroup[]> {
    const ofCluster = { Name: `tag:${clusterTag}`, Values: [this.#cluster] };
    return this.#describe([ofCluster, { Name: "tag-key", Values: [roleTag] }], signal);
  }

  /** The id of the group of this role; made when there is none, with a note of whom it is to let in. */
  async create(role: string, VpcId: string, Description: string, sources: readonly string[]): Promise<string> {
    const GroupName = groupName(this.#cluster, role);
    const own = { Name: GroupName, [clusterTag]: this.#cluster, [roleTag]: role };
    const tags = { ...this.#tags, ...own, ...appliedTags(sources) };
    const TagSpecifications = [{ ResourceType: "security-group" as const, Tags: tagList(tags) }];
    try {
      const command = new CreateSecurityGroupCommand({ GroupName, VpcId, Description, TagSpecifications });
      return (await this.#send("ec2", command)).GroupId ?? "";
    } catch (error) {
      if (!isKind(error, "exists")) throw error;
      const ofName = [
        { Name: "group-name", Values: [GroupName] },
        { Name: "vpc-id", Values: [VpcId] },
      ];
      return this.#onceKnown("exists", async () => {
        const [found] = await this.#describe(ofName);
        if (!found?.GroupId) throw error;
        return found.GroupId;
      });
    }
  }

  /** Repeats what fails in this way because not all of AWS knows a new group yet. */
  async #onceKnown<T>(failure: "absent" | "exists", call: () => Promise<T>): Promise<T> {
    const untilMs = this.#clock.monotonicMs() + freshForMs;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isKind(error, failure) || this.#clock.monotonicMs() >= untilMs) throw error;
        await this.#clock.sleep(freshAgainMs);
      }
    }
  }

  /** One that is open already refuses all of a call, so then they are opened one by one. */
  async authorize(GroupId: string, openings: readonly Opening[]): Promise<void> {
    const IpPermissions = permissionsOf(openings);
    if (IpPermissions.length === 0) return;
    try {
      const command = new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions });
      await this.#onceKnown("absent", () => this.#send("ec2", command));
    } catch (error) {
      if (!isKind(error, "exists")) throw error;
      if (openings.length > 1) for (const opening of openings) await this.authorize(GroupId, [opening]);
    }
  }

  /** Notes whom the group lets in by drover's own doing. Gives the group with its new tags. */
  async note(group: SecurityGroup, words: readonly string[]): Promise<SecurityGroup> {
    const { GroupId = "", Tags = [] } = group;
    const before = tagsOf(Tags);
    const tags = appliedTags(words, before);
    const command = new CreateTagsCommand({ Resources: [GroupId], Tags: tagList(tags) });
    await this.#onceKnown("absent", () => this.#send("ec2", command));
    return { ...group, Tags: tagList({ ...before, ...tags }) };
  }

  /** One that is closed already refuses all of a call, so then they are closed one by one. */
  async revoke(GroupId: string, IpPermissions: readonly IpPermission[]): Promise<void> {
    if (IpPermissions.length === 0) return;
    try {
      const command = new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [...IpPermissions] });
      await this.#send("ec2", command);
    } catch (error) {
      if (!isKind(error, "absent")) throw error;
      if (IpPermissions.length > 1) for (const each of IpPermissions) await this.revoke(GroupId, [each]);
    }
  }

  /** Deletes it; what still uses it is waited for, at most `waitMs`. */
  async remove(GroupId: string, waitMs: number, signal?: AbortSignal): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + waitMs;
    for (;;) {
      try {
        await this.#send("ec2", new DeleteSecurityGroupCommand({ GroupId }), { signal });
        return;
      } catch (error) {
        if (isKind(error, "absent")) return;
        if (!isKind(error, "busy") || this.#clock.monotonicMs() >= untilMs) throw error;
        await this.#clock.sleep(deleteAgainMs, signal);
      }
    }
  }
}
