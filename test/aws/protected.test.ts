import { expect, onTestFinished, test } from "vitest";
import { manager, openAwsCluster } from "./cluster.ts";
import { deploy, ingressOf, readyPods } from "./web.ts";

/** An Ingress that lets in who has logged in, by a certificate that is found for its host, behind a web ACL. */

const alb = "alb.ingress.kubernetes.io/";
const certificate = "arn:aws:acm:us-east-1:123456789012:certificate/a";
const webAcl = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/1";
const coded = (text: string) => Buffer.from(text).toString("base64");
const meta = (name: string) => ({ name, namespace: "default" });
const oidc = {
  issuer: "https://id.example.org/",
  authorizationEndpoint: "https://id.example.org/authorize",
  tokenEndpoint: "https://id.example.org/token",
  userInfoEndpoint: "https://id.example.org/me",
  secretName: "client",
};
const site = ingressOf("site", {
  [`${alb}listen-ports`]: '[{"HTTPS": 443}]',
  [`${alb}auth-type`]: "oidc",
  [`${alb}auth-idp-oidc`]: JSON.stringify(oidc),
  [`${alb}wafv2-acl-arn`]: webAcl,
});

test("what is missing is an Event, then it serves, a changed Secret is taken up, and nothing tells it", async () => {
  const cluster = await openAwsCluster();
  onTestFinished(cluster.close);
  const { client, world, view } = cluster;
  await deploy(cluster, 1);
  await client.create("ingresses.networking.k8s.io", site as never, manager);
  const failed = () => cluster.events("SyncLoadBalancerFailed").join("\n");
  await cluster.until("the host is named", () => /no issued certificate for www\.example\.org/.test(failed()));
  world.certificates.set(certificate, { domains: ["*.example.org"], status: "ISSUED" });
  await cluster.until("the web ACL is named", () => failed().includes(`${alb}wafv2-acl-arn: `));
  expect(cluster.events("SecretNotFound")).toEqual([expect.stringContaining("Secret client isn't there")]);
  expect([...world.listeners.values()].filter(({ protocol }) => protocol === "HTTPS")).toEqual([]);
  world.webAcls.add(webAcl);
  const rule = () =>
    [...([...world.listeners.values()].find(({ protocol }) => protocol === "HTTPS")?.rules.values() ?? [])][0];
  const types = () =>
    rule()
      ?.actions.map(({ Type }) => Type)
      .join(" ");
  await cluster.until("nobody is let in", () => types() === "fixed-response");
  const data = { clientID: coded("shop"), clientSecret: coded("alpha-word") };
  await client.create(
    "secrets",
    { apiVersion: "v1", kind: "Secret", metadata: meta("client"), data } as never,
    manager,
  );
  await cluster.until("who logs in is let in", () => types() === "authenticate-oidc forward");
  await cluster.until("its machine serves", () => readyPods(cluster).length === 1);
  expect([...world.loadBalancers.values()].find(({ type }) => type === "application")?.webAclArn).toBe(webAcl);
  const secrets = () =>
    JSON.stringify(world.writes.filter(({ action }) => action === "ModifyRule").map(({ input }) => input));
  await client.update(
    { resource: "secrets", namespace: "default", name: "client" },
    (now) => ({ ...now, data: { ...data, clientSecret: coded("beta-word") } }),
    manager,
  );
  await cluster.until("AWS has the new secret", () => secrets().includes("beta-word"));
  await cluster.restart();
  world.calls.clear();
  await cluster.clock.advance(60_000);
  expect(
    [...world.calls.keys()].filter((name) => /Rule|Listener$|ssociate/.test(name) && !/^Describe/.test(name)),
  ).toEqual([]);
  const tags = world.writes.map(({ input }) => input["Tags"]);
  const told = JSON.stringify([
    view.list("events"),
    view.list("frontends.drover.dev"),
    cluster.warnings,
    cluster.logged,
    tags,
  ]);
  expect(told).not.toMatch(/alpha-word|beta-word/);
});
