import { expect, test, vi } from "vitest";
import { ingress, openBalancerParts, outcomeOf } from "../clouds/aws/balancer-parts.ts";
import { openParts } from "../clouds/aws/parts.ts";
import { openFake } from "../clouds/sim/aws/setup.ts";
import { enforce, generatedStatements, type Statement } from "./iam.ts";
import { life } from "./life.ts";

/** Hours of virtual time take a busy computer more than the default. */
vi.setConfig({ testTimeout: 120_000 });

/** A life of a cluster whose calls are judged by these statements. */
async function judged(statements: readonly Statement[]) {
  let refused: ReadonlySet<string> = new Set();
  const lived = await life(({ world }) => {
    refused = enforce(world, statements).refused;
  }, []);
  return { ...lived, refused: [...refused] };
}

test("the generated policies permit every call of a cluster's life, under their conditions", async () => {
  const { refused, events, left } = await judged(generatedStatements("test"));
  expect(refused).toEqual([]);
  expect(events).toEqual([]);
  expect(left).toBe(0);
});

test("those of another cluster permit to look and to make nothing", async () => {
  const { refused } = await judged(generatedStatements("other"));
  expect(refused.join("\n")).toMatch(/ec2:CreateSecurityGroup/);
  expect(refused.filter((each) => /:(Describe|Get|List)/.test(each))).toEqual([]);
});

test("they permit to open what machines redirect, to note it and to close it", async () => {
  const fake = openFake();
  const { refused } = enforce(fake.world, generatedStatements("c"));
  const { groups } = openParts(fake);
  await fake.through(groups.redirects([{ port: 80, protocol: "TCP" }]));
  await fake.through(groups.redirects([]));
  expect(fake.world.calls.has("RevokeSecurityGroupIngress")).toBe(true);
  expect([...refused]).toEqual([]);
});

/**
 * Such a life has no Pod with a role, no new account, no group that comes back before its remains are gone, no user pool,
 * no web ACL (that is below) and no volume made by hand (those are hand-made-volumes.test.ts'), and no `drover down` after it.
 */
const unused = ["GivePodsRoles", "FirstOfAnAccount", "UntagOwn", "AttachLent", "DeleteZone", "Logins", "WebAcls"];

test.for(generatedStatements("test").filter(({ Sid }) => !unused.includes(Sid)))(
  "without the statement $Sid a call is refused that it permits",
  async (without) => {
    const { refused, events } = await judged(generatedStatements("test").filter(({ Sid }) => Sid !== without.Sid));
    const actions = [...new Set(refused.map((each) => each.split(" ")[0] ?? ""))];
    expect(actions.length).toBeGreaterThan(0);
    expect(without.Action).toEqual(expect.arrayContaining(actions));
    expect(events.length).toBeGreaterThan(0);
    expect(without.Action).toEqual(expect.arrayContaining(events));
  },
);

test.for([
  [undefined, []],
  ["WebAcls", ["wafv2:AssociateWebACL"]],
] as const)(
  "an Ingress with a web ACL needs the statement WebAcls: without %s refused is %j",
  async ([sid, lacking]) => {
    const { world, open } = openBalancerParts();
    const { refused } = enforce(
      world,
      generatedStatements("test").filter(({ Sid }) => Sid !== sid),
    );
    const arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/1";
    world.webAcls.add(arn);
    const balancers = open();
    const site = (acl: string) =>
      ingress("web", [{ path: "/" }], { annotations: { "alb.ingress.kubernetes.io/wafv2-acl-arn": acl } });
    const outcome = await outcomeOf(balancers.ensure(site(arn)));
    if (sid === undefined) await balancers.ensure(site("none"));
    expect([...new Set([...refused].map((each) => each.split(" ")[0]))]).toEqual(lacking);
    for (const action of lacking) expect(outcome).toContain(`AWS does not permit ${action}`);
  },
);
