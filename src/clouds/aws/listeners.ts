import {
  type Action,
  AddListenerCertificatesCommand,
  AddTagsCommand,
  CreateListenerCommand,
  DeleteListenerCommand,
  DescribeListenerCertificatesCommand,
  ModifyListenerCommand,
  RemoveListenerCertificatesCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { DroverError } from "../../base/errors.ts";
import { elbCode } from "./balancer-errors.ts";
import { readListeners, type SeenListener, type SeenLoadBalancer } from "./balancer-inventory.ts";
import { type BalancerPlan, fingerprint } from "./balancer-plan.ts";
import { appliedTag, balancerTag, ownTags, sharedTags } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import type { Destination, PlannedListener } from "./destinations.ts";
import { loginAction, loginText, sorted } from "./login-actions.ts";
import { tagList } from "./tags.ts";

/** Target group names to ARNs. */
export type Arns = ReadonlyMap<string, string>;

function answering(answer: NonNullable<Destination["answer"]>): Action {
  if (answer.kind === "fixed") {
    const { statusCode, contentType = "text/plain", body } = answer;
    const FixedResponseConfig = {
      StatusCode: String(statusCode),
      ContentType: contentType,
      ...(body !== undefined && { MessageBody: body }),
    };
    return { Type: "fixed-response", FixedResponseConfig };
  }
  const { statusCode, protocol, port, host, path, query } = answer;
  const RedirectConfig = {
    StatusCode: `HTTP_${statusCode}` as const,
    ...(protocol !== undefined && { Protocol: protocol }),
    ...(port !== undefined && { Port: String(port) }),
    ...(host !== undefined && { Host: host }),
    ...(path !== undefined && { Path: path }),
    ...(query !== undefined && { Query: query }),
  };
  return { Type: "redirect", RedirectConfig };
}

/** Whoever has to log in does so before anything else. */
export function actionsOf(destination: Destination, arns: Arns): Action[] {
  const { forward, answer, login } = destination;
  const last = lastOf(destination, arns);
  if (login === undefined || (forward.length === 0 && answer === undefined)) return [last];
  return [loginAction(login), last].map((action, index) => ({ ...action, Order: index + 1 }));
}

function lastOf({ forward, answer, stickySeconds }: Destination, arns: Arns): Action {
  if (answer !== undefined) return answering(answer);
  const groups = forward.map(({ name, weight }) => ({ TargetGroupArn: arns.get(name) ?? "", Weight: weight }));
  const [first, ...others] = groups;
  if (first === undefined) return answering({ kind: "fixed", statusCode: 404, body: "Not found\n" });
  if (others.length === 0) return { Type: "forward", TargetGroupArn: first.TargetGroupArn };
  const sticky = stickySeconds !== undefined && {
    TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: stickySeconds },
  };
  return { Type: "forward", ForwardConfig: { TargetGroups: groups, ...sticky } };
}

/** What a redirect leaves as the request has it. */
const redirectDefaults = {
  Protocol: "#{protocol}",
  Host: "#{host}",
  Port: "#{port}",
  Path: "/#{path}",
  Query: "#{query}",
};

/** The same text for actions that do the same, however AWS writes them. */
export const actionText = (actions: readonly Action[] | undefined): string =>
  [...(actions ?? [])]
    .sort((a, b) => (a.Order ?? 0) - (b.Order ?? 0))
    .map((action) => {
      const { Type, TargetGroupArn, ForwardConfig, RedirectConfig, FixedResponseConfig } = action;
      if (Type === "redirect") return `redirect ${sorted({ ...redirectDefaults, ...RedirectConfig })}`;
      if (Type === "authenticate-oidc" || Type === "authenticate-cognito") return loginText(action);
      if (Type !== "forward") return `${Type} ${sorted(FixedResponseConfig ?? {})}`;
      const groups = ForwardConfig?.TargetGroups ?? [{ TargetGroupArn, Weight: 1 }];
      const weights = groups.map((group) => `${group.TargetGroupArn}=${groups.length === 1 ? 1 : (group.Weight ?? 1)}`);
      const { Enabled, DurationSeconds } = ForwardConfig?.TargetGroupStickinessConfig ?? {};
      return `forward ${weights.sort().join(" ")}${Enabled && groups.length > 1 ? ` for ${DurationSeconds} s` : ""}`;
    })
    .join("; ");

