import type {
  CreateTargetGroupInput,
  CreateTargetGroupOutput,
  DeleteTargetGroupInput,
  DeleteTargetGroupOutput,
  DescribeTargetGroupsInput,
  DescribeTargetGroupsOutput,
  ModifyTargetGroupInput,
  ModifyTargetGroupOutput,
  TargetGroup as Shown,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { checkCount, checkName, elbError, validation } from "./elb-errors.ts";
import { pageOf } from "./paging.ts";
import { type Tags, tagsFrom } from "./tags.ts";
import type { Target } from "./target-health.ts";
import { type AwsWorld, type Resource, visibleAt } from "./world.ts";

type HealthCheck = {
  protocol: string;
  port: string;
  path?: string;
  intervalSeconds: number;
  timeoutSeconds: number;
  healthyThreshold: number;
  unhealthyThreshold: number;
  codes?: string;
  enabled: boolean;
};

export type TargetGroup = Resource & {
  arn: string;
  name: string;
  protocol: string;
  protocolVersion?: string;
  port: number;
  vpcId: string;
  targetType: string;
  health: HealthCheck;
  attributes: Map<string, string>;
  /** By `ID:PORT`, draining ones included. */
  targets: Map<string, Target>;
  /** Load balancers that forward to it, and since when. */
  usedSinceMs: Map<string, number>;
  tags: Tags;
};

const isHttp = (protocol: string | undefined): boolean => protocol === "HTTP" || protocol === "HTTPS";

const commonAttributes: readonly (readonly [string, string])[] = [
  ["deregistration_delay.timeout_seconds", "300"],
  ["load_balancing.cross_zone.enabled", "use_load_balancer_configuration"],
  ["stickiness.enabled", "false"],
  ["target_group_health.dns_failover.minimum_healthy_targets.count", "1"],
  ["target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"],
  ["target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"],
  ["target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"],
];

const networkAttributes = (protocol: string): readonly (readonly [string, string])[] => [
  ...commonAttributes,
  ["deregistration_delay.connection_termination.enabled", "false"],
  // Of instances it is on by default, whatever the protocol.
  ["preserve_client_ip.enabled", "true"],
  ["proxy_protocol_v2.enabled", "false"],
  ["stickiness.type", "source_ip"],
  ...(protocol === "TCP" || protocol === "TLS"
    ? ([["target_health_state.unhealthy.connection_termination.enabled", "true"]] as const)
    : []),
  ["target_health_state.unhealthy.draining_interval_seconds", "0"],
];

const applicationAttributes: readonly (readonly [string, string])[] = [
  ...commonAttributes,
  ["load_balancing.algorithm.anomaly_mitigation", "off"],
  ["load_balancing.algorithm.type", "round_robin"],
  ["slow_start.duration_seconds", "0"],
  ["stickiness.app_cookie.cookie_name", ""],
  ["stickiness.app_cookie.duration_seconds", "86400"],
  ["stickiness.lb_cookie.duration_seconds", "86400"],
  ["stickiness.type", "lb_cookie"],
];

export function targetGroupOf(world: AwsWorld, arn: string | undefined): TargetGroup {
  const found = arn === undefined ? undefined : world.targetGroups.get(arn);
  if (found === undefined) throw elbError("TargetGroupNotFound", "One or more target groups not found");
  return found;
}

/** A health check's parameters over those that stood before. */
function healthOf(
  input: Omit<ModifyTargetGroupInput, "TargetGroupArn">,
  before: HealthCheck,
  isApplication: boolean,
): HealthCheck {
  const protocol = input.HealthCheckProtocol ?? before.protocol;
  const http = isHttp(protocol);
  const health: HealthCheck = {
    protocol,
    port: input.HealthCheckPort ?? before.port,
    ...(http && { path: input.HealthCheckPath ?? before.path ?? "/" }),
    ...(http && { codes: input.Matcher?.HttpCode ?? before.codes ?? (isApplication ? "200" : "200-399") }),
    intervalSeconds: input.HealthCheckIntervalSeconds ?? before.intervalSeconds,
    timeoutSeconds: input.HealthCheckTimeoutSeconds ?? before.timeoutSeconds,
    healthyThreshold: input.HealthyThresholdCount ?? before.healthyThreshold,
    unhealthyThreshold: input.UnhealthyThresholdCount ?? before.unhealthyThreshold,
    enabled: input.HealthCheckEnabled ?? before.enabled,
  };
  if (input.HealthCheckPath !== undefined && !http)
    throw validation(`Health check path cannot be set for health checks of protocol '${protocol}'`);
  checkRange("interval", health.intervalSeconds, 5, 300);
  checkRange("timeout", health.timeoutSeconds, 2, 120);
  checkRange("healthy threshold count", health.healthyThreshold, 2, 10);
  checkRange("unhealthy threshold count", health.unhealthyThreshold, 2, 10);
  if (isApplication && health.timeoutSeconds >= health.intervalSeconds)
    throw validation(
      `Health check timeout '${health.timeoutSeconds}' must be smaller than the interval '${health.intervalSeconds}'`,
    );
  return health;
}

function checkRange(what: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return;
  throw validation(`Health check ${what} '${value}' must be between '${min}' and '${max}'`);
}

const defaultHealth = (isApplication: boolean, protocol: string): HealthCheck => ({
  protocol: isApplication ? (protocol === "HTTPS" ? "HTTPS" : "HTTP") : "TCP",
  port: "traffic-port",
  intervalSeconds: 30,
  timeoutSeconds: isApplication ? 5 : 10,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  enabled: true,
});

/** Repeated with the same settings it answers with the one that is there. */
export function createTargetGroup(world: AwsWorld, input: CreateTargetGroupInput): CreateTargetGroupOutput {
  const name = checkName("target group", input.Name);
  const { Protocol: protocol, Port: port, VpcId: vpcId, TargetType: targetType = "instance" } = input;
  if (protocol === undefined) throw validation("A protocol must be specified");
  if (port === undefined) throw validation("A port must be specified");
  if (port < 1 || port > 65_535) throw validation(`Port '${port}' must be between 1 and 65535`);
  if (vpcId === undefined || !world.vpcs.has(vpcId)) throw validation(`The VPC ID '${vpcId}' is not found`);
  const isApplication = isHttp(protocol);
  const health = healthOf(input, defaultHealth(isApplication, protocol), isApplication);
  const version = isApplication ? (input.ProtocolVersion ?? "HTTP1") : undefined;
  const settings = { protocol, port, vpcId, targetType, health, ...(version && { protocolVersion: version }) };
  const same = [...world.targetGroups.values()].find((other) => other.name === name);
  if (same !== undefined) return known(same, settings);
  if (world.targetGroups.size >= world.quotas.value("L-B22855CB"))
    throw elbError("TooManyTargetGroups", "The maximum number of target groups has been reached");
  const { region, id: account } = world.account;
  const group: TargetGroup = {
    ...world.made(),
    ...settings,
    arn: `arn:aws:elasticloadbalancing:${region}:${account}:targetgroup/${name}/${world.id("x", 16).slice(2)}`,
    name,
    attributes: new Map(isApplication ? applicationAttributes : networkAttributes(protocol)),
    targets: new Map(),
    usedSinceMs: new Map(),
    tags: tagsFrom(input.Tags),
  };
  world.targetGroups.set(group.arn, group);
  return { TargetGroups: [shown(group)] };
}

function known(same: TargetGroup, settings: Partial<TargetGroup>): CreateTargetGroupOutput {
  const { protocol, port, vpcId, targetType, health, protocolVersion } = same;
  const standing = { protocol, port, vpcId, targetType, health, ...(protocolVersion && { protocolVersion }) };
  if (JSON.stringify(standing) !== JSON.stringify(settings)) {
    throw elbError(
      "DuplicateTargetGroupName",
      `A target group with the same name '${same.name}' exists, but with different settings`,
    );
  }
  return { TargetGroups: [shown(same)] };
}

export function modifyTargetGroup(world: AwsWorld, input: ModifyTargetGroupInput): ModifyTargetGroupOutput {
  const group = targetGroupOf(world, input.TargetGroupArn);
  group.health = healthOf(input, group.health, isHttp(group.protocol));
  return { TargetGroups: [shown(group)] };
}

/** One that isn't there is deleted with success. */
export function deleteTargetGroup(world: AwsWorld, input: DeleteTargetGroupInput): DeleteTargetGroupOutput {
  const { TargetGroupArn: arn = "" } = input;
  if ((world.targetGroups.get(arn)?.usedSinceMs.size ?? 0) > 0)
    throw elbError("ResourceInUse", `Target group '${arn}' is currently in use by a listener or a rule`);
  world.targetGroups.delete(arn);
  return {};
}

export function describeTargetGroups(
  world: AwsWorld,
  input: DescribeTargetGroupsInput,
  atMs: number,
): DescribeTargetGroupsOutput {
  checkCount("target groups", input.TargetGroupArns);
  checkCount("target groups", input.Names);
  const all = [...world.targetGroups.values()];
  const byName = input.Names?.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) throw elbError("TargetGroupNotFound", "One or more target groups not found");
    return found;
  });
  const byArn = input.TargetGroupArns?.map((arn) => targetGroupOf(world, arn));
  const byBalancer = input.LoadBalancerArn;
  const wanted = byArn ?? byName ?? all.filter(visibleAt(atMs));
  const found = byBalancer === undefined ? wanted : wanted.filter(({ usedSinceMs }) => usedSinceMs.has(byBalancer));
  const { page, next } = pageOf(found, Math.min(400, input.PageSize ?? 400), input.Marker);
  return { TargetGroups: page.map(shown), NextMarker: next };
}

const shown = (group: TargetGroup): Shown => ({
  TargetGroupArn: group.arn,
  TargetGroupName: group.name,
  Protocol: group.protocol as NonNullable<Shown["Protocol"]>,
  ...(group.protocolVersion !== undefined && { ProtocolVersion: group.protocolVersion }),
  Port: group.port,
  VpcId: group.vpcId,
  TargetType: group.targetType as NonNullable<Shown["TargetType"]>,
  IpAddressType: "ipv4",
  HealthCheckProtocol: group.health.protocol as NonNullable<Shown["HealthCheckProtocol"]>,
  HealthCheckPort: group.health.port,
  HealthCheckEnabled: group.health.enabled,
  HealthCheckIntervalSeconds: group.health.intervalSeconds,
  HealthCheckTimeoutSeconds: group.health.timeoutSeconds,
  HealthyThresholdCount: group.health.healthyThreshold,
  UnhealthyThresholdCount: group.health.unhealthyThreshold,
  ...(group.health.path !== undefined && { HealthCheckPath: group.health.path }),
  ...(group.health.codes !== undefined && { Matcher: { HttpCode: group.health.codes } }),
  LoadBalancerArns: [...group.usedSinceMs.keys()],
});
