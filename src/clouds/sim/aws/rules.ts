import type {
  Action,
  CreateRuleInput,
  CreateRuleOutput,
  DeleteRuleInput,
  DeleteRuleOutput,
  DescribeRulesInput,
  DescribeRulesOutput,
  ModifyRuleInput,
  ModifyRuleOutput,
  RuleCondition,
  SetRulePrioritiesInput,
  SetRulePrioritiesOutput,
  Rule as Shown,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbError, validation } from "./elb-errors.ts";
import { checkActions } from "./forwards.ts";
import { type Listener, listenerOf } from "./listeners.ts";
import { loadBalancerOf } from "./load-balancers.ts";
import { pageOf } from "./paging.ts";
import { type Tags, tagsFrom } from "./tags.ts";
import { refreshUses } from "./uses.ts";
import type { AwsWorld, Resource } from "./world.ts";

export type ListenerRule = Resource & {
  arn: string;
  listenerArn: string;
  priority: number;
  conditions: RuleCondition[];
  actions: Action[];
  tags: Tags;
};

/** Of one load balancer, the default ones left out. */
const rulesMax = 100;
const priorityMax = 50_000;
const valuesMax = 5;
const valueLengthMax = 128;

export function ruleOf(world: AwsWorld, arn: string | undefined): ListenerRule {
  for (const { rules } of world.listeners.values()) {
    const found = arn === undefined ? undefined : rules.get(arn);
    if (found !== undefined) return found;
  }
  throw elbError("RuleNotFound", "One or more rules not found");
}

const valuesOf = (condition: RuleCondition): readonly string[] => {
  const { HostHeaderConfig, PathPatternConfig, HttpHeaderConfig, HttpRequestMethodConfig, SourceIpConfig } = condition;
  const config = HostHeaderConfig ?? PathPatternConfig ?? HttpHeaderConfig ?? HttpRequestMethodConfig ?? SourceIpConfig;
  const pairs = condition.QueryStringConfig?.Values?.map(({ Value = "" }) => Value);
  return config?.Values ?? pairs ?? condition.Values ?? [];
};

function checkConditions(conditions: readonly RuleCondition[] | undefined): RuleCondition[] {
  if (conditions === undefined || conditions.length === 0) throw validation("At least one condition must be specified");
  const values = conditions.flatMap(valuesOf);
  if (values.length > valuesMax) throw validation(`A rule can have at most '${valuesMax}' condition values`);
  const long = values.find((value) => value.length > valueLengthMax);
  if (long !== undefined)
    throw validation(`The condition value '${long}' is longer than '${valueLengthMax}' characters`);
  return structuredClone([...conditions]);
}

function checkPriority(listener: Listener, priority: number | undefined): number {
  if (priority === undefined || priority < 1 || priority > priorityMax)
    throw validation(`Priority '${priority}' must be between 1 and ${priorityMax}`);
  if ([...listener.rules.values()].some((other) => other.priority === priority))
    throw elbError("PriorityInUse", `Priority '${priority}' is currently in use`);
  return priority;
}

/** Not idempotent: repeated, its priority is in use. */
export function createRule(world: AwsWorld, input: CreateRuleInput): CreateRuleOutput {
  const listener = listenerOf(world, input.ListenerArn);
  const balancer = loadBalancerOf(world, listener.loadBalancerArn);
  if (balancer.type === "network")
    throw elbError("OperationNotPermitted", "Rules can only be created for listeners of Application Load Balancers");
  const ofBalancer = [...world.listeners.values()].filter(({ loadBalancerArn }) => loadBalancerArn === balancer.arn);
  if (ofBalancer.reduce((sum, { rules }) => sum + rules.size, 0) >= rulesMax)
    throw elbError("TooManyRules", "The maximum number of rules has been reached on this load balancer");
  const rule: ListenerRule = {
    ...world.made(),
    arn: `${listener.arn.replace(":listener/", ":listener-rule/")}/${world.id("x", 16).slice(2)}`,
    listenerArn: listener.arn,
    priority: checkPriority(listener, input.Priority),
    conditions: checkConditions(input.Conditions),
    actions: checkActions(world, balancer, listener.protocol, input.Actions),
    tags: tagsFrom(input.Tags),
  };
  listener.rules.set(rule.arn, rule);
  refreshUses(world);
  return { Rules: [shown(rule)] };
}

export function modifyRule(world: AwsWorld, input: ModifyRuleInput): ModifyRuleOutput {
  const rule = ruleOf(world, input.RuleArn);
  const listener = listenerOf(world, rule.listenerArn);
  const balancer = loadBalancerOf(world, listener.loadBalancerArn);
  if (input.Actions !== undefined) rule.actions = checkActions(world, balancer, listener.protocol, input.Actions);
  if (input.Conditions !== undefined) rule.conditions = checkConditions(input.Conditions);
  refreshUses(world);
  return { Rules: [shown(rule)] };
}

export function deleteRule(world: AwsWorld, input: DeleteRuleInput): DeleteRuleOutput {
  const { arn, listenerArn } = ruleOf(world, input.RuleArn);
  listenerOf(world, listenerArn).rules.delete(arn);
  refreshUses(world);
  return {};
}

/** All move at once: two may change places. */
export function setRulePriorities(world: AwsWorld, input: SetRulePrioritiesInput): SetRulePrioritiesOutput {
  const moves = (input.RulePriorities ?? []).map(({ RuleArn, Priority = 0 }) => ({
    rule: ruleOf(world, RuleArn),
    Priority,
  }));
  for (const { rule, Priority: priority } of moves) {
    const others = [...listenerOf(world, rule.listenerArn).rules.values()];
    const standing = others.filter((other) => !moves.some((move) => move.rule === other));
    const moving = moves.filter((move) => move.rule !== rule && move.rule.listenerArn === rule.listenerArn);
    if (standing.some((other) => other.priority === priority) || moving.some((move) => move.Priority === priority))
      throw elbError("PriorityInUse", `Priority '${priority}' is currently in use`);
  }
  for (const { rule, Priority } of moves) rule.priority = Priority;
  return { Rules: moves.map(({ rule }) => shown(rule)) };
}

export function describeRules(world: AwsWorld, input: DescribeRulesInput): DescribeRulesOutput {
  const ofListener = () => {
    const listener = listenerOf(world, input.ListenerArn);
    const inOrder = [...listener.rules.values()].sort((a, b) => a.priority - b.priority).map(shown);
    return [...inOrder, defaultRule(listener)];
  };
  const found = input.RuleArns?.map((arn) => shown(ruleOf(world, arn))) ?? ofListener();
  const rows = found.map((rule, serial) => ({ rule, serial }));
  const { page, next } = pageOf(rows, Math.min(400, input.PageSize ?? 400), input.Marker);
  return { Rules: page.map(({ rule }) => rule), NextMarker: next };
}

const shown = (rule: ListenerRule): Shown => ({
  RuleArn: rule.arn,
  Priority: String(rule.priority),
  Conditions: structuredClone(rule.conditions).map((condition) => ({
    ...condition,
    Values: condition.HostHeaderConfig?.Values ?? condition.PathPatternConfig?.Values ?? condition.Values,
  })),
  Actions: structuredClone(rule.actions),
  IsDefault: false,
});

const defaultRule = ({ arn, defaultActions }: Listener): Shown => ({
  RuleArn: `${arn.replace(":listener/", ":listener-rule/")}/0000000000000000`,
  Priority: "default",
  Conditions: [],
  Actions: structuredClone(defaultActions),
  IsDefault: true,
});
