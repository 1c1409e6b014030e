import type { BalancerSettings } from "./annotations.ts";
import { givenWebAcl, type SeenListener } from "./balancer-inventory.ts";
import type { BalancerPlan } from "./balancer-plan.ts";
import { ensureSecurityGroup, markRemains, removeSecurityGroup, unmarkRemains } from "./balancer-security-group.ts";
import { balancerTag } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import { type Arns, ensureListener, mergedListeners, removeListener } from "./listeners.ts";
import { ensureLoadBalancer, givenGroups, removeLoadBalancer, sharedSettings } from "./load-balancer.ts";
import { ensureRules, removeRule } from "./rules.ts";
import { ensureTargetGroup, removeTargetGroup } from "./target-groups.ts";
import { agreedWebAcl, ensureWebAcl, webAclOf } from "./web-acl.ts";

/**
 * The plans of a load balancer's members, as far as they are known. Right after a start some are not: what they share
 * is then added to and never reduced, until all have been ensured once.
 */
export type Members = {
  plans: readonly BalancerPlan[];
  isWhole: boolean;
  /** The same as each is asked for now, whether it could be made so or not. */
  asked: { plans: readonly BalancerPlan[]; isWhole: boolean };
};

/** Who has target groups behind a load balancer, whether its plan is known or not. */
export const memberIds = ({ inventory }: Workshop, name: string): Set<string> => {
  const groups = [...inventory.targetGroups.values()].filter(({ loadBalancer }) => loadBalancer === name);
  return new Set(groups.map(({ tags }) => tags[balancerTag] ?? ""));
};

const arnsOf = ({ inventory }: Pick<Workshop, "inventory">): Arns =>
  new Map([...inventory.targetGroups.values()].map(({ name, arn }) => [name, arn]));

/**
 * Makes everything of a balancer but its targets. Target groups come first: whatever a crash leaves behind is found by
 * their tags.
 */
export async function build(
  workshop: Workshop,
  plan: BalancerPlan,
  { plans, isWhole, asked }: Members,
  machinesLetIn: () => Promise<string>,
): Promise<void> {
  const { inventory } = workshop;
  const listeners = mergedListeners(plans, plan);
  const present = inventory.loadBalancers.get(plan.name);
  const webAcl = webAclOf(plan, asked.plans, present && givenWebAcl(present));
  if (plan.targetGroups.length > 0) {
    await Promise.all(plan.targetGroups.map((each) => ensureTargetGroup(workshop, plan, each)));
    const settings = sharedSettings(plans);
    const given = await givenGroups(workshop, plan, settings);
    const own = given ?? [(await ensureSecurityGroup(workshop, plans, plan, isWhole)).id];
    const balancer =
      present !== undefined && !isWhole
        ? present
        : await ensureLoadBalancer(workshop, plan, settings, [
            ...own,
            ...(needsLetIn(settings) ? [await machinesLetIn()] : []),
          ]);
    await ensureWebAcl(workshop, balancer, webAcl, asked.isWhole);
    const replaced = inventory.securityGroups.get(plan.name);
    if (given !== undefined && replaced !== undefined && isWhole) await removeSecurityGroup(workshop, replaced);
    for (const wanted of listeners) {
      const isShared = wanted.rules !== undefined && !isWhole;
      const seen = listenersOf(workshop, plan.name).find(({ port }) => port === wanted.port);
      const listener =
        isShared && seen !== undefined
          ? seen
          : await ensureListener(workshop, { plan, balancer, wanted, arns: arnsOf(workshop) });
      if (wanted.rules !== undefined) await ensureRules(workshop, plan, listener, wanted.rules, arnsOf(workshop));
    }
  }
  await trim(workshop, plan.name, plan.id, { plans, isWhole, asked });
  const kept = new Set(plan.targetGroups.map(({ name }) => name));
  for (const group of groupsOf(workshop, plan.name, plan.id)) {
    if (!kept.has(group.name)) await removeTargetGroup(workshop, group);
  }
}

/** With groups of the user's own, and his word that he sees to the machines' rules too, those are all it has. */
const needsLetIn = ({ securityGroups, managesMachineRules }: BalancerSettings): boolean =>
  securityGroups === undefined || managesMachineRules !== false;

const listenersOf = ({ inventory }: Workshop, name: string): readonly SeenListener[] =>
  inventory.listeners.get(name) ?? [];

const groupsOf = ({ inventory }: Workshop, name: string, id: string) =>
  [...inventory.targetGroups.values()].filter(
    ({ loadBalancer, tags }) => loadBalancer === name && tags[balancerTag] === id,
  );

/** Removes listeners and rules of one member that its plan no longer has, and listeners that no member wants. */
async function trim(workshop: Workshop, name: string, id: string, { plans, isWhole }: Members): Promise<void> {
  const mine = plans.find((plan) => plan.id === id)?.listeners.map(({ port }) => port) ?? [];
  const anybodys = new Set(plans.flatMap(({ listeners }) => listeners.map(({ port }) => port)));
  for (const listener of listenersOf(workshop, name)) {
    if (mine.includes(listener.port)) continue;
    const isOwn = listener.tags[balancerTag] === id;
    if (isOwn || (isWhole && !anybodys.has(listener.port))) {
      await removeListener(workshop, name, listener);
      continue;
    }
    for (const rule of listener.rules.filter(({ tags }) => tags[balancerTag] === id)) {
      await removeRule(workshop, listener, rule);
    }
  }
}

/**
 * Ends a balancer's share of a load balancer, and with the last share the load balancer itself. Its security group goes
 * last: until then it tells that something is left. False: it can't go yet. `others`: the members that stay.
 */
export async function tearDown(workshop: Workshop, name: string, id: string, others: Members): Promise<boolean> {
  const { inventory } = workshop;
  const group = inventory.securityGroups.get(name);
  const left = memberIds(workshop, name);
  left.delete(id);
  for (const { id: other } of others.plans) left.add(other);
  const isLast = left.size === 0;
  if (isLast) {
    if (group) await markRemains(workshop, group, id);
    const balancer = inventory.loadBalancers.get(name);
    if (balancer) await removeLoadBalancer(workshop, balancer);
  } else {
    await trim(workshop, name, id, others);
    const [first] = others.plans;
    const balancer = inventory.loadBalancers.get(name);
    const { asked } = others;
    if (first && group && others.isWhole) await ensureSecurityGroup(workshop, others.plans, first, true);
    if (first && balancer)
      await ensureWebAcl(workshop, balancer, agreedWebAcl(asked.plans, givenWebAcl(balancer)), asked.isWhole);
    if (group) await unmarkRemains(workshop, group, id);
  }
  for (const each of groupsOf(workshop, name, id)) await removeTargetGroup(workshop, each);
  return isLast && group ? removeSecurityGroup(workshop, group) : true;
}
