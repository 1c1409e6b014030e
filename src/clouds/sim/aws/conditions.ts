import type { Call, CallFault, Service } from "./calls.ts";
import { AwsError } from "./errors.ts";
import type { Account } from "./world.ts";

/** A time on the monotonic scale in ms, its end not included. */
export type Span = { fromMs: number; untilMs: number };

const covers = ({ fromMs, untilMs }: Span, nowMs: number): boolean => fromMs <= nowMs && nowMs < untilMs;

/** What services are called in IAM's actions. */
const prefixes: Readonly<Record<Service, string>> = {
  ec2: "ec2",
  elb: "elasticloadbalancing",
  route53: "route53",
  ssm: "ssm",
  pricing: "pricing",
  quotas: "servicequotas",
  sts: "sts",
  acm: "acm",
  wafv2: "wafv2",
};

/** The state that a test puts the account in: it lasts until it is taken back. */
export class Conditions {
  /** Actions that the user may not do, as IAM spells them: `ec2:RunInstances`, `iam:PassRole`. */
  readonly denied = new Set<string>();
  /** While the credentials are expired. `sso`: the SDK finds it out by itself, before it sends anything. */
  readonly expired: (Span & { sso?: boolean })[] = [];
  /** While an action fails, or with `*` all of a service's. */
  readonly outages: (Span & { service: Service; action: string; fault: CallFault })[] = [];
  readonly #next = new Map<string, CallFault[]>();

  /** The next `times` attempts of an action meet the fault. */
  fail(action: string, fault: CallFault, times = 1): void {
    this.#next.set(action, [...(this.#next.get(action) ?? []), ...Array.from({ length: times }, () => fault)]);
  }

  faultOf({ service, action }: Call, nowMs: number): CallFault | undefined {
    const outage = this.outages.find(
      (one) => one.service === service && [action, "*"].includes(one.action) && covers(one, nowMs),
    );
    return outage?.fault ?? this.#next.get(action)?.shift();
  }

  /** @throws what the SDK or the service says of credentials that are no longer good */
  checkCredentials(service: Service, nowMs: number): void {
    const expired = this.expired.find((span) => covers(span, nowMs));
    if (expired === undefined) return;
    if (expired.sso) {
      throw Object.assign(
        new Error(
          "The SSO session associated with this profile has expired. To refresh this SSO session run aws sso login with the corresponding profile.",
        ),
        { name: "CredentialsProviderError", tryNextLink: false },
      );
    }
    if (service === "ec2") throw new AwsError("RequestExpired", "Request has expired.");
    const code = ["ssm", "pricing", "quotas", "acm", "wafv2"].includes(service)
      ? "ExpiredTokenException"
      : "ExpiredToken";
    throw new AwsError(code, "The security token included in the request is expired");
  }

  /** @throws what each service says when the user lacks a permission; only the first that lacks is named */
  checkPermissions({ service, action, input }: Call, account: Account): void {
    const missing = neededFor(service, action, input).find((one) => this.denied.has(one));
    if (missing === undefined) return;
    const sentence = `User: ${account.userArn} is not authorized to perform: ${missing} on resource: ${resourceOf(missing, account)} because no identity-based policy allows the ${missing} action`;
    if (service === "ec2") {
      throw new AwsError(
        "UnauthorizedOperation",
        `You are not authorized to perform this operation. ${sentence}. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm-abcdefghijklmn-abcdefghijklmn`,
      );
    }
    throw new AwsError(
      ["elb", "route53", "sts"].includes(service) ? "AccessDenied" : "AccessDeniedException",
      sentence,
    );
  }
}

/** A call's own action, and those that it needs for what it does beside. */
function neededFor(service: Service, action: string, input: Call["input"]): string[] {
  const needed = [`${prefixes[service]}:${action}`];
  const has = (name: string) => Array.isArray(input[name]) && input[name].length > 0;
  if (service === "ec2" && action !== "CreateTags" && has("TagSpecifications")) needed.push("ec2:CreateTags");
  if (service === "elb" && action.startsWith("Create") && has("Tags")) needed.push("elasticloadbalancing:AddTags");
  if (service === "wafv2") needed.push(action.startsWith("Get") ? "wafv2:GetWebACL" : "elasticloadbalancing:SetWebAcl");
  if (action === "RunInstances" && input["IamInstanceProfile"] !== undefined) needed.push("iam:PassRole");
  return needed;
}

/** The kinds of resources by the action's last word. */
const resourceKinds: Readonly<Record<string, string>> = {
  RunInstances: "instance/*",
  TerminateInstances: "instance/*",
  CreateLaunchTemplate: "launch-template/*",
  DeleteLaunchTemplate: "launch-template/*",
  CreateSecurityGroup: "security-group/*",
  DeleteSecurityGroup: "security-group/*",
  CreateVolume: "volume/*",
  DeleteVolume: "volume/*",
  CreateLoadBalancer: "loadbalancer/*",
  CreateTargetGroup: "targetgroup/*",
};

function resourceOf(permission: string, { region, id }: Account): string {
  const [service = "", action = ""] = permission.split(":");
  if (permission === "iam:PassRole") return `arn:aws:iam::${id}:role/drover-pod`;
  if (service === "route53") return "arn:aws:route53:::hostedzone/*";
  const kind = resourceKinds[action];
  return /^(Describe|Get|List)/.test(action) || kind === undefined ? "*" : `arn:aws:${service}:${region}:${id}:${kind}`;
}
