import { DroverError } from "../../base/errors.ts";
import type { BalancerSpec } from "../balancer.ts";
import { annotationOf, type BalancerSettings } from "./annotations.ts";
import { awsCodeOf } from "./errors.ts";

/** AWS' code without the ending that the SDK's classes have and the wire has not. */
export const elbCode = (error: unknown): string => awsCodeOf(error).replace(/Exception$/, "");

/** Codes that name a limit of the account, and the quota's name in the Service Quotas console. */
const quotas: Readonly<Record<string, string>> = {
  TooManyLoadBalancers: "Load balancers per Region",
  TooManyTargetGroups: "Target groups per Region",
  TooManyListeners: "Listeners per load balancer",
  TooManyRules: "Rules per Application Load Balancer",
  TooManyTargets: "Targets per load balancer",
  TooManyRegistrationsForTargetId: "Number of times a target can be registered per load balancer",
  TooManyCertificates: "Certificates per load balancer",
  TooManyUniqueTargetGroupsPerLoadBalancer: "Target groups per load balancer",
  TargetGroupAssociationLimit: "Load balancers per target group",
  TooManyActions: "Target groups per action",
  RulesPerSecurityGroupLimitExceeded: "Inbound or outbound rules per security group",
  SecurityGroupLimitExceeded: "VPC security groups per Region",
};

/** Codes that mean a value of the user's own, and the setting that holds it. */
const settings: Readonly<Record<string, keyof BalancerSettings>> = {
  CertificateNotFound: "certificates",
  UnsupportedCertificate: "certificates",
  SSLPolicyNotFound: "tlsPolicy",
  ALPNPolicyNotSupported: "alpnPolicy",
  SubnetNotFound: "subnets",
  InvalidSubnet: "subnets",
  AvailabilityZoneNotSupported: "subnets",
  InvalidSecurityGroup: "securityGroups",
  AllocationIdNotFound: "elasticIps",
  WAFNonexistentItem: "webAcl",
  WAFInvalidParameter: "webAcl",
};

/** The same failure in the words of whoever wrote the Service or Ingress: the quota's or the annotation's name. */
export function explained(error: unknown, kind: BalancerSpec["kind"]): unknown {
  if (!(error instanceof DroverError)) return error;
  const code = elbCode(error);
  const quota = quotas[code];
  if (quota !== undefined) {
    const message = `AWS allows no more (${code}): the quota "${quota}" is used up.`;
    return new DroverError("CLOUD_QUOTA", message, { ...error.details, quota }, error);
  }
  const setting = settings[code];
  const annotation = setting === undefined ? undefined : annotationOf(kind, setting);
  if (annotation === undefined) return error;
  return new DroverError("CLOUD_INVALID", `${annotation}: ${error.message}`, { ...error.details, annotation }, error);
}
