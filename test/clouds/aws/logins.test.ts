import { expect, test } from "vitest";
import type { BalancerSpec, Login, Rule } from "../../../src/clouds/balancer.ts";
import { ingress, oidcProvider, openBalancerParts, outcomeOf } from "./balancer-parts.ts";

/** What AWS is asked for where clients of an Ingress have to log in. */

const prefix = "alb.ingress.kubernetes.io/";
const arn = "arn:aws:acm:us-east-1:123456789012:certificate/a";
const hidden = "do-not-tell";
const both = '[{"HTTP": 80}, {"HTTPS": 443}]';
const secure = { [`${prefix}certificate-arn`]: arn, [`${prefix}listen-ports`]: both };

const usual = {
  otherwise: "authenticate",
  scope: "openid",
  cookie: "AWSELBAuthSessionCookie",
  sessionSeconds: 604_800,
} as const;
const oidc = (secretVersion: string, clientSecret = hidden): Login => ({
  ...usual,
  provider: oidcProvider(secretVersion, clientSecret),
});
const userPoolArn = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a";
const cognito: Login = {
  ...usual,
  scope: "openid email",
  parameters: { Display: "page" },
  provider: { kind: "cognito", userPoolArn, clientId: "shop", domain: "my-shop" },
};

/** An Ingress with HTTP and HTTPS, whose rule and default are the same. */
function site(end: Partial<Rule>, annotations: Record<string, string> = secure): BalancerSpec {
  const forward = [{ groupId: "g", weight: 1 }];
  const rules = [{ host: "www.example.org", forward, ...end }];
  const ports = annotations[`${prefix}listen-ports`] === both ? ([80, 443] as const) : ([80] as const);
  const listeners = ports.map((port) => ({
    ...{ port, protocol: port === 443 ? ("HTTPS" as const) : ("HTTP" as const) },
    ...{ rules, forward, ...end },
  }));
  return ingress("web", [], { annotations, listeners });
}

function openAccount() {
  const parts = openBalancerParts();
  parts.world.certificates.set(arn, { domains: [], status: "ISSUED" });
  const inputs = (action: string) =>
    parts.world.writes.filter((each) => each.action === action).map(({ input }) => input);
  return { ...parts, inputs };
}

const oidcAction = {
  Type: "authenticate-oidc",
  Order: 1,
  AuthenticateOidcConfig: {
    Issuer: "https://id.example.org/",
    AuthorizationEndpoint: "https://id.example.org/authorize",
    TokenEndpoint: "https://id.example.org/token",
    UserInfoEndpoint: "https://id.example.org/me",
    ClientId: "shop",
    ClientSecret: hidden,
    OnUnauthenticatedRequest: "authenticate",
    Scope: "openid",
    SessionCookieName: "AWSELBAuthSessionCookie",
    SessionTimeout: 604_800,
  },
};
const cognitoAction = {
  Type: "authenticate-cognito",
  Order: 1,
  AuthenticateCognitoConfig: {
    UserPoolArn: userPoolArn,
    UserPoolClientId: "shop",
    UserPoolDomain: "my-shop",
    OnUnauthenticatedRequest: "authenticate",
    Scope: "openid email",
    SessionCookieName: "AWSELBAuthSessionCookie",
    SessionTimeout: 604_800,
    AuthenticationRequestExtraParams: { Display: "page" },
  },
};
const toHttps = { Type: "redirect", RedirectConfig: { StatusCode: "HTTP_302", Protocol: "HTTPS", Port: "443" } };
const forward = { Type: "forward", Order: 2 };
const plans: Rule["answer"] = { kind: "fixed", statusCode: 200, body: "plans" };
const elsewhere: Rule["answer"] = { kind: "redirect", statusCode: 301, host: "example.org" };

test.for<[string, Partial<Rule>, object[], object[]]>([
  ["OIDC", { login: oidc("1") }, [toHttps], [oidcAction, forward]],
  ["Cognito", { login: cognito }, [toHttps], [cognitoAction, forward]],
  [
    "OIDC before an answer",
    { login: oidc("1"), forward: [], answer: plans },
    [toHttps],
    [oidcAction, { Type: "fixed-response", Order: 2 }],
  ],
  [
    "OIDC before a redirect, which needs none over HTTP",
    { login: oidc("1"), forward: [], answer: elsewhere },
    [{ Type: "redirect", RedirectConfig: { Host: "example.org" } }],
    [oidcAction, { Type: "redirect", Order: 2 }],
  ],
  [
    "a login before nothing",
    { login: oidc("1"), forward: [] },
    [toHttps],
    [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "404" } }],
  ],
])("%s: over HTTPS first of all, and over HTTP a way there", async ([_what, end, plain, over]) => {
  const { open, inputs } = openAccount();
  const balancers = open();
  await balancers.ensure(site(end));
  const [http, https] = inputs("CreateListener");
  expect(http).toMatchObject({ Protocol: "HTTP", DefaultActions: plain });
  expect(https).toMatchObject({ Protocol: "HTTPS", DefaultActions: over });
  expect(inputs("CreateRule")).toMatchObject([{ Actions: plain }, { Actions: over }]);
  expect((await balancers.state())?.warnings).toBeUndefined();
});

