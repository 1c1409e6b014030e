import {
  DescribeCertificateCommand,
  ListCertificatesCommand,
  type ListCertificatesCommandInput,
} from "@aws-sdk/client-acm";
import {
  type Action,
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DescribeListenersCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { AssociateWebACLCommand, GetWebACLForResourceCommand } from "@aws-sdk/client-wafv2";
import { expect, test } from "vitest";
import { messageOf, openFake, outcome } from "./setup.ts";

/** Logins, certificates and the firewall of the fake. */

const arn = "arn:aws:acm:us-east-1:123456789012:certificate/a";

async function openBalancer() {
  const fake = openFake();
  const { world, elb } = fake;
  world.certificates.set(arn, { domains: ["example.org"], status: "ISSUED" });
  const made = await elb(new CreateLoadBalancerCommand({ Name: "site", Subnets: [...world.subnets.keys()] }));
  const LoadBalancerArn = made.LoadBalancers?.[0]?.LoadBalancerArn ?? "";
  const [VpcId] = world.vpcs.keys();
  const group = await elb(new CreateTargetGroupCommand({ Name: "g", Protocol: "HTTP", Port: 80, VpcId }));
  const forward: Action = { Type: "forward", TargetGroupArn: group.TargetGroups?.[0]?.TargetGroupArn };
  const listen = (Protocol: "HTTP" | "HTTPS", DefaultActions: Action[]) => {
    const Certificates = Protocol === "HTTPS" ? [{ CertificateArn: arn }] : undefined;
    return elb(new CreateListenerCommand({ LoadBalancerArn, Port: 443, Protocol, Certificates, DefaultActions }));
  };
  return { ...fake, LoadBalancerArn, forward, listen };
}

const login: Action = {
  Type: "authenticate-oidc",
  AuthenticateOidcConfig: {
    Issuer: "https://id.example.org/",
    AuthorizationEndpoint: "https://id.example.org/authorize",
    TokenEndpoint: "https://id.example.org/token",
    UserInfoEndpoint: "https://id.example.org/me",
    ClientId: "shop",
    ClientSecret: "do-not-tell",
  },
};

test.for<["HTTP" | "HTTPS", (forward: Action) => Action[], RegExp]>([
  [
    "HTTP",
    (forward) => [
      { ...login, Order: 1 },
      { ...forward, Order: 2 },
    ],
    /only on HTTPS listeners/,
  ],
  ["HTTPS", (forward) => [login, forward], /An order must be specified/],
  [
    "HTTPS",
    (forward) => [
      { ...login, Order: 2 },
      { ...forward, Order: 1 },
    ],
    /must be the last one/,
  ],
  ["HTTPS", () => [{ ...login, Order: 1 }], /exactly one action that ends it, but there are 0/],
  [
    "HTTPS",
    (forward) => [
      {
        ...login,
        Order: 1,
        AuthenticateOidcConfig: { ...login.AuthenticateOidcConfig, ClientSecret: undefined },
      } as Action,
      { ...forward, Order: 2 },
    ],
    /'ClientSecret' .* is required/,
  ],
])("a login over %s that can't be", async ([protocol, actions, why]) => {
  const { listen, forward } = await openBalancer();
  expect(await messageOf(listen(protocol, actions(forward)))).toMatch(why);
});

test("a login is shown with its defaults and without the secret", async () => {
  const { listen, forward, elb, LoadBalancerArn } = await openBalancer();
  await listen("HTTPS", [
    { ...login, Order: 1 },
    { ...forward, Order: 2 },
  ]);
  const { Listeners } = await elb(new DescribeListenersCommand({ LoadBalancerArn }));
  const [shown] = Listeners?.[0]?.DefaultActions ?? [];
  expect(shown?.AuthenticateOidcConfig).toMatchObject({ ClientId: "shop", Scope: "openid", SessionTimeout: 604_800 });
  expect(JSON.stringify(Listeners)).not.toContain("do-not-tell");
});

test("a list of certificates has pages, two kinds of keys unless told otherwise, and a hundred names of each", async () => {
  const { acm, world } = openFake();
  const domains = Array.from({ length: 101 }, (_, index) => `${index}.example.org`);
  world.certificates.set("many", { domains, status: "ISSUED" });
  world.certificates.set("curve", { domains: ["a.org"], status: "ISSUED", keyType: "EC_prime256v1" });
  world.certificates.set("waits", { domains: ["a.org"], status: "PENDING_VALIDATION" });
  const list = async (input: ListCertificatesCommandInput) => {
    const { CertificateSummaryList = [], NextToken } = await acm(new ListCertificatesCommand(input));
    return {
      arns: CertificateSummaryList.map(({ CertificateArn }) => CertificateArn),
      NextToken,
      CertificateSummaryList,
    };
  };
  expect((await list({})).arns).toEqual(["many", "waits"]);
  expect((await list({ CertificateStatuses: ["ISSUED"] })).arns).toEqual(["many"]);
  expect((await list({ Includes: { keyTypes: ["EC_prime256v1"] } })).arns).toEqual(["curve"]);
  const { NextToken, CertificateSummaryList } = await list({ MaxItems: 1 });
  expect(CertificateSummaryList[0]?.HasAdditionalSubjectAlternativeNames).toBe(true);
  expect(CertificateSummaryList[0]?.SubjectAlternativeNameSummaries).toHaveLength(100);
  expect((await list({ NextToken })).arns).toEqual(["waits"]);
  const { Certificate } = await acm(new DescribeCertificateCommand({ CertificateArn: "many" }));
  expect(Certificate?.SubjectAlternativeNames).toHaveLength(101);
  expect(await outcome(acm(new DescribeCertificateCommand({ CertificateArn: "none" })))).toBe(
    "ResourceNotFoundException",
  );
});

test("a web ACL has to be there, and so has the load balancer; one is associated in two seconds", async () => {
  const { wafv2, world, clock, LoadBalancerArn } = await openBalancer();
  const associate = (ResourceArn: string, WebACLArn: string) =>
    wafv2(new AssociateWebACLCommand({ ResourceArn, WebACLArn }));
  const acl = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/1";
  expect(await outcome(associate(LoadBalancerArn, acl))).toBe("WAFNonexistentItemException");
  expect(await outcome(associate("none", acl))).toBe("ThrottlingException");
  await clock.advance(2_000);
  world.webAcls.add(acl);
  expect(await outcome(associate("none", acl))).toBe("WAFNonexistentItemException");
  await clock.advance(2_000);
  expect(await outcome(associate(LoadBalancerArn, acl))).toBe("ok");
  const { WebACL } = await wafv2(new GetWebACLForResourceCommand({ ResourceArn: LoadBalancerArn }));
  expect(WebACL).toMatchObject({ ARN: acl, Name: "shop", Id: "1" });
});
