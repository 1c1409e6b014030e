import { expect, test } from "vitest";
import { grantedActions } from "../../src/clouds/aws/actions.ts";
import { changes, life } from "./life.ts";

/**
 * Asked for by no controller: by `drover down`, `doctor` and `prices`, by the way into machines, and by AWS itself (for
 * logins by Cognito, too); and for a shared balancer's security group that is needed again before its remains have gone, which nobody here waits for.
 */
const others = [
  "ec2:DeleteTags",
  ...["ec2:DescribeLaunchTemplates", "ec2:DeleteLaunchTemplate", "route53:DeleteHostedZone"],
  ...["sts:GetCallerIdentity", "pricing:GetProducts"],
  ...["ec2:GetConsoleOutput", "iam:CreateServiceLinkedRole", "cognito-idp:DescribeUserPoolClient"],
];

/** AWS asks for these when a role is given to a machine, or a web ACL to a load balancer. */
const asked = ["iam:PassRole", "elasticloadbalancing:SetWebAcl", "wafv2:GetWebACL"];

/** Every action with the life that comes by it. */
const [lived, changed] = await Promise.all([life(() => {}), changes(() => {})]);
const isIn = ({ calls }: typeof lived, action: string) => calls.has(action.replace(/.*:/, ""));
const called = grantedActions().flatMap((action) => {
  if (isIn(lived, action)) return [[action, life] as const];
  return isIn(changed, action) || asked.includes(action) ? [[action, changes] as const] : [];
});

test("whatever is granted to controllers is called in a cluster's life", () => {
  const left = grantedActions().filter((action) => !called.some(([name]) => name === action));
  expect(left.sort()).toEqual(others.sort());
  for (const { events, logged } of [lived, changed]) expect([...events, ...logged]).toEqual([]);
});

test.for(called)("without %s the log and an Event name exactly that", async ([action, way]) => {
  const { events, logged, told, looks } = await way(({ world }) => world.conditions.denied.add(action));
  expect(logged).toEqual([action]);
  expect(events).toEqual([action]);
  // Once for each object that is concerned: a repeat is counted by the first.
  expect(told).toEqual([...new Set(told)]);
  expect(looks.length).toBeLessThanOrEqual(1);
});