test("nothing is done again, also by the next process; the secret can't be compared and isn't", async () => {
  const { open, writes, clock } = openAccount();
  await open().ensure(site({ login: oidc("1") }));
  writes();
  const again = open();
  await again.ensure(site({ login: oidc("1") }));
  await clock.advance(700_000);
  expect((await again.state())?.drift).toBeUndefined();
  expect(writes()).toEqual([]);
});

test("another version of the secret is told to AWS, and no tag tells the secret", async () => {
  const { open, world, writes, inputs } = openAccount();
  await open().ensure(site({ login: oidc("1") }));
  writes();
  const next = open();
  await next.ensure(site({ login: oidc("2", "changed") }));
  expect(writes()).toEqual(["ModifyListener", "AddTags", "ModifyRule", "AddTags"]);
  const config = { ...oidcAction.AuthenticateOidcConfig, ClientSecret: "changed" };
  expect(inputs("ModifyRule")).toMatchObject([{ Actions: [{ AuthenticateOidcConfig: config }, forward] }]);
  expect(inputs("ModifyListener")).toMatchObject([{ DefaultActions: [{ AuthenticateOidcConfig: config }, forward] }]);
  const tags = world.writes.flatMap(({ input }) => input["Tags"] ?? []);
  expect(JSON.stringify(tags)).not.toMatch(/do-not-tell|changed/);
});

test("what somebody changes by hand is told, and one who lets everybody in is undone where that is wanted", async () => {
  const { open, world, writes, clock } = openAccount();
  const spec = site({ login: oidc("1") });
  const balancers = open({ repairDrift: true });
  await balancers.ensure(spec);
  writes();
  const https = [...world.listeners.values()].find(({ protocol }) => protocol === "HTTPS");
  const [rule] = [...(https?.rules.values() ?? [])];
  const config = rule?.actions[0]?.AuthenticateOidcConfig;
  if (config) config.OnUnauthenticatedRequest = "allow";
  await clock.advance(700_000);
  await balancers.observe();
  expect((await balancers.state())?.drift).toBe("The rule for www.example.org sends its clients elsewhere.");
  expect(writes()).toEqual(["ModifyRule", "AddTags"]);
  expect(rule?.actions[0]?.AuthenticateOidcConfig?.OnUnauthenticatedRequest).toBe("authenticate");
});

test("without HTTPS nobody gets in, and the way out is told", async () => {
  const { open, inputs } = openAccount();
  const balancers = open();
  await balancers.ensure(site({ login: cognito }, {}));
  const closed = [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "503" } }];
  expect(inputs("CreateListener")).toMatchObject([{ Protocol: "HTTP", DefaultActions: closed }]);
  expect(inputs("CreateRule")).toMatchObject([{ Actions: closed }]);
  expect((await balancers.state())?.warnings).toEqual([
    `Nobody is served where ${prefix}auth-type asks for a login, which takes HTTPS: name a port by ${prefix}listen-ports and a certificate by ${prefix}certificate-arn.`,
  ]);
});

test("AWS' words are left out where they repeat the secret", async () => {
  const { open, failNext } = openAccount();
  const message = `Value '${hidden}' at 'clientSecret' failed to satisfy constraint`;
  failNext("CreateRule", "ValidationError", { message });
  failNext("CreateRule", "ValidationError", { message: "Value 'x' at 'issuer' failed to satisfy constraint" });
  const balancers = open();
  const spec = site({ login: oidc("1") }, { ...secure, [`${prefix}listen-ports`]: '[{"HTTPS": 443}]' });
  const first = await balancers.ensure(spec).catch((error: unknown) => error);
  expect(first).toMatchObject({
    code: "CLOUD_INVALID",
    message: expect.stringMatching(/CreateRule failed with ValidationError; AWS' words are left out/),
  });
  expect(JSON.stringify(first, Object.getOwnPropertyNames(first))).not.toContain(hidden);
  expect(await outcomeOf(balancers.ensure(spec))).toContain("Value 'x' at 'issuer'");
});

test("the annotations themselves are understood", async () => {
  const names = [
    "type",
    "idp-oidc",
    "idp-cognito",
    "on-unauthenticated-request",
    "scope",
    "session-cookie",
    "session-timeout",
  ];
  const annotations = Object.fromEntries(names.map((name) => [`${prefix}auth-${name}`, "x"]));
  const { open } = openAccount();
  const balancers = open();
  await balancers.ensure(
    ingress("web", [{ path: "/a" }], { annotations: { ...annotations, [`${prefix}auth-saml`]: "x" } }),
  );
  expect((await balancers.state())?.warnings).toEqual([`Nothing is done about ${prefix}auth-saml.`]);
});
