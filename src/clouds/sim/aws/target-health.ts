import type {
  DeregisterTargetsInput,
  DeregisterTargetsOutput,
  DescribeTargetHealthInput,
  DescribeTargetHealthOutput,
  RegisterTargetsInput,
  RegisterTargetsOutput,
  TargetHealth,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbError, validation } from "./elb-errors.ts";
import { type Instance, stateAt } from "./instances.ts";
import { draw } from "./latencies.ts";
import { type TargetGroup, targetGroupOf } from "./target-groups.ts";
import type { AwsWorld } from "./world.ts";

/** A registration as moments, on the monotonic scale in ms; Infinity: not foreseen. */
export type Target = {
  id: string;
  port: number;
  registeredAtMs: number;
  /** From when it may be checked until it is healthy, if it answers all the time. */
  healthyAfterMs: number;
  deregisteredAtMs: number;
  /** New connections reach it until then. */
  receivesUntilMs: number;
  /** It is listed as draining until then. */
  drainedAtMs: number;
};

/** Of an application balancer's group in all, of a network balancer's in each zone. */
const targetsMax = 1_000;
const targetsMaxPerZone = 500;
/** A terminated instance's registration is shown for so long. */
const terminatedShownMs = 60_000;
/** The first part of the time until a target is healthy: it is not checked yet. */
const registrationShare = 0.6;

/** Instances by id, or by address in groups of addresses. */
function instanceOf(world: AwsWorld, group: TargetGroup, id: string): Instance | undefined {
  if (group.targetType === "instance") return world.instances.get(id);
  return [...world.instances.values()].find(
    (one) => one.privateIp === id && stateAt(one, world.nowMs()) !== "terminated",
  );
}

type Named = { Id?: string | undefined; Port?: number | undefined };
const keyOf = (group: TargetGroup, { Id, Port }: Named): string => `${Id}:${Port ?? group.port}`;

function checkRoom(world: AwsWorld, { protocol, targetType }: TargetGroup, keys: ReadonlySet<string>): void {
  const isPerZone = !protocol.startsWith("HTTP") && targetType === "instance";
  const max = isPerZone ? targetsMaxPerZone : targetsMax;
  const counts = new Map<string, number>();
  for (const key of keys) {
    const zone = isPerZone ? (world.instances.get(key.replace(/:\d+$/, ""))?.zone ?? "") : "";
    counts.set(zone, (counts.get(zone) ?? 0) + 1);
  }
  if (Math.max(0, ...counts.values()) > max)
    throw elbError("TooManyTargets", `The maximum number of targets of a target group is '${max}'`);
}

/** All are registered or none. One that drains is registered anew; one that is there stays as it is. */
export function registerTargets(world: AwsWorld, input: RegisterTargetsInput): RegisterTargetsOutput {
  const group = targetGroupOf(world, input.TargetGroupArn);
  const named = input.Targets ?? [];
  if (named.length === 0) throw validation("At least one target must be specified");
  for (const { Id: id = "" } of named) checkTarget(world, group, id);
  const nowMs = world.nowMs();
  const stands = (key: string) => nowMs < (group.targets.get(key)?.deregisteredAtMs ?? Number.NEGATIVE_INFINITY);
  const keys = new Set([...group.targets.keys()].filter(stands));
  for (const one of named) keys.add(keyOf(group, one));
  checkRoom(world, group, keys);
  const { networkTargetHealthy, applicationTargetHealthy } = world.latencies;
  const wait = group.protocol.startsWith("HTTP") ? applicationTargetHealthy : networkTargetHealthy;
  for (const one of named) {
    const key = keyOf(group, one);
    if (stands(key)) continue;
    group.targets.set(key, {
      id: one.Id ?? "",
      port: one.Port ?? group.port,
      registeredAtMs: nowMs,
      healthyAfterMs: draw(world.random, wait),
      deregisteredAtMs: Number.POSITIVE_INFINITY,
      receivesUntilMs: Number.POSITIVE_INFINITY,
      drainedAtMs: Number.POSITIVE_INFINITY,
    });
  }
  return {};
}

function checkTarget(world: AwsWorld, group: TargetGroup, id: string): void {
  if (group.targetType !== "instance") return;
  const instance = world.instances.get(id);
  if (instance === undefined || instance.vpcId !== group.vpcId)
    throw elbError("InvalidTarget", `Instance ID '${id}' is not valid`);
  if (stateAt(instance, world.nowMs()) === "running") return;
  throw elbError("InvalidTarget", `The following targets are not in a running state and cannot be registered: '${id}'`);
}

/** Without a port every registration of the target goes. What isn't registered is a success. */
export function deregisterTargets(world: AwsWorld, input: DeregisterTargetsInput): DeregisterTargetsOutput {
  const group = targetGroupOf(world, input.TargetGroupArn);
  const nowMs = world.nowMs();
  const delayMs = Number(group.attributes.get("deregistration_delay.timeout_seconds")) * 1_000;
  for (const { Id: id, Port: port } of input.Targets ?? []) {
    for (const [key, target] of group.targets) {
      if (target.id !== id || (port !== undefined && target.port !== port) || nowMs >= target.deregisteredAtMs)
        continue;
      const state = healthAt(world, group, target, nowMs).State;
      if (state === "unused") {
        group.targets.delete(key);
        continue;
      }
      target.deregisteredAtMs = nowMs;
      target.receivesUntilMs = nowMs + draw(world.random, world.latencies.deregister);
      target.drainedAtMs = nowMs + delayMs;
    }
  }
  return {};
}

