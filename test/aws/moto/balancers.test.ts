import { ImportCertificateCommand } from "@aws-sdk/client-acm";
import { DescribeInstancesCommand, DescribeSubnetsCommand, RunInstancesCommand } from "@aws-sdk/client-ec2";
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateWebACLCommand, GetWebACLForResourceCommand } from "@aws-sdk/client-wafv2";
import { expect, test } from "vitest";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { openAwsBalancers } from "../../../src/clouds/aws/balancers.ts";
import type { BalancerSpec, Login } from "../../../src/clouds/balancer.ts";
import { issue, makeAuthority } from "../../../src/server/certificates.ts";
import { ingress, oidcProvider, service, target } from "../../clouds/aws/balancer-parts.ts";
import { openAccount, useMoto } from "./account.ts";

/** What Services and Ingresses can ask for is also accepted by another AWS than our own. */

useMoto();

function openAws() {
  const { groups: securityGroups, close, ...account } = openAccount({ cluster: "test" });
  const balancers = openAwsBalancers({ ...account, securityGroups, log: { warn: () => {} } });
  return { send: account.send, balancers, close };
}

const rules: NonNullable<BalancerSpec["listeners"][number]["rules"]> = [
  {
    path: "/old",
    pathType: "Prefix",
    forward: [],
    answer: { kind: "redirect", statusCode: 302, protocol: "HTTPS", host: "example.org", port: 443, path: "/#{path}" },
  },
  {
    path: "/no",
    pathType: "Exact",
    forward: [],
    answer: { kind: "fixed", statusCode: 503, contentType: "text/html", body: "no" },
  },
  {
    host: "a.example.org",
    hosts: ["b.example.org"],
    patterns: ["/x/*"],
    conditions: [{ field: "header", name: "X-Canary", values: ["1"] }],
    forward: [{ groupId: "g", weight: 1 }],
  },
  {
    conditions: [
      { field: "method", values: ["GET", "HEAD"] },
      { field: "query", values: [{ key: "v", value: "2" }] },
      { field: "source", values: ["192.0.2.0/24"] },
    ],
    forward: [
      { groupId: "g", weight: 20 },
      { groupId: "h", weight: 80 },
    ],
    stickySeconds: 60,
  },
];

test("an Ingress' actions, conditions and weights", { timeout: 60_000 }, async () => {
  const { send, balancers, close } = openAws();
  await balancers.ensure(
    ingress("site", [], {
      listeners: [{ port: 80, protocol: "HTTP", forward: [{ groupId: "g", weight: 1 }], rules }],
      groups: ["g", "h"].map((id) => ({ id, protocol: "HTTP", targets: [], drainSeconds: 30 })),
    }),
  );
  const { Rules = [] } = await send("elb", new DescribeRulesCommand({ ListenerArn: await listenerOf(send) }));
  const shown = Rules.map(({ Priority, Conditions = [], Actions = [] }) => [
    Priority,
    Conditions.map(({ Field }) => Field).join(" "),
    Actions.map(({ Type }) => Type).join(" "),
  ]);
  expect(shown).toEqual([
    ["1", "path-pattern", "redirect"],
    ["2", "path-pattern", "fixed-response"],
    ["3", "host-header path-pattern http-header", "forward"],
    ["4", "http-request-method query-string source-ip", "forward"],
    ["default", "", "forward"],
  ]);
  await balancers.remove("site");
  close();
});

const usual = { otherwise: "authenticate", scope: "openid", cookie: "shop", sessionSeconds: 3_600 } as const;
const logins: readonly Login[] = [
  {
    ...usual,
    provider: oidcProvider("1", "do-not-tell"),
  },
  {
    ...usual,
    parameters: { display: "page" },
    provider: {
      kind: "cognito",
      userPoolArn: "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a",
      clientId: "shop",
      domain: "my-shop",
    },
  },
];

