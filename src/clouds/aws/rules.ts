import {
  AddTagsCommand,
  CreateRuleCommand,
  DeleteRuleCommand,
  ModifyRuleCommand,
  type RuleCondition,
  SetRulePrioritiesCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Condition } from "../balancer.ts";
import { elbCode } from "./balancer-errors.ts";
import { type SeenListener, type SeenRule, seenRule } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint } from "./balancer-plan.ts";
import { appliedTag, balancerTag, nameTag, orderTag, ownTags } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import type { PlannedRule } from "./destinations.ts";
import { type Arns, actionsOf, actionText, appliedText } from "./listeners.ts";
import { tagList } from "./tags.ts";

/** AWS wants at least one condition: this one is always true. */
const always: RuleCondition = { Field: "path-pattern", PathPatternConfig: { Values: ["/*"] } };

export function conditionsOf({ hosts, paths, conditions: more = [] }: PlannedRule): RuleCondition[] {
  const conditions: RuleCondition[] = [];
  if (hosts.length > 0) conditions.push({ Field: "host-header", HostHeaderConfig: { Values: [...hosts] } });
  if (paths.length > 0) conditions.push({ Field: "path-pattern", PathPatternConfig: { Values: [...paths] } });
  conditions.push(...more.map(further));
  return conditions.length > 0 ? conditions : [always];
}

function further(condition: Condition): RuleCondition {
  switch (condition.field) {
    case "header": {
      const HttpHeaderConfig = { HttpHeaderName: condition.name, Values: [...condition.values] };
      return { Field: "http-header", HttpHeaderConfig };
    }
    case "method":
      return { Field: "http-request-method", HttpRequestMethodConfig: { Values: [...condition.values] } };
    case "source":
      return { Field: "source-ip", SourceIpConfig: { Values: [...condition.values] } };
    case "query": {
      const Values = condition.values.map(({ key, value }) => ({
        ...(key !== undefined && { Key: key }),
        Value: value,
      }));
      return { Field: "query-string", QueryStringConfig: { Values } };
    }
  }
}

const conditionText = (conditions: readonly RuleCondition[] | undefined): string =>
  (conditions ?? [])
    .map((condition) => `${condition.Field}=${valuesOf(condition).sort().join(",")}`)
    .sort()
    .join("; ");

/** All values that a condition takes, of a header or a query with its name. */
const valuesOf = (condition: RuleCondition): string[] => {
  const { HttpHeaderConfig: header, QueryStringConfig: query, Values } = condition;
  if (header) return (header.Values ?? []).map((value) => `${header.HttpHeaderName?.toLowerCase()}: ${value}`);
  if (query) return (query.Values ?? []).map(({ Key, Value }) => `${Key ?? ""}=${Value}`);
  const plain = condition.HostHeaderConfig ?? condition.PathPatternConfig;
  const others = condition.HttpRequestMethodConfig ?? condition.SourceIpConfig;
  return [...((plain ?? others)?.Values ?? Values ?? [])];
};

/** A rule's place: its balancer's order, then its balancer's name, then its own place there. */
type Place = { order: number; balancer: string; index: number };
type Placed = { place: Place; seen?: SeenRule; wanted?: PlannedRule };

export type RulePlan = {
  /** All that move, those to be removed after the last one that stays, in one call: no two ever share a priority. */
  priorities: readonly { seen: SeenRule; priority: number }[];
  create: readonly { wanted: PlannedRule; priority: number }[];
  change: readonly { seen: SeenRule; wanted: PlannedRule }[];
  remove: readonly SeenRule[];
};

const compare = (one: Place, other: Place): number =>
  one.order - other.order ||
  (one.balancer < other.balancer ? -1 : one.balancer > other.balancer ? 1 : one.index - other.index);

/**
 * The rules of one balancer among those of all that share the listener. Others' rules keep their contents and their
 * order; only their priorities may move.
 */
