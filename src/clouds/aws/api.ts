import type { ACMClient } from "@aws-sdk/client-acm";
import type { EC2Client } from "@aws-sdk/client-ec2";
import type { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { PricingClient } from "@aws-sdk/client-pricing";
import type { Route53Client } from "@aws-sdk/client-route-53";
import type { ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import type { SSMClient } from "@aws-sdk/client-ssm";
import type { STSClient } from "@aws-sdk/client-sts";
import type { WAFV2Client } from "@aws-sdk/client-wafv2";

/** One client a service, shared by everything, so that its retry tokens are shared too. The fake has the same shape. */
export type AwsClients = {
  ec2: Pick<EC2Client, "send">;
  elb: Pick<ElasticLoadBalancingV2Client, "send">;
  route53: Pick<Route53Client, "send">;
  ssm: Pick<SSMClient, "send">;
  pricing: Pick<PricingClient, "send">;
  quotas: Pick<ServiceQuotasClient, "send">;
  sts: Pick<STSClient, "send">;
  acm: Pick<ACMClient, "send">;
  wafv2: Pick<WAFV2Client, "send">;
};

/** An SDK command as far as a call needs it; `Output` is found through its handler. */
type Sendable<Output> = {
  input: object;
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's own parameters differ per client and are not looked at here.
  resolveMiddleware(...parameters: any[]): (parameters: any) => Promise<{ output: Output }>;
};

type SendOptions = {
  signal?: AbortSignal | undefined;
  /** Instances that a RunInstances or TerminateInstances is about: its second bucket is drawn from by as many. */
  resources?: number;
};

/**
 * One call to AWS: waits for the token buckets of its action, sends, and turns what is thrown into the catalogue's
 * CLOUD_* errors, with AWS' own code in `details.awsCode`.
 */
export type Send = <Output extends object>(
  service: keyof AwsClients,
  command: Sendable<Output>,
  options?: SendOptions,
) => Promise<Output>;
