import { inspect } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { Ingress, Secret, Service } from "../../src/api/types.gen.ts";
import type { Login } from "../../src/clouds/balancer.ts";
import { recordOf } from "../../src/controllers/frontend.ts";
import { ingressBalancer } from "../../src/controllers/ingress-balancer.ts";
import { isSame } from "../../src/controllers/owned.ts";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

/** What `auth-*` of an Ingress and of the Services behind it ask of clients. */

const prefix = "alb.ingress.kubernetes.io/";
const hidden = "do-not-tell";
const coded = (text: string) => Buffer.from(text).toString("base64");
const urls = {
  issuer: "https://id.example.org/",
  authorizationEndpoint: "https://id.example.org/authorize",
  tokenEndpoint: "https://id.example.org/token",
  userInfoEndpoint: "https://id.example.org/me",
};
const oidc = JSON.stringify({ ...urls, secretName: "client" });
const userPoolARN = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a";
const cognito = JSON.stringify({ userPoolARN, userPoolClientID: "shop", userPoolDomain: "my-shop" });

type Texts = Readonly<Record<string, string>>;
const named = (texts: Texts) => Object.fromEntries(Object.entries(texts).map(([key, text]) => [prefix + key, text]));
const secretData: Readonly<Record<string, Texts>> = {
  client: { clientID: "shop\n", clientSecret: hidden },
  old: { clientId: "shop", clientSecret: hidden },
  anonymous: { clientSecret: hidden },
  open: { clientID: "shop" },
};
const secretOf = (name: string): Secret | undefined => {
  const texts = secretData[name];
  if (!texts) return undefined;
  const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, coded(text)]));
  return { apiVersion: "v1", kind: "Secret", metadata: { name, uid: "s", resourceVersion: "7" }, data };
};
const service = (name: string, texts: Texts = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", uid: name, annotations: named(texts) },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});
const ingress = (texts: Texts, name = "a", port: object = { number: 80 }): Ingress => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name: "site", namespace: "default", uid: "u", annotations: named(texts) },
  spec: { rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name, port } } }] } }] },
});

/** The only rule of an Ingress, and what is told. `services`: a and b, with these annotations. */
function balance(of: Ingress, services: Readonly<Record<string, Texts>> = {}) {
  const serviceOf = (name: string) => (/^[ab]$/.test(name) ? service(name, services[name]) : undefined);
  const sources = { serviceOf, secretOf, candidatesOf: () => [] };
  const { wanted, warnings } = ingressBalancer(of, sources, { id: "ing-u", cluster: "test" });
  return { wanted, rule: wanted.listeners[0]?.rules?.[0], warnings };
}

const usual = {
  otherwise: "authenticate",
  scope: "openid",
  cookie: "AWSELBAuthSessionCookie",
  sessionSeconds: 604_800,
};
const byCognito = { provider: { kind: "cognito", userPoolArn: userPoolARN, clientId: "shop", domain: "my-shop" } };
const asked = { "auth-type": "oidc", "auth-idp-oidc": oidc };
const forward = { type: "forward", serviceName: "a", servicePort: 80 };

test.for<[string, Texts, object | undefined]>([
  ["nothing", {}, undefined],
  ["none, whatever else is said", { ...asked, "auth-type": "none", "auth-scope": "" }, undefined],
  ["a user pool", { "auth-type": "cognito", "auth-idp-cognito": cognito }, { ...byCognito, ...usual }],
  [
    "keys in any case",
    { "auth-type": "cognito", "auth-idp-cognito": cognito.replace("userPoolARN", "UserPoolArn") },
    { ...byCognito, ...usual },
  ],
  ["OIDC", asked, { provider: { kind: "oidc", ...urls, clientId: "shop", secretVersion: "s/7" }, ...usual }],
  ["a Secret as of former times", { ...asked, "auth-idp-oidc": oidc.replace("client", "old") }, usual],
  [
    "all that can be said",
    {
      ...asked,
      "auth-idp-oidc": JSON.stringify({ ...JSON.parse(oidc), authenticationRequestExtraParams: { Display: "page" } }),
      "auth-on-unauthenticated-request": "deny",
      "auth-scope": "openid email",
      "auth-session-cookie": "shop",
      "auth-session-timeout": "3600",
    },
    {
      otherwise: "deny",
      scope: "openid email",
      cookie: "shop",
      sessionSeconds: 3_600,
      parameters: { Display: "page" },
    },
  ],
])("an Ingress that asks for %s", ([_what, texts, want]) => {
  const { rule, warnings } = balance(ingress(texts));
  expect(warnings).toEqual([]);
  expect(rule?.forward).toHaveLength(1);
  if (want === undefined) expect(rule).not.toHaveProperty("login");
  else expect(rule?.login).toMatchObject(want);
});