export function planRules(
  present: readonly SeenRule[],
  { id, people, order }: Pick<BalancerPlan, "id" | "people" | "order">,
  wanted: readonly PlannedRule[],
): RulePlan {
  const inOrder = [...present].sort((a, b) => a.priority - b.priority);
  const others = inOrder.filter(({ tags }) => tags[balancerTag] !== id);
  const own = inOrder.filter(({ tags }) => tags[balancerTag] === id);
  const left = new Set(own);
  const mine = wanted.map((rule, index): Placed => {
    const text = conditionText(conditionsOf(rule));
    const seen = [...left].find(({ raw }) => conditionText(raw.Conditions) === text);
    if (seen) left.delete(seen);
    return { place: { order, balancer: people, index }, wanted: rule, ...(seen && { seen }) };
  });
  const theirs = others.map((seen, index): Placed => {
    const place = { order: Number(seen.tags[orderTag] ?? 0), balancer: seen.tags[nameTag] ?? "", index };
    return { place, seen };
  });
  const all = [...theirs, ...mine]
    .sort((a, b) => compare(a.place, b.place))
    .map((each, index) => ({ ...each, priority: index + 1 }));
  const stale = [...left].map((seen, index) => ({ seen, priority: all.length + index + 1 }));
  return {
    priorities: [...all, ...stale].flatMap(({ seen, priority }) =>
      seen && seen.priority !== priority ? [{ seen, priority }] : [],
    ),
    create: all.flatMap(({ seen, wanted: rule, priority }) => (rule && !seen ? [{ wanted: rule, priority }] : [])),
    change: all.flatMap(({ seen, wanted: rule }) => (rule && seen ? [{ seen, wanted: rule }] : [])),
    remove: [...left],
  };
}

/** Makes the balancer's rules on a listener what they should be. */
export async function ensureRules(
  workshop: Workshop,
  plan: BalancerPlan,
  listener: SeenListener,
  wanted: readonly PlannedRule[],
  arns: Arns,
): Promise<void> {
  const { send } = workshop;
  const todo = planRules(listener.rules, plan, wanted);
  if (todo.priorities.length > 0) {
    const RulePriorities = todo.priorities.map(({ seen, priority }) => ({ RuleArn: seen.arn, Priority: priority }));
    await send("elb", new SetRulePrioritiesCommand({ RulePriorities }));
    for (const { seen, priority } of todo.priorities) seen.priority = priority;
  }
  const tagsFor = (rule: PlannedRule) => ({ [orderTag]: String(plan.order), [appliedTag]: appliedOf(rule, arns) });
  for (const { wanted: rule, priority } of todo.create) {
    const tags = ownTags(plan, tagsFor(rule));
    const input = { Priority: priority, Conditions: conditionsOf(rule), Actions: actionsOf(rule.destination, arns) };
    const made = await send("elb", new CreateRuleCommand({ ListenerArn: listener.arn, ...input, Tags: tagList(tags) }));
    listener.rules.push(seenRule({ ...made.Rules?.[0], ...input, Priority: String(priority) }, tags));
  }
  for (const { seen, wanted: rule } of todo.change) {
    const isEdited = workshop.repairs && ruleDrift(seen, rule, arns) !== undefined;
    const mark = tagsFor(rule);
    const isSame = seen.tags[appliedTag] === mark[appliedTag] && seen.tags[orderTag] === mark[orderTag];
    if (isSame && !isEdited) continue;
    const Actions = actionsOf(rule.destination, arns);
    await send("elb", new ModifyRuleCommand({ RuleArn: seen.arn, Actions }));
    await send("elb", new AddTagsCommand({ ResourceArns: [seen.arn], Tags: tagList(mark) }));
    seen.raw = { ...seen.raw, Actions };
    seen.tags = { ...seen.tags, ...mark };
  }
  for (const seen of todo.remove) await removeRule(workshop, listener, seen);
}

const appliedOf = (rule: PlannedRule, arns: Arns): string =>
  fingerprint([conditionText(conditionsOf(rule)), ...appliedText(rule.destination, arns)]);

/** One sentence about what was changed by hand. */
export const ruleDrift = (seen: SeenRule, wanted: PlannedRule, arns: Arns): string | undefined =>
  actionText(seen.raw.Actions) === actionText(actionsOf(wanted.destination, arns))
    ? undefined
    : `The rule for ${[...wanted.hosts, ...wanted.paths].join(" ") || "everything"} sends its clients elsewhere.`;

export async function removeRule({ send }: Workshop, listener: SeenListener, seen: SeenRule): Promise<void> {
  await send("elb", new DeleteRuleCommand({ RuleArn: seen.arn })).catch((error: unknown) => {
    if (elbCode(error) !== "RuleNotFound") throw error;
  });
  listener.rules = listener.rules.filter((each) => each !== seen);
}
