import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { grantedActions, grants, impliedActions, needsOwnThing } from "../../../src/clouds/aws/actions.ts";
import { policyParts, policyText } from "../../../src/clouds/aws/policy.ts";

const folder = "src/clouds/aws";
const services: Readonly<Record<string, string>> = {
  "client-acm": "acm",
  "client-ec2": "ec2",
  "client-elastic-load-balancing-v2": "elasticloadbalancing",
  "client-pricing": "pricing",
  "client-route-53": "route53",
  "client-service-quotas": "servicequotas",
  "client-ssm": "ssm",
  "client-sts": "sts",
  "client-wafv2": "wafv2",
};

/** `ec2:RunInstances` for every command that the sources make, doctor's among them. */
function calledActions(): Set<string> {
  const called = new Set<string>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(`${folder}/${file}`, "utf8");
    const serviceOf = new Map(
      [...text.matchAll(/import (?:type )?\{([^}]*)\} from "@aws-sdk\/([\w-]+)"/g)].flatMap(
        ([, names = "", from = ""]) =>
          [...names.matchAll(/\b(\w+)Command\b/g)].map(([, name = ""]) => [name, services[from] ?? from] as const),
      ),
    );
    for (const [, name = ""] of text.matchAll(/new (\w+)Command\(/g)) {
      expect(serviceOf.has(name), `${file} imports ${name}Command by its name`).toBe(true);
      called.add(`${serviceOf.get(name)}:${name}`);
    }
  }
  return called;
}

test("the policy grants what the code calls, and nothing else", () => {
  const called = calledActions();
  expect(called.size).toBeGreaterThan(50);
  const granted = grantedActions().filter((action) => !impliedActions.includes(action));
  expect(granted).toEqual([...called].sort());
});

test("no permission to change anything goes without a condition or a resource", () => {
  const writes = (action: string) => !/:(Describe|Get|List)/.test(action);
  const unbound = grants
    .filter(({ actions, condition, resources, option }) => actions.some(writes) && !condition && !resources && !option)
    .map(({ sid }) => sid);
  expect(unbound).toEqual([]);
});

test("what is ended or changed must carry the cluster's tag", () => {
  const owned = grantedActions().filter(needsOwnThing);
  const others = grantedActions().filter((action) => /:(Delete|Terminate|Modify|Set|Detach)/.test(action));
  // Route 53 knows no conditions on a zone's tags, and deletes none that has records.
  expect(others.filter((action) => !owned.includes(action))).toEqual(["route53:DeleteHostedZone"]);
});

test.for(policyParts)("filled in, the part %s fits into a managed policy and no word is left out", (part) => {
  const words = {
    ...{ partition: "aws", region: "ap-southeast-1", account: "123456789012" },
    ...{ cluster: "a-cluster-with-a-long-name", zone: "Z0123456789ABCDEFGHIJ" },
  };
  const text = policyText(part, words, true);
  expect(text).not.toContain("$");
  expect(text.replace(/\s/g, "").length).toBeLessThanOrEqual(6_144);
  const sids = JSON.parse(text).Statement.map(({ Sid }: { Sid: string }) => Sid);
  expect(sids.length).toBeGreaterThan(2);
  expect(new Set(sids).size).toBe(sids.length);
  expect(sids.every((sid: string) => /^[A-Za-z0-9]+$/.test(sid))).toBe(true);
});

test("both parts together are all grants", () => {
  const all = policyParts.flatMap((part) => JSON.parse(policyText(part, {}, true)).Statement);
  expect(all.map(({ Sid }) => Sid).sort()).toEqual(grants.map(({ sid }) => sid).sort());
});