test.for<[string, Texts, string, string]>([
  ["another type", { "auth-type": "saml" }, "type", 'it must be one of none, oidc, cognito, not "saml"'],
  ["no provider", { "auth-type": "oidc" }, "idp-oidc", "it is missing, though auth-type asks for it: JSON with issuer"],
  ["no user pool", { "auth-type": "cognito" }, "idp-cognito", "it is missing, though auth-type asks for it"],
  ["no JSON", { ...asked, "auth-idp-oidc": "{" }, "idp-oidc", "it is not JSON"],
  [
    "no endpoint",
    { ...asked, "auth-idp-oidc": '{"issuer":"https://a"}' },
    "idp-oidc",
    "authorizationEndpoint is missing",
  ],
  [
    "an endpoint without TLS",
    { ...asked, "auth-idp-oidc": oidc.replace("https://id.example.org/token", "http://id") },
    "idp-oidc",
    'tokenEndpoint must be a whole URL that begins with https://, not "http://id"',
  ],
  [
    "what is no user pool",
    { "auth-type": "cognito", "auth-idp-cognito": cognito.replace("userpool", "identitypool") },
    "idp-cognito",
    "userPoolARN must be the ARN of a user pool",
  ],
  [
    "another behaviour",
    { ...asked, "auth-on-unauthenticated-request": "ask" },
    "on-unauthenticated-request",
    "allow, deny",
  ],
  ["no scope", { ...asked, "auth-scope": " " }, "scope", "claims divided by blanks"],
  ["no cookie", { ...asked, "auth-session-cookie": "a b" }, "session-cookie", "it must be a cookie's name"],
  [
    "a time too long",
    { ...asked, "auth-session-timeout": "604801" },
    "session-timeout",
    "from 1 to 604800, not 604801",
  ],
  ["no time", { ...asked, "auth-session-timeout": "1h" }, "session-timeout", "a whole number from 1 to 604800"],
  [
    "no Secret",
    { ...asked, "auth-idp-oidc": oidc.replace("client", "absent") },
    "idp-oidc",
    "Secret absent isn't there",
  ],
  ["no client", { ...asked, "auth-idp-oidc": oidc.replace("client", "anonymous") }, "idp-oidc", "has no clientID"],
  ["no secret", { ...asked, "auth-idp-oidc": oidc.replace("client", "open") }, "idp-oidc", "has no clientSecret"],
])("with %s nobody is served, and an Event says why", ([_what, texts, annotation, why]) => {
  const { wanted, rule, warnings } = balance(ingress(texts));
  expect(rule).toMatchObject({ forward: [], answer: { kind: "fixed", statusCode: 503 } });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.message).toMatch(new RegExp(`^${prefix}auth-${annotation}: .*; \\*/ is answered with 503\\.$`));
  expect(warnings[0]?.message).toContain(why);
  expect(JSON.stringify([warnings, wanted])).not.toContain(hidden);
});

