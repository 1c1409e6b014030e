import { policyParts, policyText } from "../../src/clouds/aws/policy.ts";
import type { Call } from "../../src/clouds/sim/aws/calls.ts";
import { AwsError } from "../../src/clouds/sim/aws/errors.ts";
import type { AwsWorld } from "../../src/clouds/sim/aws/world.ts";

/**
 * An IAM for the fake of AWS: judges each call by the generated policies with their resources and conditions, as AWS'
 * service authorization reference says which resources a call touches and which keys it carries.
 */

type Tags = ReadonlyMap<string, string>;
type Condition = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
export type Statement = {
  Sid: string;
  Action: readonly string[];
  Resource: string | readonly string[];
  Condition?: Condition;
};
/** One permission that a call needs: an action on one resource, and what is known of both. */
type Need = { action: string; resource: string; context: ReadonlyMap<string, readonly string[]> };

type TagList = readonly { Key?: string; Value?: string }[];
type Given = {
  ResourceType?: string;
  Tags?: TagList;
  Resources?: readonly string[];
  ResourceArns?: readonly string[];
  [name: string]: unknown;
};

const account = "123456789012";
const region = "us-east-1";

export function generatedStatements(cluster: string): Statement[] {
  const words = { partition: "aws", account, region, cluster, zone: "*" };
  return policyParts.flatMap((part) => JSON.parse(policyText(part, words, true)).Statement);
}

/** Has every call judged by the statements; `refused`: what each refused call lacked. */
export function enforce(world: AwsWorld, statements: readonly Statement[]): { refused: Set<string> } {
  const refused = new Set<string>();
  world.hooks.beforeCall = ({ service, action, input }) => {
    const lacking = needsOf(world, service, action, input as Given).find(
      (need) => !statements.some((statement) => allows(statement, need)),
    );
    if (!lacking) return;
    refused.add(`${lacking.action} on ${lacking.resource}`);
    const code = service === "ec2" ? "UnauthorizedOperation" : "AccessDenied";
    const sentence = `User: ${world.account.userArn} is not authorized to perform: ${lacking.action} on resource: ${lacking.resource}`;
    throw new AwsError(code, `${sentence} because no identity-based policy allows the ${lacking.action} action`);
  };
  return { refused };
}

const listed = (value: string | readonly string[]): readonly string[] => (typeof value === "string" ? [value] : value);

const isLike = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
  ).test(text);

function allows({ Action, Resource, Condition = {} }: Statement, { action, resource, context }: Need): boolean {
  return (
    Action.includes(action) &&
    listed(Resource).some((pattern) => isLike(pattern, resource)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => holds(operator, context.get(key), listed(wanted))),
    )
  );
}

function holds(operator: string, values: readonly string[] | undefined, wanted: readonly string[]): boolean {
  if (operator === "StringEquals") return values?.some((value) => wanted.includes(value)) ?? false;
  if (operator === "StringEqualsIfExists") return values?.some((value) => wanted.includes(value)) ?? true;
  if (operator === "ForAllValues:StringNotEquals") return (values ?? []).every((value) => !wanted.includes(value));
  throw new Error(`nobody has said what ${operator} means`);
}

const tagMap = (tags: TagList = []): Tags => new Map(tags.map(({ Key = "", Value = "" }) => [Key, Value]));

type Known = { own?: Tags | undefined; requested?: Tags | undefined; createAction?: string };

function need(service: string, action: string, resource: string, { own, requested, createAction }: Known = {}): Need {
  const context = new Map<string, readonly string[]>([["aws:RequestedRegion", [region]]]);
  for (const [key, value] of own ?? []) context.set(`aws:ResourceTag/${key}`, [value]);
  for (const [key, value] of requested ?? []) context.set(`aws:RequestTag/${key}`, [value]);
  if (requested) context.set("aws:TagKeys", [...requested.keys()]);
  if (createAction !== undefined) context.set(`${service}:CreateAction`, [createAction]);
  return { action: `${service}:${action}`, resource, context };
}

const reads = /^(Describe|List|GetProducts|GetCallerIdentity)/;

function needsOf(world: AwsWorld, service: Call["service"], action: string, input: Given): Need[] {
  if (service === "ec2") return ec2Needs(world, action, input);
  if (service === "elb") return elbNeeds(world, action, input);
  if (service === "route53") return [need("route53", action, route53Resource(action, input))];
  if (service === "wafv2") return webAclNeeds(world, action, input);
  if (service === "ssm") return [need("ssm", action, `arn:aws:ssm:${region}::parameter${input["Name"]}`)];
  return [need(service === "quotas" ? "servicequotas" : service, action, "*")];
}

/** Of the firewall's calls: the load balancer, the web ACL, and what the load balancer's own service asks for. */
function webAclNeeds(world: AwsWorld, action: string, input: Given): Need[] {
  if (action.startsWith("Get")) return ["GetWebACL", action].map((one) => need("wafv2", one, "*"));
  const named = [input["WebACLArn"], input["ResourceArn"]].filter((arn) => typeof arn === "string");
  const own = elbTags(world, String(input["ResourceArn"]));
  const setting = need("elasticloadbalancing", "SetWebAcl", String(input["ResourceArn"]), { own });
  return [...named.map((arn) => need("wafv2", action, arn)), setting];
}