/** What a listener or rule was made to do, for its fingerprint: of a secret the version alone. */
export const appliedText = (destination: Destination, arns: Arns): string[] => [
  actionText(actionsOf(destination, arns)),
  ...(destination.login?.provider.kind === "oidc" ? [destination.login.provider.secretVersion] : []),
];

/**
 * What the load balancer should listen on, as far as its members are known. Those of a network balancer have ports of
 * their own; those of an application balancer share listeners and keep their rules apart.
 * @throws CLOUD_INVALID: two members want the same port for different things
 */
export function mergedListeners(plans: readonly BalancerPlan[], plan: BalancerPlan): PlannedListener[] {
  if (plan.kind === "network") {
    for (const { port } of plan.listeners) {
      const other = plans.find(({ id, listeners }) => id !== plan.id && listeners.some((each) => each.port === port));
      const isTwice = plan.listeners.filter((each) => each.port === port).length > 1;
      if (other !== undefined) throw taken(plan, port, other.people);
      if (isTwice) throw taken(plan, port, "its own TCP and UDP at once");
    }
    return [...plan.listeners];
  }
  const byPort = new Map<number, PlannedListener>();
  for (const { listeners, people } of plans) {
    for (const listener of listeners) {
      const known = byPort.get(listener.port);
      if (known && known.protocol !== listener.protocol) throw taken(plan, listener.port, people);
      byPort.set(listener.port, known ? merge(known, listener) : listener);
    }
  }
  return [...byPort.values()].map((listener) => ({
    ...listener,
    rules: plan.listeners.find(({ port }) => port === listener.port)?.rules ?? [],
  }));
}

/** Of a default destination, the first that is one. */
function merge(one: PlannedListener, other: PlannedListener): PlannedListener {
  const isOpen = one.destination.forward.length === 0 && one.destination.answer === undefined;
  return {
    ...other,
    ...one,
    certificates: [...new Set([...one.certificates, ...other.certificates])],
    destination: isOpen ? other.destination : one.destination,
  };
}

const taken = (plan: BalancerPlan, port: number, by: string): DroverError =>
  new DroverError("CLOUD_INVALID", `spec.ports: port ${port} of ${plan.group ?? plan.people} is taken by ${by}.`, {
    field: "spec.ports",
    port,
  });

const appliedOf = (listener: PlannedListener, arns: Arns): string =>
  fingerprint([
    listener.protocol,
    listener.certificates,
    listener.tlsPolicy ?? "",
    listener.alpnPolicy ?? "",
    ...appliedText(listener.destination, arns),
  ]);

/** A listener to be made, of which plan and load balancer. */
type Work = { plan: BalancerPlan; balancer: SeenLoadBalancer; wanted: PlannedListener; arns: Arns };

/** Makes the listener, or makes it what it should be if it was last made to be something else. Not its rules. */
export async function ensureListener(workshop: Workshop, work: Work): Promise<SeenListener> {
  const { send, inventory, repairs } = workshop;
  const { plan, wanted, arns } = work;
  const applied = appliedOf(wanted, arns);
  const all = inventory.listeners.get(plan.name) ?? [];
  inventory.listeners.set(plan.name, all);
  const seen = all.find(({ port }) => port === wanted.port);
  if (seen === undefined) return create(workshop, work);
  const owner = seen.tags[balancerTag];
  if (plan.kind === "network" && owner !== undefined && owner !== plan.id) throw taken(plan, wanted.port, owner);
  const isEdited = repairs && listenerDrift(seen, wanted, arns) !== undefined;
  if (seen.tags[appliedTag] === applied && !isEdited) return seen;
  const input = inputOf(wanted, arns);
  await send("elb", new ModifyListenerCommand({ ListenerArn: seen.arn, ...input }));
  await ensureCertificates(workshop, seen.arn, wanted, true);
  const mark = { ...(plan.kind === "network" && { [balancerTag]: plan.id }), [appliedTag]: applied };
  await send("elb", new AddTagsCommand({ ResourceArns: [seen.arn], Tags: tagList(mark) }));
  seen.raw = { ...seen.raw, ...input };
  seen.tags = { ...seen.tags, ...mark };
  return seen;
}

