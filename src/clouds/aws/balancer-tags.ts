import type { BalancerSettings } from "./annotations.ts";
import type { BalancerPlan } from "./balancer-plan.ts";
import { clusterTag, type Tags } from "./tags.ts";

/** The id of the BalancerSpec that a resource serves; absent where several share it. */
export const balancerTag = "drover.dev/balancer";
const groupTag = "drover.dev/group";
/** `namespace/name`, for people. */
export const nameTag = "drover.dev/name";
/** Of a target group: its id in the spec. */
export const targetGroupTag = "drover.dev/target-group";
/** Of a target group or security group: the name of the load balancer that it was made for. */
export const loadBalancerTag = "drover.dev/load-balancer";
/** Of a rule: where its balancer stands in the group. */
export const orderTag = "drover.dev/order";
/** Of a load balancer: the web ACL that it was given, or `none` where one was taken away. */
export const webAclTag = "drover.dev/web-acl";
/** The same word is the annotation's. */
export const noWebAcl = "none";
/** What the resource was last made to be: another value than the wanted one's means an order, not a change by hand. */
export const appliedTag = "drover.dev/applied";

/** The user's own tags come first, so that none of them takes the place of drover's. */
export const ownTags = (plan: BalancerPlan, more: Tags): Tags => ({
  ...plan.settings.tags,
  [clusterTag]: plan.cluster,
  [balancerTag]: plan.id,
  [nameTag]: plan.people,
  ...more,
});

/** Tags of what the members of a group have in common. */
export const sharedTags = (plan: BalancerPlan, more: Tags): Tags =>
  plan.group === undefined
    ? ownTags(plan, more)
    : { ...plan.settings.tags, [clusterTag]: plan.cluster, [groupTag]: plan.group, ...more };

const isOwn = (key: string): boolean => key.startsWith("drover.dev/");

/** What a resource that was made to be something else is tagged with: the user's tags of today, and the mark. */
export const tagsOnceApplied = ({ tags = {} }: Pick<BalancerSettings, "tags">, applied: string): Tags => ({
  ...Object.fromEntries(Object.entries(tags).filter(([key]) => !isOwn(key))),
  [appliedTag]: applied,
});
