import { AddTagsCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { AssociateWebACLCommand, DisassociateWebACLCommand } from "@aws-sdk/client-wafv2";
import { givenWebAcl, readWebAcl, type SeenLoadBalancer } from "./balancer-inventory.ts";
import type { BalancerPlan } from "./balancer-plan.ts";
import { noWebAcl, webAclTag } from "./balancer-tags.ts";
import type { Workshop } from "./balancer-workshop.ts";
import { invalid } from "./destinations.ts";
import { tagList } from "./tags.ts";

/** What all say that say anything: an ARN, `none`, or undefined where nobody does. While they disagree, `given` stays. */
export function agreedWebAcl(asked: readonly BalancerPlan[], given: string | undefined): string | undefined {
  const [first, ...others] = asked.flatMap(({ settings }) => settings.webAcl ?? []);
  return others.every((other) => other === first) ? first : given;
}

/**
 * The web ACL of a load balancer as one of its members has it made. `asked`: every member as it is asked for now.
 * @throws CLOUD_INVALID: another one names another
 */
export function webAclOf(plan: BalancerPlan, asked: readonly BalancerPlan[], given: string | undefined) {
  const { webAcl } = plan.settings;
  if (webAcl === undefined) return agreedWebAcl(asked, given);
  const other = asked.find(({ settings }) => settings.webAcl !== undefined && settings.webAcl !== webAcl);
  if (other === undefined) return webAcl;
  const message = `${other.people} of the same group says ${other.settings.webAcl}, and a load balancer has one web ACL: name the same, or another group.`;
  throw invalid(plan, "webAcl", message);
}

/**
 * Gives the load balancer the web ACL, before anything listens. One that nobody asks for any more is taken away if it is
 * the one that was given; `none` takes away any. `isWhole`: everybody has been asked; until then nothing is taken away.
 */
export async function ensureWebAcl(
  { send, patiently, repairs }: Workshop,
  seen: SeenLoadBalancer,
  wanted: string | undefined,
  isWhole: boolean,
): Promise<void> {
  const present = seen.tags[webAclTag];
  const isEdited = repairs && webAclDrift(seen) !== undefined;
  const next = wanted ?? (present && noWebAcl);
  if (next === undefined || (present === next && !isEdited)) return;
  if (!isWhole && (next === noWebAcl || givenWebAcl(seen) !== undefined)) return;
  const ResourceArn = seen.arn;
  if (next === noWebAcl) {
    const found = await readWebAcl(send, ResourceArn);
    if (found !== "" && (wanted === noWebAcl || found === present))
      await send("wafv2", new DisassociateWebACLCommand({ ResourceArn }));
    delete seen.webAcl;
  } else {
    const command = new AssociateWebACLCommand({ ResourceArn, WebACLArn: next });
    // The firewall hears of a new load balancer some time later.
    await patiently(["WAFUnavailableEntity"], () => send("wafv2", command));
    seen.webAcl = next;
  }
  const mark = { [webAclTag]: next };
  await send("elb", new AddTagsCommand({ ResourceArns: [ResourceArn], Tags: tagList(mark) }));
  seen.tags = { ...seen.tags, ...mark };
}

/** One sentence about what was changed by hand. */
export function webAclDrift(seen: SeenLoadBalancer): string | undefined {
  const given = givenWebAcl(seen);
  if (given === undefined || seen.webAcl === undefined || seen.webAcl === given) return undefined;
  return `The load balancer ${seen.name} has ${seen.webAcl === "" ? "no web ACL" : `the web ACL ${seen.webAcl}`}.`;
}