test.for<[string, Ingress, Record<string, Texts>, Partial<Login> | string | undefined]>([
  ["wins over the Ingress", ingress(asked), { a: { "auth-scope": "email" } }, { scope: "email" }],
  ["asks where the Ingress doesn't", ingress({}), { a: asked }, { scope: "openid" }],
  ["excepts itself", ingress(asked), { a: { "auth-type": "none" } }, undefined],
  ["says nothing of another", ingress(asked), { b: { "auth-type": "none" } }, { scope: "openid" }],
  [
    "wins behind an action, too",
    ingress({ "actions.go": JSON.stringify(forward) }, "go", { name: "use-annotation" }),
    { a: asked },
    { scope: "openid" },
  ],
  [
    "has to agree with others behind one backend",
    ingress(
      {
        "actions.go": JSON.stringify({
          type: "forward",
          forwardConfig: { targetGroups: ["a", "b"].map((serviceName) => ({ serviceName, servicePort: 80 })) },
        }),
      },
      "go",
      { name: "use-annotation" },
    ),
    { a: asked },
    `${prefix}auth-type: the Services a, b ask for different logins; */ is answered with 503.`,
  ],
  [
    "is named where it is wrong",
    ingress(asked),
    { a: { "auth-session-timeout": "0" } },
    `${prefix}auth-session-timeout of Service a: it must be a whole number from 1 to 604800, not 0; */ is answered with 503.`,
  ],
])("a Service's own annotation %s", ([_what, of, services, want]) => {
  const { rule, warnings } = balance(of, services);
  expect(warnings.map(({ message }) => message)).toEqual(typeof want === "string" ? [want] : []);
  if (want === undefined) expect(rule).not.toHaveProperty("login");
  else if (typeof want === "object") expect(rule?.login).toMatchObject(want);
});

test("what an action answers and the default backend are protected as well", () => {
  const answer = { type: "fixed-response", fixedResponseConfig: { statusCode: "200", messageBody: "secret plans" } };
  const one = ingress({ ...asked, "actions.plans": JSON.stringify(answer) }, "plans", { name: "use-annotation" });
  expect(balance(one).rule).toMatchObject({ answer: { statusCode: 200 }, login: { scope: "openid" } });
  const usualBackend = { service: { name: "a", port: { number: 80 } } };
  const { wanted } = balance({ ...ingress(asked), spec: { defaultBackend: usualBackend } });
  expect(wanted.listeners[0]).toMatchObject({ forward: [{ groupId: "a:80" }], login: { scope: "openid" } });
});

test("the secret is shown nowhere and is compared by its version", () => {
  const { wanted, rule } = balance(ingress(asked));
  expect(
    `${JSON.stringify(wanted)} ${JSON.stringify(recordOf(wanted))} ${inspect(wanted, { depth: 20 })}`,
  ).not.toContain(hidden);
  const provider = rule?.login?.provider;
  expect(provider?.kind === "oidc" && provider.clientSecret.open()).toBe(hidden);
  expect(isSame(wanted, balance(ingress(asked)).wanted)).toBe(true);
  const later = JSON.parse(JSON.stringify(wanted).replace("s/7", "s/8"));
  expect(isSame(wanted, later)).toBe(false);
});

test("in a cluster a changed Secret is taken up, also one that a Service names", async () => {
  const cluster = await openCluster();
  onTestFinished(cluster.close);
  const { client, world } = cluster;
  const create = (resource: string, object: object) => client.create(resource, object as never, manager);
  const web = webService("ClusterIP");
  const annotations = named(asked);
  await create("services", { ...web, metadata: { ...web.metadata, annotations } });
  await create("deployments.apps", webDeployment(1));
  const of = ingress({}, "web");
  await create("ingresses.networking.k8s.io", { ...of, metadata: { name: "site", namespace: "default" } });
  const rule = () =>
    [...world.balancers.values()].find(({ spec }) => spec.kind === "application")?.spec.listeners[0]?.rules?.[0];
  const secret = () => {
    const provider = rule()?.login?.provider;
    return provider?.kind === "oidc" ? provider.clientSecret.open() : undefined;
  };
  await cluster.until("nobody is served", () => rule()?.answer !== undefined);
  expect(cluster.events("SecretNotFound")).toEqual([expect.stringContaining("Secret client isn't there")]);
  const data = { clientID: coded("shop"), clientSecret: coded("alpha-word") };
  const key = { resource: "secrets" as const, namespace: "default", name: "client" };
  await create("secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "client", namespace: "default" },
    data,
  });
  await cluster.until("the login is there", () => secret() === "alpha-word");
  await client.update(key, (now) => ({ ...now, data: { ...data, clientSecret: coded("beta-word") } }), manager);
  await cluster.until("the new secret is there", () => secret() === "beta-word");
  await client.delete(key, {});
  await cluster.until("nobody is served again", () => rule()?.answer !== undefined && rule()?.login === undefined);
  const told = JSON.stringify([cluster.view.list("events"), cluster.view.list("frontends.drover.dev")]);
  expect(told).not.toMatch(/alpha-word|beta-word/);
});
