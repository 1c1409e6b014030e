import type { BalancerSpec } from "../balancer.ts";
import { annotationOf, type BalancerSettings } from "./annotations.ts";
import { portsOf } from "./application-listeners.ts";
import { type BalancerPlan, isTls } from "./balancer-plan.ts";

/** What of a spec is not as its writer may believe, one sentence each. `unknown`: annotations that nothing honours. */
export function warningsOf(spec: BalancerSpec, settings: BalancerSettings, unknown: readonly string[]): string[] {
  const ignored = unknown.map((annotation) => `Nothing is done about ${annotation}.`);
  const isBlind = spec.kind === "network" && settings.healthPort === undefined;
  const datagrams = isBlind ? spec.listeners.filter((each) => isAlone(each, spec)).map(({ port }) => port) : [];
  const sticky = new Set(spec.groups.filter((group) => group.sticky).map(({ id }) => id));
  const forgetful = spec.listeners.filter(
    (listener) => isTls(listener, settings) && listener.forward.some(({ groupId }) => sticky.has(groupId)),
  );
  const annotation = annotationOf("network", "healthPort");
  return [
    ...ignored,
    ...(needsHttps(spec, settings) ? [withoutHttps] : []),
    ...forgetful.map(({ port }) => `AWS keeps no client with its machine on port ${port}, because TLS ends there.`),
    ...datagrams.map(
      (port) =>
        `Port ${port} is UDP, and AWS asks a machine's health by TCP on the same port: where nothing answers that, name another port with ${annotation}.`,
    ),
  ];
}

const withoutHttps = `Nobody is served where alb.ingress.kubernetes.io/auth-type asks for a login, which takes HTTPS: name a port by ${annotationOf("application", "listenPorts")} and a certificate by ${annotationOf("application", "certificates")}.`;

/** Clients have to log in and can't. */
const needsHttps = (spec: BalancerSpec, settings: BalancerSettings): boolean =>
  spec.listeners.some(({ login, rules = [] }) => login !== undefined || rules.some((rule) => rule.login)) &&
  !portsOf(spec, settings).some(({ protocol }) => protocol === "HTTPS");

/** A UDP listener without a TCP one beside it. */
const isAlone = ({ port, protocol }: BalancerSpec["listeners"][number], { listeners }: BalancerSpec): boolean =>
  protocol === "UDP" && !listeners.some((other) => other.port === port && other.protocol === "TCP");

/** What other members of the same load balancer take from one: its ports are open to their clients too. */
export const groupWarnings = (plan: BalancerPlan, members: readonly BalancerPlan[]): string[] =>
  members
    .filter(({ id, name, kind }) => id !== plan.id && name === plan.name && kind === "application")
    .flatMap(({ people, sourceRanges, listeners }) => {
      const more = sourceRanges.filter((range) => !plan.sourceRanges.includes(range));
      const shared = listeners.filter(({ port }) => plan.listeners.some((own) => own.port === port));
      if (more.length === 0 || plan.sourceRanges.includes("0.0.0.0/0")) return [];
      return shared.map(
        ({ port }) => `Port ${port} is open to ${more.join(", ")} as well: ${people} of the same group says so.`,
      );
    });