function route53Resource(action: string, input: Given): string {
  if (action === "GetChange") return `arn:aws:route53:::change/${input["Id"]}`;
  const zone = input["HostedZoneId"] ?? input["ResourceId"] ?? input["Id"];
  return zone === undefined ? "*" : `arn:aws:route53:::hostedzone/${zone}`;
}

const ec2Arn = (kind: string, id = "new") => `arn:aws:ec2:${region}:${account}:${kind}/${id}`;
/** By the prefix of an id. */
const ec2Kinds: Readonly<Record<string, [kind: string, of: (world: AwsWorld) => ReadonlyMap<string, { tags: Tags }>]>> =
  {
    i: ["instance", ({ instances }) => instances],
    lt: ["launch-template", ({ launchTemplates }) => launchTemplates],
    sg: ["security-group", ({ securityGroups }) => securityGroups],
    vol: ["volume", ({ volumes }) => volumes],
  };
/** What calls make and tag, by the name of the resource. */
const made: Readonly<Record<string, readonly string[]>> = {
  CreateLaunchTemplate: ["launch-template"],
  CreateSecurityGroup: ["security-group"],
  CreateVolume: ["volume"],
  RunInstances: ["instance", "volume", "network-interface"],
};

/** The things of the account that a call names, with their tags; what is not there is the service's own to refuse. */
function namedThings(world: AwsWorld, input: Given): { arn: string; own: Tags }[] {
  const texts = Object.values(input).flatMap((value) => (Array.isArray(value) ? value : [value]));
  return texts.flatMap((id) => {
    const [kind, of] = (typeof id === "string" && ec2Kinds[id.replace(/-[0-9a-f]{8,}$/, "")]) || [];
    const thing = of?.(world).get(id);
    return kind && thing ? [{ arn: ec2Arn(kind, id), own: thing.tags }] : [];
  });
}

function ec2Needs(world: AwsWorld, action: string, input: Given): Need[] {
  if (reads.test(action)) return [need("ec2", action, "*")];
  const kinds = made[action];
  if (!kinds) {
    const requested = input.Tags && tagMap(input.Tags);
    return namedThings(world, input).map(({ arn, own }) => need("ec2", action, arn, { own, requested }));
  }
  const specifications = (input["TagSpecifications"] ?? []) as readonly Given[];
  const tagsOf = (kind: string) => tagMap(specifications.find(({ ResourceType }) => ResourceType === kind)?.Tags);
  const isSpot = input["InstanceMarketOptions"] !== undefined;
  const making = [...kinds, ...(isSpot ? ["spot-instances-request"] : [])];
  return [
    ...making.map((kind) => need("ec2", action, ec2Arn(kind), { requested: tagsOf(kind) })),
    ...specifications.map(({ ResourceType = "", Tags }) =>
      need("ec2", "CreateTags", ec2Arn(ResourceType), { requested: tagMap(Tags), createAction: action }),
    ),
    ...(action === "CreateSecurityGroup" ? [need("ec2", action, ec2Arn("vpc", "vpc-1"))] : []),
    ...(action === "RunInstances" ? launchNeeds(world, input) : []),
  ];
}

/** What machines are launched with, beside what is made. */
function launchNeeds(world: AwsWorld, input: Given): Need[] {
  const { LaunchTemplateName: name } = (input["LaunchTemplate"] ?? {}) as { LaunchTemplateName?: string };
  const template = [...world.launchTemplates.values()].find((each) => each.name === name);
  const withThese = [
    `arn:aws:ec2:${region}::image/ami-1`,
    ec2Arn("subnet", "subnet-1"),
    ec2Arn("security-group", "sg-1"),
  ];
  return [
    ...withThese.map((arn) => need("ec2", "RunInstances", arn)),
    ...(template ? [need("ec2", "RunInstances", ec2Arn("launch-template", "lt-1"), { own: template.tags })] : []),
  ];
}

/** The resource of ELB's calls: the new one, or what the ARNs in the call name. */
function elbNeeds(world: AwsWorld, action: string, input: Given): Need[] {
  const service = "elasticloadbalancing";
  if (reads.test(action)) return [need(service, action, "*")];
  const requested = input.Tags && tagMap(input.Tags);
  if (/^Create/.test(action)) {
    const kind = { CreateRule: "listener-rule" }[action] ?? action.replace("Create", "").toLowerCase();
    const arn = `arn:aws:${service}:${region}:${account}:${kind}/new`;
    const tagging = requested ? [need(service, "AddTags", arn, { requested, createAction: action })] : [];
    return [need(service, action, arn, { requested }), ...tagging];
  }
  const priorities = (input["RulePriorities"] ?? []) as readonly { RuleArn?: string }[];
  const arns = [
    ...["LoadBalancerArn", "TargetGroupArn", "ListenerArn", "RuleArn"].map((name) => input[name]),
    ...(input.ResourceArns ?? []),
    ...priorities.map(({ RuleArn }) => RuleArn),
  ].filter((arn) => typeof arn === "string");
  return arns.flatMap((arn) => {
    const own = elbTags(world, arn);
    return own ? [need(service, action, arn, { own, requested })] : [];
  });
}

function elbTags({ loadBalancers, targetGroups, listeners }: AwsWorld, arn: string): Tags | undefined {
  const rules = [...listeners.values()].map((listener) => listener.rules.get(arn));
  const thing = loadBalancers.get(arn) ?? targetGroups.get(arn) ?? listeners.get(arn) ?? rules.find((rule) => rule);
  return thing?.tags;
}
