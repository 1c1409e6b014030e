import type { SecurityGroup } from "@aws-sdk/client-ec2";
import type { GroupCalls } from "./group-calls.ts";
import { compareRules, type Opening } from "./group-rules.ts";

/** What was made, changed or looked for so lately may still be shown as it was before. */
export const settledAfterMs = 30_000;

/** One sentence a difference; closed and opened again where the user wants it. */
export async function differences(
  calls: GroupCalls,
  { GroupId = "", GroupName, IpPermissions = [] }: SecurityGroup,
  wanted: readonly Opening[],
  repairDrift: boolean,
): Promise<string[]> {
  const { missing, extra, texts } = compareRules(wanted, IpPermissions);
  if (repairDrift) {
    await calls.authorize(GroupId, missing);
    await calls.revoke(GroupId, extra);
  }
  const done = repairDrift ? "drover has put it back" : "`drover serve --repair-drift` puts it back";
  return texts.map((text) => `The security group ${GroupName} (${GroupId}) ${text}: ${done}.`);
}

export const deletedGroup = (name: string, id: string | undefined): string =>
  `The security group ${name} (${id}) was deleted.`;