const reasons: Readonly<Record<string, TargetHealth>> = {
  draining: {
    State: "draining",
    Reason: "Target.DeregistrationInProgress",
    Description: "Target deregistration is in progress",
  },
  notInUse: {
    State: "unused",
    Reason: "Target.NotInUse",
    Description: "Target group is not configured to receive traffic from the load balancer",
  },
  otherZone: {
    State: "unused",
    Reason: "Target.NotInUse",
    Description: "Target is in an Availability Zone that is not enabled for the load balancer",
  },
  notRegistered: {
    State: "unused",
    Reason: "Target.NotRegistered",
    Description: "Target is not registered to the target group",
  },
  registering: {
    State: "initial",
    Reason: "Elb.RegistrationInProgress",
    Description: "Target registration is in progress",
  },
  checking: {
    State: "initial",
    Reason: "Elb.InitialHealthChecking",
    Description: "Initial health checks in progress",
  },
  failed: { State: "unhealthy", Reason: "Target.FailedHealthChecks", Description: "Health checks failed" },
};

/** What the load balancer says of a target at that moment. */
function healthAt(world: AwsWorld, group: TargetGroup, target: Target, atMs: number): TargetHealth {
  if (atMs >= target.deregisteredAtMs) return { ...reasons["draining"] };
  const balancers = [...group.usedSinceMs].flatMap(([arn, sinceMs]) => {
    const balancer = world.loadBalancers.get(arn);
    return balancer === undefined ? [] : [{ balancer, sinceMs }];
  });
  const [first] = balancers;
  if (first === undefined) return { ...reasons["notInUse"] };
  const instance = instanceOf(world, group, target.id);
  const state = instance === undefined ? "terminated" : stateAt(instance, atMs);
  if (instance === undefined || state !== "running")
    return { State: "unused", Reason: "Target.InvalidState", Description: `Target is in the ${state} state` };
  if (!first.balancer.subnets.some(({ zone }) => zone === instance.zone)) return { ...reasons["otherZone"] };
  const startMs = Math.max(target.registeredAtMs, first.sinceMs, first.balancer.activeAtMs);
  return checkedAt(world, group, target, instance, startMs, atMs);
}

/** The health checks' verdict, from `startMs` on. */
function checkedAt(
  world: AwsWorld,
  { health }: TargetGroup,
  target: Target,
  instance: Instance,
  startMs: number,
  atMs: number,
): TargetHealth {
  if (atMs < startMs + target.healthyAfterMs * registrationShare) return { ...reasons["registering"] };
  const firstMs = startMs + target.healthyAfterMs;
  const port = health.port === "traffic-port" ? target.port : Number(health.port);
  const { serves, sinceMs } = world.bodies.serving(instance, port);
  const stepMs = health.intervalSeconds * 1_000;
  if (serves) {
    const healthyAtMs = Math.max(firstMs, sinceMs > startMs ? sinceMs + stepMs * health.healthyThreshold : firstMs);
    if (atMs >= healthyAtMs) return { State: "healthy" };
    return { ...reasons[sinceMs > firstMs ? "failed" : "checking"] };
  }
  if (atMs < firstMs) return { ...reasons["checking"] };
  const wasHealthy = sinceMs > firstMs;
  if (wasHealthy && atMs < sinceMs + stepMs * health.unhealthyThreshold) return { State: "healthy" };
  return { ...reasons["failed"] };
}

/** Registrations as they are listed: a drained one is gone, and so is one of an instance that ended a while ago. */
function listedAt(world: AwsWorld, group: TargetGroup, atMs: number): Target[] {
  for (const [key, target] of group.targets) {
    const endedAtMs = instanceOf(world, group, target.id)?.terminatedAtMs ?? atMs;
    const nowMs = world.nowMs();
    if (nowMs >= target.drainedAtMs || nowMs >= endedAtMs + terminatedShownMs) group.targets.delete(key);
  }
  return [...group.targets.values()].filter(({ registeredAtMs }) => registeredAtMs <= atMs);
}

export function describeTargetHealth(
  world: AwsWorld,
  input: DescribeTargetHealthInput,
  atMs: number,
): DescribeTargetHealthOutput {
  const group = targetGroupOf(world, input.TargetGroupArn);
  const listed = listedAt(world, group, atMs);
  const checkPort = (target: Target) =>
    group.health.port === "traffic-port" ? String(target.port) : group.health.port;
  const shown = (target: Target) => ({
    Target: { Id: target.id, Port: target.port },
    HealthCheckPort: checkPort(target),
    TargetHealth: healthAt(world, group, target, atMs),
  });
  if (input.Targets === undefined) return { TargetHealthDescriptions: listed.map(shown) };
  return {
    TargetHealthDescriptions: input.Targets.flatMap(({ Id, Port }) => {
      const found = listed.filter(({ id, port }) => id === Id && (Port === undefined || port === Port));
      if (found.length > 0) return found.map(shown);
      return [{ Target: { Id, Port: Port ?? group.port }, TargetHealth: { ...reasons["notRegistered"] } }];
    }),
  };
}

/** Where new connections go at that moment, for whoever checks that none is lost. */
export function receivingAt(world: AwsWorld, atMs: number): { instanceId: string; port: number; group: TargetGroup }[] {
  return [...world.targetGroups.values()].flatMap((group) =>
    [...group.targets.values()]
      .filter((target) => {
        if (atMs >= target.deregisteredAtMs) return atMs < target.receivesUntilMs;
        return healthAt(world, group, target, atMs).State === "healthy";
      })
      .map(({ id, port }) => ({ instanceId: id, port, group })),
  );
}
