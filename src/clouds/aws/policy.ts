import { type Grant, grants, placeholders } from "./actions.ts";

/** What the policy is for. Absent words stay as they are for Terraform's `templatefile`. */
export type PolicyWords = Partial<Record<keyof typeof placeholders, string>>;

/** Two documents, because one would be longer than a managed policy may be (6,144 characters without spaces). */
export const policyParts = ["look", "change"] as const;
export type PolicyPart = (typeof policyParts)[number];

const { partition } = placeholders;
const reads = /:(Describe|Get|List)/;
const partOf = ({ actions }: Grant): PolicyPart => (actions.every((action) => reads.test(action)) ? "look" : "change");

function statementOf({ sid, actions, resources, condition }: Grant) {
  const arns = resources?.map((resource) => `arn:${partition}:${resource}`);
  return {
    Sid: sid,
    Effect: "Allow",
    Action: actions,
    Resource: arns ?? "*",
    ...(condition && { Condition: condition }),
  };
}

/**
 * The IAM policy that drover needs and no more, as JSON. `createZone`: also what `drover serve --create-zone` takes,
 * which names no resource and so is left out where the zone is made otherwise.
 */
export function policyText(part: PolicyPart, words: PolicyWords = {}, createZone = false): string {
  const chosen = grants.filter((grant) => partOf(grant) === part && (grant.option === undefined || createZone));
  const text = JSON.stringify({ Version: "2012-10-17", Statement: chosen.map(statementOf) }, null, 2);
  const filled = (Object.keys(placeholders) as (keyof typeof placeholders)[]).reduce(
    (so, word) => so.replaceAll(placeholders[word], words[word] ?? placeholders[word]),
    text,
  );
  return `${filled}\n`;
}
