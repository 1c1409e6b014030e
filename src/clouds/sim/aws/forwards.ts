import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbError, validation } from "./elb-errors.ts";
import type { LoadBalancer } from "./load-balancers.ts";
import { checkLogins, completedLogin } from "./logins.ts";
import { type TargetGroup, targetGroupOf } from "./target-groups.ts";
import { groupsIn } from "./uses.ts";
import type { AwsWorld } from "./world.ts";

/** Groups of one action, and the weights they may have. */
const groupsMax = 5;
const weightMax = 999;

/** Groups' protocols that go with a listener's. */
const compatible: Readonly<Record<string, readonly string[]>> = {
  TCP: ["TCP", "TCP_UDP"],
  TLS: ["TCP", "TLS"],
  UDP: ["UDP", "TCP_UDP"],
  TCP_UDP: ["TCP_UDP"],
  HTTP: ["HTTP", "HTTPS"],
  HTTPS: ["HTTP", "HTTPS"],
};

/** Both forms of a forward are shown once either is given, as AWS does. */
function completed(action: Action): Action {
  if (action.Type !== "forward") return completedLogin(action);
  const [only, ...others] = groupsIn([action]);
  const groups = action.ForwardConfig?.TargetGroups ?? [{ TargetGroupArn: only }];
  const weighted = groups.map(({ TargetGroupArn, Weight }) => ({ TargetGroupArn, Weight: Weight ?? 1 }));
  const config = { TargetGroups: weighted, TargetGroupStickinessConfig: { Enabled: false } };
  return {
    ...action,
    ...(others.length === 0 && { TargetGroupArn: only }),
    ForwardConfig: { ...config, ...action.ForwardConfig, TargetGroups: weighted },
  };
}

/** @throws TargetGroupNotFound, TargetGroupAssociationLimit, IncompatibleProtocols, ValidationError */
export function checkActions(
  world: AwsWorld,
  balancer: LoadBalancer,
  protocol: string,
  actions: readonly Action[] | undefined,
): Action[] {
  if (actions === undefined || actions.length === 0) throw validation("At least one action must be specified");
  for (const arn of groupsIn(actions)) checkGroup(targetGroupOf(world, arn), balancer, protocol);
  for (const { ForwardConfig } of actions) {
    const groups = ForwardConfig?.TargetGroups ?? [];
    if (groups.length > groupsMax)
      throw validation(`A forward action can have at most ${groupsMax} target groups, but there are ${groups.length}`);
    const bad = groups.find(({ Weight: weight = 1 }) => weight < 0 || weight > weightMax);
    if (bad !== undefined) throw validation(`Weight '${bad.Weight}' must be between 0 and ${weightMax}`);
  }
  checkLogins(protocol, actions);
  if (balancer.type === "network" && actions.some(({ Type }) => Type !== "forward"))
    throw elbError("InvalidLoadBalancerAction", "Network load balancers support only forward actions");
  return actions.map(completed);
}

function checkGroup(group: TargetGroup, balancer: LoadBalancer, protocol: string): void {
  if ([...group.usedSinceMs.keys()].some((arn) => arn !== balancer.arn)) {
    throw elbError(
      "TargetGroupAssociationLimit",
      `The following target groups cannot be associated with more than one load balancer: ${group.arn}`,
    );
  }
  if (compatible[protocol]?.includes(group.protocol)) return;
  throw elbError(
    "IncompatibleProtocols",
    `The following target groups do not have a protocol that is compatible with the listener's protocol '${protocol}': ${group.arn}`,
  );
}