const inputOf = (
  { port, protocol, certificates, tlsPolicy, alpnPolicy, destination }: PlannedListener,
  arns: Arns,
) => ({
  Port: port,
  Protocol: protocol,
  DefaultActions: actionsOf(destination, arns),
  ...(certificates[0] !== undefined && { Certificates: [{ CertificateArn: certificates[0] }] }),
  ...(tlsPolicy !== undefined && { SslPolicy: tlsPolicy }),
  ...(alpnPolicy !== undefined && { AlpnPolicy: [alpnPolicy] }),
});

async function create(workshop: Workshop, work: Work): Promise<SeenListener> {
  const { send, inventory } = workshop;
  const { plan, balancer, wanted, arns } = work;
  const isShared = plan.kind === "application";
  const mark = { [appliedTag]: appliedOf(wanted, arns) };
  const tags = isShared ? sharedTags(plan, mark) : ownTags(plan, mark);
  const command = new CreateListenerCommand({
    LoadBalancerArn: balancer.arn,
    ...inputOf(wanted, arns),
    Tags: tagList(tags),
  });
  const all = inventory.listeners.get(plan.name) ?? [];
  try {
    const [raw = {}] = (await send("elb", command)).Listeners ?? [];
    const made: SeenListener = { arn: raw.ListenerArn ?? "", port: wanted.port, raw, tags, rules: [] };
    all.push(made);
    await ensureCertificates(workshop, made.arn, wanted, false);
    return made;
  } catch (error) {
    if (elbCode(error) !== "DuplicateListener") throw error;
  }
  // Made by a call whose answer was lost, by hand, or for another member of the group.
  inventory.listeners.set(plan.name, await readListeners(send, balancer.arn, isShared));
  return ensureListener(workshop, work);
}

/** Certificates beyond the default one are a list of their own; the client's word for the host chooses among them. */
async function ensureCertificates(
  { send }: Workshop,
  ListenerArn: string,
  { certificates }: PlannedListener,
  mayHaveSome: boolean,
): Promise<void> {
  const wanted = certificates.slice(1);
  if (certificates.length === 0) return;
  const present = mayHaveSome
    ? ((await send("elb", new DescribeListenerCertificatesCommand({ ListenerArn }))).Certificates ?? [])
        .filter(({ IsDefault }) => !IsDefault)
        .map(({ CertificateArn = "" }) => CertificateArn)
    : [];
  const named = (arns: readonly string[]) => arns.map((CertificateArn) => ({ CertificateArn }));
  const missing = wanted.filter((arn) => !present.includes(arn));
  const surplus = present.filter((arn) => !certificates.includes(arn));
  if (missing.length > 0)
    await send("elb", new AddListenerCertificatesCommand({ ListenerArn, Certificates: named(missing) }));
  if (surplus.length > 0)
    await send("elb", new RemoveListenerCertificatesCommand({ ListenerArn, Certificates: named(surplus) }));
}

/** One sentence about what was changed by hand. */
export function listenerDrift({ raw, port }: SeenListener, wanted: PlannedListener, arns: Arns): string | undefined {
  if (raw.Protocol !== wanted.protocol) return `The listener on port ${port} speaks ${raw.Protocol}.`;
  if (actionText(raw.DefaultActions) !== actionText(actionsOf(wanted.destination, arns))) {
    return `The listener on port ${port} sends its clients elsewhere.`;
  }
  const [certificate] = wanted.certificates;
  if (certificate !== undefined && raw.Certificates?.[0]?.CertificateArn !== certificate) {
    return `The listener on port ${port} has another certificate.`;
  }
  return undefined;
}

export async function removeListener({ send, inventory }: Workshop, name: string, seen: SeenListener): Promise<void> {
  await send("elb", new DeleteListenerCommand({ ListenerArn: seen.arn })).catch((error: unknown) => {
    if (elbCode(error) !== "ListenerNotFound") throw error;
  });
  inventory.listeners.set(
    name,
    (inventory.listeners.get(name) ?? []).filter((each) => each !== seen),
  );
}
