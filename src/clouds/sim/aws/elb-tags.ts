import type {
  AddTagsInput,
  AddTagsOutput,
  DescribeTagsInput,
  DescribeTagsOutput,
  RemoveTagsInput,
  RemoveTagsOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { checkCount, validation } from "./elb-errors.ts";
import { listenerOf } from "./listeners.ts";
import { loadBalancerOf } from "./load-balancers.ts";
import { ruleOf } from "./rules.ts";
import { addTags as add, shownTags, type Tags } from "./tags.ts";
import { targetGroupOf } from "./target-groups.ts";
import type { AwsWorld } from "./world.ts";

/** By the kind in the ARN. */
const finders: Readonly<Record<string, (world: AwsWorld, arn: string) => { tags: Tags }>> = {
  loadbalancer: loadBalancerOf,
  targetgroup: targetGroupOf,
  listener: listenerOf,
  "listener-rule": ruleOf,
};

function tagsOf(world: AwsWorld, arn: string): Tags {
  const find = finders[arn.split(":")[5]?.split("/")[0] ?? ""];
  if (find === undefined) throw validation(`'${arn}' is not a valid resource ARN`);
  return find(world, arn).tags;
}

export function addTags(world: AwsWorld, input: AddTagsInput): AddTagsOutput {
  checkCount("resource ARNs", input.ResourceArns);
  for (const tags of (input.ResourceArns ?? []).map((arn) => tagsOf(world, arn))) add(tags, input.Tags ?? []);
  return {};
}

export function removeTags(world: AwsWorld, input: RemoveTagsInput): RemoveTagsOutput {
  checkCount("resource ARNs", input.ResourceArns);
  for (const tags of (input.ResourceArns ?? []).map((arn) => tagsOf(world, arn)))
    for (const key of input.TagKeys ?? []) tags.delete(key);
  return {};
}

export function describeTags(world: AwsWorld, input: DescribeTagsInput): DescribeTagsOutput {
  checkCount("resource ARNs", input.ResourceArns);
  const arns = input.ResourceArns ?? [];
  return { TagDescriptions: arns.map((ResourceArn) => ({ ResourceArn, Tags: shownTags(tagsOf(world, ResourceArn)) })) };
}
