import type { Members } from "./balancer-build.ts";
import type { Inventory } from "./balancer-inventory.ts";
import type { BalancerPlan } from "./balancer-plan.ts";
import { securityGroupDrift } from "./balancer-security-group.ts";
import { balancerTag } from "./balancer-tags.ts";
import { listenerDrift, mergedListeners } from "./listeners.ts";
import { loadBalancerDrift } from "./load-balancer.ts";
import { planRules, ruleDrift } from "./rules.ts";
import { targetGroupDrift } from "./target-groups.ts";
import { webAclDrift } from "./web-acl.ts";

/** `deleted`: something is missing; made again by the next `ensure`. `edited`: something is not as it was made. */
export type Drift = { deleted?: string; edited?: string };

/**
 * What was done by hand to a balancer that was ensured. What several share is compared only where all members are
 * known. `letIn`: the security group that the machines let in.
 */
export function findDrift(inventory: Inventory, plan: BalancerPlan, members: Members, letIn: string): Drift {
  const deleted = findDeleted(inventory, plan);
  if (deleted !== undefined) return { deleted };
  const edited = findEdited(inventory, plan, members, letIn);
  return edited === undefined ? {} : { edited };
}

function findDeleted(
  { loadBalancers, targetGroups, securityGroups, listeners }: Inventory,
  plan: BalancerPlan,
): string | undefined {
  if (plan.targetGroups.length === 0) return undefined;
  if (!loadBalancers.has(plan.name)) return `The load balancer ${plan.name} was deleted.`;
  const group = plan.targetGroups.find(({ name }) => !targetGroups.has(name));
  if (group) return `The target group ${group.name} (${group.groupId}) was deleted.`;
  const present = listeners.get(plan.name) ?? [];
  const missing = plan.listeners.find(({ port }) => !present.some((each) => each.port === port));
  if (missing) return `The listener on port ${missing.port} was deleted.`;
  for (const { port, rules = [] } of plan.listeners) {
    const seen = present.find((each) => each.port === port)?.rules ?? [];
    const lost = planRules(seen, plan, rules).create[0]?.wanted;
    if (lost) return `The rule for ${[...lost.hosts, ...lost.paths].join(" ") || "everything"} was deleted or changed.`;
  }
  const isOwnGroup = plan.settings.securityGroups === undefined;
  return isOwnGroup && !securityGroups.has(plan.name) ? `The security group ${plan.name} was deleted.` : undefined;
}

function findEdited(
  inventory: Inventory,
  plan: BalancerPlan,
  { plans, isWhole }: Members,
  letIn: string,
): string | undefined {
  const { loadBalancers, targetGroups, securityGroups, listeners } = inventory;
  const arns = new Map([...targetGroups.values()].map(({ name, arn }) => [name, arn]));
  const present = listeners.get(plan.name) ?? [];
  const found: (string | undefined)[] = plan.targetGroups.map((wanted) => {
    const seen = targetGroups.get(wanted.name);
    return seen && targetGroupDrift(seen, wanted);
  });
  for (const wanted of mergedListeners(plans, plan)) {
    const seen = present.find(({ port }) => port === wanted.port);
    if (seen && (isWhole || plan.kind === "network")) found.push(listenerDrift(seen, wanted, arns));
    const rules = planRules(seen?.rules ?? [], plan, wanted.rules ?? []);
    found.push(...rules.change.map(({ seen: rule, wanted: to }) => ruleDrift(rule, to, arns)));
    if (rules.remove.length > 0)
      found.push(`The listener on port ${wanted.port} has a rule of ${plan.people} too many.`);
  }
  const strange = present.find(
    (each) => each.tags[balancerTag] === plan.id && !plan.listeners.some(({ port }) => port === each.port),
  );
  if (strange) found.push(`There is another listener on port ${strange.port}.`);
  const group = securityGroups.get(plan.name);
  const balancer = loadBalancers.get(plan.name);
  if (isWhole && balancer) found.push(webAclDrift(balancer));
  if (isWhole && group) {
    found.push(securityGroupDrift(group, plans));
    if (balancer) found.push(loadBalancerDrift(balancer, [group.id, letIn]));
  }
  return found.find((sentence) => sentence !== undefined);
}
