import { connect } from "node:net";
import type { Answer, AwsRequest, Manner } from "./request.ts";
import { textsOf, xmlAnswer } from "./request.ts";

/** AWS' times in small. `speed`: how many seconds of a group's deregistration delay pass in one. */
export type TargetTimes = { lookEveryMs: number; drainMs: number; speed: number };

export type Target = {
  instanceId: string;
  port: number;
  state: "initial" | "healthy" | "unhealthy" | "draining";
  /** Whether new connections come to it: what is deregistered gets some for a moment still. */
  takes: boolean;
  /** Connections through a balancer that are open now. */
  open: Set<{ destroy(): void }>;
};

export type Targets = {
  manner: Manner;
  /** Of a group, by its ARN, those that take no more connections among them. */
  of(groupArn: string): readonly Target[];
  /** Forgets all of them. */
  reset(): void;
  close(): void;
};

type Kept = Target & { drainedAtMs: number; cutAtMs: number; good: number; bad: number };

const delayDefaultSeconds = 300;

/** Looks in a row that settle a target's state, as the balancers' defaults have it. */
const looksNeeded = 2;
const connectMs = 1_000;
/** What is healthy is looked at every so many looks: each costs it a connection. */
const healthyEvery = 5;
/** So long after its deregistration a balancer still sends new connections to a target. */
const lagMs = 500;

/** What moto makes healthy at once becomes so when its port answers, and what is deregistered drains before it is gone. */
export function openTargets(addressOf: (instanceId: string) => string | undefined, times: TargetTimes): Targets {
  const groups = new Map<string, Map<string, Kept>>();
  const delaysSeconds = new Map<string, number>();
  /** Groups of application load balancers: they end what is still open after the delay, network ones leave it be. */
  const cutting = new Set<string>();
  const timer = setInterval(lookAtAll, times.lookEveryMs);
  let looks = 0;

  function lookAtAll(): void {
    const nowMs = performance.now();
    looks++;
    for (const [arn, group] of groups) {
      for (const [key, target] of group) {
        const isDue = target.state !== "healthy" || target.bad > 0 || looks % healthyEvery === 0;
        if (target.state !== "draining") void (isDue && look(target));
        else if (nowMs >= target.cutAtMs || (nowMs >= target.drainedAtMs && target.open.size === 0)) {
          group.delete(key);
          if (cutting.has(arn)) for (const connection of target.open) connection.destroy();
        }
      }
    }
  }

  async function look(target: Kept): Promise<void> {
    const address = addressOf(target.instanceId);
    const answers = address !== undefined && (await accepts(address, target.port));
    target.good = answers ? target.good + 1 : 0;
    target.bad = answers ? 0 : target.bad + 1;
    if (target.state === "draining") return;
    if (target.good >= looksNeeded) target.state = "healthy";
    if (target.bad >= looksNeeded) target.state = "unhealthy";
  }

  function register(group: Map<string, Kept>, instanceId: string, port: number): void {
    const key = `${instanceId}:${port}`;
    const before = group.get(key);
    if (before && before.state !== "draining") return;
    group.set(key, {
      instanceId,
      port,
      state: "initial",
      takes: true,
      open: before?.open ?? new Set(),
      cutAtMs: 0,
      drainedAtMs: 0,
      good: 0,
      bad: 0,
    });
  }

  function deregister(arn: string, group: Map<string, Kept>, instanceId: string, port: number): void {
    for (const target of group.values()) {
      if (target.instanceId !== instanceId || (port !== 0 && target.port !== port) || target.state === "draining")
        continue;
      target.state = "draining";
      target.drainedAtMs = performance.now() + times.drainMs;
      const delaySeconds = delaysSeconds.get(arn) ?? delayDefaultSeconds;
      target.cutAtMs = performance.now() + Math.max(times.drainMs, (delaySeconds * 1_000) / times.speed);
      setTimeout(() => {
        target.takes = target.state !== "draining";
      }, lagMs);
    }
  }

  async function change(request: AwsRequest, next: (request: AwsRequest) => Promise<Answer>): Promise<Answer> {
    const answer = await next(request);
    if (answer.status >= 300) return answer;
    const arn = request.parameters.get("TargetGroupArn") ?? "";
    const group = groups.get(arn) ?? new Map<string, Kept>();
    groups.set(arn, group);
    for (const [instanceId, port] of membersOf(request.parameters)) {
      if (request.action === "RegisterTargets") register(group, instanceId, port);
      else deregister(arn, group, instanceId, port);
    }
    return answer;
  }

  return {
    of: (arn) => [...(groups.get(arn)?.values() ?? [])],
    async manner(request, next) {
      const { service, action, parameters } = request;
      if (service !== "elasticloadbalancing") return next(request);
      if (action === "RegisterTargets" || action === "DeregisterTargets") return change(request, next);
      const arn = parameters.get("TargetGroupArn") ?? "";
      const known = groups.get(arn);
      if (known && action === "DescribeTargetHealth") {
        const members = [...known.values()].map(memberOf).join("");
        return xmlAnswer(request, `<TargetHealthDescriptions>${members}</TargetHealthDescriptions>`);
      }
      const answer = await next(request);
      if (action === "CreateTargetGroup" && /^HTTPS?$/.test(parameters.get("Protocol") ?? ""))
        for (const made of textsOf(answer.body, "TargetGroupArn")) cutting.add(made);
      if (answer.status < 300 && action === "DeleteTargetGroup") groups.delete(arn);
      if (answer.status < 300 && action === "ModifyTargetGroupAttributes") {
        const [delay] = /deregistration_delay\.timeout_seconds&[^&]*Value=(\d+)/.exec(request.body)?.slice(1) ?? [];
        if (delay !== undefined) delaysSeconds.set(arn, Number(delay));
      }
      return answer;
    },
    reset: () => groups.clear(),
    close: () => clearInterval(timer),
  };
}

/** `Targets.member.N.Id` with its `Port`; 0 where none is given. */
function membersOf(parameters: URLSearchParams): [instanceId: string, port: number][] {
  const ids = [...parameters].filter(([key]) => /^Targets\.member\.\d+\.Id$/.test(key));
  return ids.map(([key, id]) => [id, Number(parameters.get(key.replace(/Id$/, "Port")) ?? 0)]);
}

const reasons: Partial<Record<Target["state"], string>> = {
  initial: "<Reason>Elb.RegistrationInProgress</Reason><Description>Target registration is in progress</Description>",
  unhealthy: "<Reason>Target.FailedHealthChecks</Reason><Description>Health checks failed</Description>",
  draining:
    "<Reason>Target.DeregistrationInProgress</Reason><Description>Target deregistration is in progress</Description>",
};

const memberOf = ({ instanceId, port, state }: Target): string =>
  `<member><Target><Id>${instanceId}</Id><Port>${port}</Port></Target><HealthCheckPort>${port}</HealthCheckPort>` +
  `<TargetHealth><State>${state}</State>${reasons[state] ?? ""}</TargetHealth></member>`;

const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => done(true));
    socket.once("timeout", () => done(false));
    socket.once("error", () => done(false));
  });
