import type {
  AssociateWebACLRequest,
  AssociateWebACLResponse,
  DisassociateWebACLRequest,
  DisassociateWebACLResponse,
  GetWebACLForResourceRequest,
  GetWebACLForResourceResponse,
} from "@aws-sdk/client-wafv2";
import { AwsError } from "./errors.ts";
import type { LoadBalancer } from "./load-balancers.ts";
import type { AwsWorld } from "./world.ts";

const absent = () =>
  new AwsError(
    "WAFNonexistentItemException",
    "AWS WAF couldn’t perform the operation because your resource doesn’t exist.",
  );

/** One that was made a moment ago is not known here yet. */
function protectedOne(world: AwsWorld, arn: string | undefined): LoadBalancer {
  const found = arn === undefined ? undefined : world.loadBalancers.get(arn);
  if (found === undefined) throw absent();
  if (found.visibleAtMs <= world.nowMs()) return found;
  throw new AwsError(
    "WAFUnavailableEntityException",
    "AWS WAF couldn’t retrieve the resource that you requested. Retry your request.",
  );
}

/** It takes the place of one that was there. */
export function associateWebAcl(world: AwsWorld, input: AssociateWebACLRequest): AssociateWebACLResponse {
  const balancer = protectedOne(world, input.ResourceArn);
  const { WebACLArn: arn = "" } = input;
  if (!world.webAcls.has(arn)) throw absent();
  balancer.webAclArn = arn;
  return {};
}

export function disassociateWebAcl(world: AwsWorld, input: DisassociateWebACLRequest): DisassociateWebACLResponse {
  delete protectedOne(world, input.ResourceArn).webAclArn;
  return {};
}

export function getWebAclForResource(
  world: AwsWorld,
  input: GetWebACLForResourceRequest,
): GetWebACLForResourceResponse {
  const { webAclArn: arn } = protectedOne(world, input.ResourceArn);
  if (arn === undefined) return {};
  const [, , name, id] = arn.split("/");
  const VisibilityConfig = { SampledRequestsEnabled: false, CloudWatchMetricsEnabled: false, MetricName: name };
  return { WebACL: { ARN: arn, Name: name, Id: id, DefaultAction: { Allow: {} }, VisibilityConfig } };
}
