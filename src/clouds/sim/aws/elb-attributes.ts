import type {
  DescribeLoadBalancerAttributesInput,
  DescribeLoadBalancerAttributesOutput,
  DescribeTargetGroupAttributesInput,
  DescribeTargetGroupAttributesOutput,
  ModifyLoadBalancerAttributesInput,
  ModifyLoadBalancerAttributesOutput,
  ModifyTargetGroupAttributesInput,
  ModifyTargetGroupAttributesOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { validation } from "./elb-errors.ts";
import { loadBalancerOf } from "./load-balancers.ts";
import { targetGroupOf } from "./target-groups.ts";
import type { AwsWorld } from "./world.ts";

type Attribute = { Key?: string | undefined; Value?: string | undefined };

/** Every attribute has a default, so that one without is not known. All are set or none. */
function setAttributes(what: string, attributes: Map<string, string>, given: readonly Attribute[] | undefined): void {
  for (const { Key: key = "", Value: value } of given ?? []) {
    if (!attributes.has(key)) throw validation(`${what} attribute key '${key}' is not recognized`);
    if (value === undefined) throw validation(`${what} attribute '${key}' needs a value`);
    checkValue(key, value);
  }
  for (const { Key: key = "", Value: value = "" } of given ?? []) attributes.set(key, value);
}

function checkValue(key: string, value: string): void {
  if (key === "deregistration_delay.timeout_seconds" && !(/^\d+$/.test(value) && Number(value) <= 3_600))
    throw validation(`'${key}' must be between 0 and 3600`);
  if (key.endsWith(".enabled") && !["true", "false"].includes(value) && value !== "use_load_balancer_configuration")
    throw validation(`'${key}' must be true or false`);
}

const shown = (attributes: ReadonlyMap<string, string>): Attribute[] =>
  [...attributes].map(([Key, Value]) => ({ Key, Value }));

export function modifyLoadBalancerAttributes(
  world: AwsWorld,
  input: ModifyLoadBalancerAttributesInput,
): ModifyLoadBalancerAttributesOutput {
  const { attributes } = loadBalancerOf(world, input.LoadBalancerArn);
  setAttributes("Load balancer", attributes, input.Attributes);
  return { Attributes: shown(attributes) };
}

export const describeLoadBalancerAttributes = (
  world: AwsWorld,
  input: DescribeLoadBalancerAttributesInput,
): DescribeLoadBalancerAttributesOutput => ({
  Attributes: shown(loadBalancerOf(world, input.LoadBalancerArn).attributes),
});

export function modifyTargetGroupAttributes(
  world: AwsWorld,
  input: ModifyTargetGroupAttributesInput,
): ModifyTargetGroupAttributesOutput {
  const { attributes } = targetGroupOf(world, input.TargetGroupArn);
  setAttributes("Target group", attributes, input.Attributes);
  return { Attributes: shown(attributes) };
}

export const describeTargetGroupAttributes = (
  world: AwsWorld,
  input: DescribeTargetGroupAttributesInput,
): DescribeTargetGroupAttributesOutput => ({
  Attributes: shown(targetGroupOf(world, input.TargetGroupArn).attributes),
});
