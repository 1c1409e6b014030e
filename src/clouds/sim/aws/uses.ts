import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { AwsWorld } from "./world.ts";

/** The target groups that actions forward to. */
export function groupsIn(actions: readonly Action[] | undefined): string[] {
  const arns = (actions ?? []).flatMap(({ TargetGroupArn, ForwardConfig }) => [
    ...(TargetGroupArn === undefined ? [] : [TargetGroupArn]),
    ...(ForwardConfig?.TargetGroups ?? []).map((one) => one.TargetGroupArn ?? ""),
  ]);
  return [...new Set(arns)];
}

/** A group is in use from the moment a listener or a rule forwards to it: its targets begin anew then. */
export function refreshUses(world: AwsWorld): void {
  const uses = new Map<string, Set<string>>();
  for (const { loadBalancerArn, defaultActions, rules } of world.listeners.values()) {
    const actions = [defaultActions, ...[...rules.values()].map((rule) => rule.actions)].flat();
    for (const arn of groupsIn(actions)) uses.set(arn, (uses.get(arn) ?? new Set()).add(loadBalancerArn));
  }
  for (const [arn, { usedSinceMs }] of world.targetGroups) {
    const by = uses.get(arn) ?? new Set();
    for (const balancer of usedSinceMs.keys()) if (!by.has(balancer)) usedSinceMs.delete(balancer);
    for (const balancer of by) if (!usedSinceMs.has(balancer)) usedSinceMs.set(balancer, world.nowMs());
  }
}