test("an Ingress' logins, its certificate by its hosts, and its web ACL", { timeout: 60_000 }, async () => {
  const { send, balancers, close } = openAws();
  const nowMs = Date.now();
  const authority = await makeAuthority("test", nowMs, 10);
  const names = ["*.example.org"];
  const pair = await issue(authority, {
    ...{ commonName: "a", organizations: [], usage: "server", names, nowMs, days: 5 },
  });
  const [Certificate, PrivateKey] = [pair.certificate, pair.key].map((pem) => Buffer.from(pem));
  await send("acm", new ImportCertificateCommand({ Certificate, PrivateKey }));
  const VisibilityConfig = { SampledRequestsEnabled: false, CloudWatchMetricsEnabled: false, MetricName: "shop" };
  const { Summary: acl } = await send(
    "wafv2",
    new CreateWebACLCommand({ Name: "shop", Scope: "REGIONAL", DefaultAction: { Allow: {} }, VisibilityConfig }),
  );
  const site = (webAcl: string) =>
    ingress("site", [], {
      hosts: ["www.example.org"],
      annotations: { "alb.ingress.kubernetes.io/wafv2-acl-arn": webAcl },
      listeners: [
        {
          ...{ port: 443, protocol: "HTTPS", forward: [] },
          rules: logins.map((login, index) => ({ path: `/${index}`, forward: [{ groupId: "g", weight: 1 }], login })),
        },
      ],
    });
  await balancers.ensure(site(acl?.ARN ?? ""));
  const { Rules = [] } = await send("elb", new DescribeRulesCommand({ ListenerArn: await listenerOf(send) }));
  expect(Rules.map(({ Actions = [] }) => Actions.map(({ Type }) => Type).join(" "))).toEqual([
    "authenticate-oidc forward",
    "authenticate-cognito forward",
    "fixed-response",
  ]);
  const { LoadBalancers: [balancer] = [] } = await send("elb", new DescribeLoadBalancersCommand({}));
  const of = new GetWebACLForResourceCommand({ ResourceArn: balancer?.LoadBalancerArn });
  expect((await send("wafv2", of)).WebACL?.ARN).toBe(acl?.ARN);
  await balancers.ensure(site("none"));
  expect((await send("wafv2", of)).WebACL).toBeUndefined();
  await balancers.remove("site");
  close();
});

test("a Service with TCP and UDP on one port, whose clients stay, and weights", { timeout: 60_000 }, async () => {
  const { send, balancers, close } = openAws();
  const { Subnets: [subnet] = [] } = await send("ec2", new DescribeSubnetsCommand({}));
  const one = { ImageId: "ami-12345678", InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const;
  const { Instances: [made] = [] } = await send("ec2", new RunInstancesCommand({ ...one, SubnetId: subnet?.SubnetId }));
  const id = made?.InstanceId ?? "";
  await send("ec2", new DescribeInstancesCommand({ InstanceIds: [id] }));
  const group = (groupId: string, protocol: "TCP" | "UDP") =>
    ({ id: groupId, protocol, targets: [target(id, { port: 5353 })], drainSeconds: 30, sticky: true }) as const;
  const forward = (protocol: string) => [
    { groupId: `53-${protocol}`, weight: 10 },
    { groupId: `53-${protocol}/canary`, weight: 90 },
  ];
  await balancers.ensure(
    service([], {
      listeners: (["TCP", "UDP"] as const).map((protocol) => ({ port: 53, protocol, forward: forward(protocol) })),
      groups: (["TCP", "UDP"] as const).flatMap((protocol) => [
        group(`53-${protocol}`, protocol),
        group(`53-${protocol}/canary`, protocol),
      ]),
    }),
  );
  const { TargetGroups = [] } = await send("elb", new DescribeTargetGroupsCommand({}));
  expect(TargetGroups.map(({ Protocol }) => Protocol)).toEqual(["TCP_UDP", "TCP_UDP"]);
  const look = async () =>
    (await balancers.observe()).balancers[0]?.targets.map(({ machineId, state }) => [machineId, state]);
  await expect.poll(look, { timeout: 30_000 }).toEqual([[id, "healthy"]]);
  await balancers.remove("web");
  close();
});

/** The only listener there is. */
async function listenerOf(send: Send): Promise<string> {
  const { LoadBalancers: [balancer] = [] } = await send("elb", new DescribeLoadBalancersCommand({}));
  const input = { LoadBalancerArn: balancer?.LoadBalancerArn };
  const { Listeners: [listener] = [] } = await send("elb", new DescribeListenersCommand(input));
  return listener?.ListenerArn ?? "";
}
