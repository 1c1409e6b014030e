import { expect, test } from "vitest";
import type { BalancerSpec } from "../../../src/clouds/balancer.ts";
import { ingress, openBalancerParts, outcomeOf, service, target } from "./balancer-parts.ts";

/** What each annotation of the AWS Load Balancer Controller makes drover ask of AWS. */

const network = "service.beta.kubernetes.io/aws-load-balancer-";
const application = "alb.ingress.kubernetes.io/";
const arn = "arn:aws:acm:us-east-1:123456789012:certificate/a";
const tls = { [`${network}ssl-cert`]: arn };
const https = { [`${application}certificate-arn`]: arn };

type Row = readonly [annotation: string, text: string, action: string, input: object, more?: Record<string, string>];

const tags = (pairs: Record<string, string>) =>
  expect.arrayContaining(Object.entries(pairs).map(([Key, Value]) => ({ Key, Value })));
const attributes = (pairs: Record<string, string>) => ({ Attributes: tags(pairs) });

const rows: readonly Row[] = [
  [`${network}type`, "external", "CreateLoadBalancer", { Type: "network" }],
  [`${network}nlb-target-type`, "ip", "CreateTargetGroup", { TargetType: "instance" }],
  [`${network}scheme`, "internal", "CreateLoadBalancer", { Scheme: "internal" }],
  [`${network}internal`, "true", "CreateLoadBalancer", { Scheme: "internal" }],
  [`${network}name`, "shop", "CreateLoadBalancer", { Name: "shop" }],
  [`${network}ip-address-type`, "dualstack", "CreateLoadBalancer", { IpAddressType: "dualstack" }],
  [`${network}subnets`, "FIRST", "CreateLoadBalancer", { Subnets: ["FIRST"] }],
  [
    `${network}eip-allocations`,
    "eipalloc-1",
    "CreateLoadBalancer",
    { SubnetMappings: [{ SubnetId: "FIRST", AllocationId: "eipalloc-1" }] },
    { [`${network}subnets`]: "FIRST" },
  ],
  [
    `${network}private-ipv4-addresses`,
    "172.31.0.7",
    "CreateLoadBalancer",
    { SubnetMappings: [{ SubnetId: "FIRST", PrivateIPv4Address: "172.31.0.7" }], Scheme: "internal" },
    { [`${network}subnets`]: "FIRST", [`${network}scheme`]: "internal" },
  ],
  [`${network}ssl-cert`, arn, "CreateListener", { Protocol: "TLS", Certificates: [{ CertificateArn: arn }] }],
  [`${network}ssl-ports`, "443", "CreateListener", { Protocol: "TCP", Port: 80 }, tls],
  [`${network}ssl-ports`, "80", "CreateListener", { Protocol: "TLS", Port: 80 }, tls],
  [
    `${network}ssl-negotiation-policy`,
    "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "CreateListener",
    { SslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06" },
    tls,
  ],
  [`${network}backend-protocol`, "ssl", "CreateTargetGroup", { Protocol: "TLS" }, tls],
  [`${network}alpn-policy`, "HTTP2Preferred", "CreateListener", { AlpnPolicy: ["HTTP2Preferred"] }, tls],
  [
    `${network}healthcheck-protocol`,
    "http",
    "CreateTargetGroup",
    { HealthCheckProtocol: "HTTP", HealthCheckPath: "/" },
  ],
  [`${network}healthcheck-port`, "8081", "CreateTargetGroup", { HealthCheckPort: "8081" }],
  [
    `${network}healthcheck-path`,
    "/ready",
    "CreateTargetGroup",
    { HealthCheckPath: "/ready" },
    { [`${network}healthcheck-protocol`]: "HTTP" },
  ],
  [`${network}healthcheck-interval`, "20", "CreateTargetGroup", { HealthCheckIntervalSeconds: 20 }],
  [`${network}healthcheck-timeout`, "5", "CreateTargetGroup", { HealthCheckTimeoutSeconds: 5 }],
  [`${network}healthcheck-healthy-threshold`, "4", "CreateTargetGroup", { HealthyThresholdCount: 4 }],
  [`${network}healthcheck-unhealthy-threshold`, "5", "CreateTargetGroup", { UnhealthyThresholdCount: 5 }],
  [
    `${network}healthcheck-success-codes`,
    "200",
    "CreateTargetGroup",
    { Matcher: { HttpCode: "200" } },
    { [`${network}healthcheck-protocol`]: "HTTP" },
  ],
  ...[
    { "deregistration_delay.timeout_seconds": "7" },
    { "deregistration_delay.connection_termination.enabled": "true" },
    { "preserve_client_ip.enabled": "false" },
    { "proxy_protocol_v2.enabled": "true" },
    { "stickiness.enabled": "true" },
  ].map((pair): Row => {
    const [[name, value] = []] = Object.entries(pair);
    const wanted = attributes({ [name ?? ""]: value ?? "" });
    return [`${network}target-group-attributes`, `${name}=${value}`, "ModifyTargetGroupAttributes", wanted];
  }),
  [
    `${network}target-group-attributes`,
    "preserve_client_ip.enabled.80=false",
    "ModifyTargetGroupAttributes",
    attributes({ "preserve_client_ip.enabled": "false" }),
  ],
  ...["load_balancing.cross_zone.enabled", "deletion_protection.enabled"].map(
    (name): Row => [
      `${network}attributes`,
      `${name}=true`,
      "ModifyLoadBalancerAttributes",
      attributes({ [name]: "true" }),
    ],
  ),
  [`${network}security-groups`, "GROUP", "CreateLoadBalancer", { SecurityGroups: ["GROUP", expect.any(String)] }],
  [
    `${network}manage-backend-security-group-rules`,
    "true",
    "CreateLoadBalancer",
    { SecurityGroups: ["GROUP", expect.any(String)] },
    { [`${network}security-groups`]: "GROUP" },
  ],
  [
    `${network}manage-backend-security-group-rules`,
    "false",
    "CreateLoadBalancer",
    { SecurityGroups: ["GROUP"] },
    { [`${network}security-groups`]: "GROUP" },
  ],
  [
    `${network}disable-nlb-sg`,
    "false",
    "CreateLoadBalancer",
    { SecurityGroups: [expect.any(String), expect.any(String)] },
  ],
  [`${network}additional-resource-tags`, "team=shop", "CreateLoadBalancer", { Tags: tags({ team: "shop" }) }],
  [`${network}additional-resource-tags`, "team=shop", "CreateTargetGroup", { Tags: tags({ team: "shop" }) }],
  [`${network}proxy-protocol`, "*", "ModifyTargetGroupAttributes", attributes({ "proxy_protocol_v2.enabled": "true" })],
  [
    "service.beta.kubernetes.io/load-balancer-source-ranges",
    "192.0.2.0/24",
    "AuthorizeSecurityGroupIngress",
    { IpPermissions: [expect.objectContaining({ IpRanges: [expect.objectContaining({ CidrIp: "192.0.2.0/24" })] })] },
  ],

  [`${application}scheme`, "internal", "CreateLoadBalancer", { Scheme: "internal", Type: "application" }],
  [`${application}target-type`, "ip", "CreateTargetGroup", { TargetType: "instance" }],
  [`${application}listen-ports`, '[{"HTTP": 8080}]', "CreateListener", { Port: 8080, Protocol: "HTTP" }],
  [
    `${application}certificate-arn`,
    arn,
    "CreateListener",
    { Port: 443, Protocol: "HTTPS", Certificates: [{ CertificateArn: arn }] },
  ],
  [
    `${application}ssl-redirect`,
    "443",
    "CreateListener",
    {
      Port: 80,
      DefaultActions: [
        { Type: "redirect", RedirectConfig: { Protocol: "HTTPS", Port: "443", StatusCode: "HTTP_301" } },
      ],
    },
    { ...https, [`${application}listen-ports`]: '[{"HTTP": 80}, {"HTTPS": 443}]' },
  ],
  [
    `${application}ssl-policy`,
    "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "CreateListener",
    { SslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06" },
    https,
  ],
  [`${application}group.name`, "shop", "CreateLoadBalancer", { Tags: tags({ "drover.dev/group": "shop" }) }],
  [
    `${application}group.order`,
    "7",
    "CreateRule",
    { Tags: tags({ "drover.dev/order": "7" }) },
    { [`${application}group.name`]: "shop" },
  ],
  [`${application}healthcheck-protocol`, "HTTPS", "CreateTargetGroup", { HealthCheckProtocol: "HTTPS" }],
  [`${application}healthcheck-port`, "8081", "CreateTargetGroup", { HealthCheckPort: "8081" }],
  [`${application}healthcheck-path`, "/ready", "CreateTargetGroup", { HealthCheckPath: "/ready" }],
  [`${application}healthcheck-interval-seconds`, "20", "CreateTargetGroup", { HealthCheckIntervalSeconds: 20 }],
  [`${application}healthcheck-timeout-seconds`, "7", "CreateTargetGroup", { HealthCheckTimeoutSeconds: 7 }],
  [`${application}healthy-threshold-count`, "4", "CreateTargetGroup", { HealthyThresholdCount: 4 }],
  [`${application}unhealthy-threshold-count`, "5", "CreateTargetGroup", { UnhealthyThresholdCount: 5 }],
  [`${application}success-codes`, "204", "CreateTargetGroup", { Matcher: { HttpCode: "204" } }],
  [`${application}backend-protocol`, "HTTPS", "CreateTargetGroup", { Protocol: "HTTPS" }],
  [`${application}backend-protocol-version`, "GRPC", "CreateTargetGroup", { ProtocolVersion: "GRPC" }, https],
  [
    `${application}load-balancer-attributes`,
    "idle_timeout.timeout_seconds=90",
    "ModifyLoadBalancerAttributes",
    attributes({ "idle_timeout.timeout_seconds": "90" }),
  ],
  [
    `${application}target-group-attributes`,
    "stickiness.enabled=true",
    "ModifyTargetGroupAttributes",
    attributes({ "stickiness.enabled": "true" }),
  ],
  [
    `${application}inbound-cidrs`,
    "192.0.2.0/24",
    "AuthorizeSecurityGroupIngress",
    { IpPermissions: [expect.objectContaining({ IpRanges: [expect.objectContaining({ CidrIp: "192.0.2.0/24" })] })] },
  ],
  [`${application}subnets`, "FIRST,SECOND", "CreateLoadBalancer", { Subnets: ["FIRST", "SECOND"] }],
  [`${application}security-groups`, "GROUP", "CreateLoadBalancer", { SecurityGroups: ["GROUP", expect.any(String)] }],
  [`${application}tags`, "team=shop", "CreateRule", { Tags: tags({ team: "shop" }) }],
];

const kindOf = (annotation: string) => (annotation.startsWith(application) ? "application" : "network");

/** A fake account, and in texts the ids that it has. */
function openAccount() {
  const parts = openBalancerParts();
  parts.world.certificates.add(arn);
  const [first = "", second = ""] = [...parts.world.subnets.keys()].sort();
  const [group = ""] = parts.world.securityGroups.keys();
  const filled = <Value>(value: Value): Value => {
    if (typeof value === "string")
      return value.replaceAll("FIRST", first).replaceAll("SECOND", second).replaceAll("GROUP", group) as Value;
    if (Array.isArray(value)) return value.map(filled) as Value;
    const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    return isPlain
      ? (Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one)])) as Value)
      : value;
  };
  return { ...parts, filled };
}

const specOf = (annotation: string, annotations: Record<string, string>, targets: string[] = []): BalancerSpec =>
  kindOf(annotation) === "network"
    ? service(
        targets.map((id) => target(id)),
        { annotations },
      )
    : ingress("web", [{ host: "www.example.org" }], { annotations });

test.for(rows)("%s: %s leads to its %s", async ([annotation, text, action, input, more = {}]) => {
  const { open, world, filled } = openAccount();
  const balancers = open();
  await balancers.ensure(specOf(annotation, filled({ ...more, [annotation]: text })));
  const inputs = world.writes.filter((each) => each.action === action).map((each) => each.input);
  expect(inputs).toContainEqual(expect.objectContaining(filled(input)));
  expect((await balancers.state())?.warnings).toBeUndefined();
});

test.for([
  [`${network}disable-nlb-sg`, "true", "machines let load balancers in by their security group"],
  [`${application}wafv2-acl-arn`, "arn:aws:wafv2:a", "drover associates no web ACL"],
  [`${application}shield-advanced-protection`, "true", "drover subscribes to no Shield"],
  [`${network}ssl-cert`, "arn:aws:acm:us-east-1:1:certificate/none", "Certificate 'arn:aws:acm:us-east-1:1"],
  [`${application}certificate-arn`, "arn:aws:acm:us-east-1:1:certificate/none", "Certificate 'arn:aws:acm:us-east-1:1"],
] as const)("%s: %s is refused by name, and nobody is let in without it", async ([annotation, text, why]) => {
  const { open, world } = openAccount();
  const outcome = await outcomeOf(open().ensure(specOf(annotation, { [annotation]: text })));
  expect(outcome).toContain(`CLOUD_INVALID ${annotation}: `);
  expect(outcome).toContain(why);
  expect(world.listeners.size).toBe(0);
});

test("actions and conditions are rules, made once and told of when somebody edits them", async () => {
  const { open, world, writes, clock } = openAccount();
  const rule = { path: "/go", pathType: "Prefix" } as const;
  const spec = ingress("web", [], {
    listeners: [
      {
        port: 80,
        protocol: "HTTP",
        forward: [],
        answer: { kind: "fixed", statusCode: 410, body: "gone" },
        rules: [
          {
            ...rule,
            forward: [],
            answer: { kind: "redirect", statusCode: 302, host: "example.org", path: "/#{path}" },
          },
          {
            host: "a.example.org",
            hosts: ["b.example.org"],
            patterns: ["/x/*"],
            conditions: [
              { field: "header", name: "X-Canary", values: ["1"] },
              { field: "method", values: ["GET"] },
            ],
            forward: [
              { groupId: "g", weight: 20 },
              { groupId: "h", weight: 80 },
            ],
            stickySeconds: 60,
          },
          {
            conditions: [
              { field: "query", values: [{ key: "v", value: "2" }] },
              { field: "source", values: ["192.0.2.0/24"] },
            ],
            forward: [{ groupId: "g", weight: 1 }],
          },
        ],
      },
    ],
    groups: ["g", "h"].map((id) => ({ id, protocol: "HTTP", targets: [], drainSeconds: 30 })),
  });
  await open().ensure(spec);
  const inputs = (action: string) => world.writes.filter((each) => each.action === action).map((each) => each.input);
  expect(inputs("CreateListener")).toMatchObject([
    {
      DefaultActions: [
        {
          Type: "fixed-response",
          FixedResponseConfig: { StatusCode: "410", ContentType: "text/plain", MessageBody: "gone" },
        },
      ],
    },
  ]);
  expect(inputs("CreateRule")).toMatchObject([
    {
      Conditions: [{ Field: "path-pattern", PathPatternConfig: { Values: ["/go", "/go/*"] } }],
      Actions: [
        { Type: "redirect", RedirectConfig: { Host: "example.org", Path: "/#{path}", StatusCode: "HTTP_302" } },
      ],
    },
    {
      Conditions: [
        { Field: "host-header", HostHeaderConfig: { Values: ["a.example.org", "b.example.org"] } },
        { Field: "path-pattern", PathPatternConfig: { Values: ["/x/*"] } },
        { Field: "http-header", HttpHeaderConfig: { HttpHeaderName: "X-Canary", Values: ["1"] } },
        { Field: "http-request-method", HttpRequestMethodConfig: { Values: ["GET"] } },
      ],
      Actions: [
        {
          ForwardConfig: {
            TargetGroups: [{ Weight: 20 }, { Weight: 80 }],
            TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 60 },
          },
        },
      ],
    },
    {
      Conditions: [
        { Field: "query-string", QueryStringConfig: { Values: [{ Key: "v", Value: "2" }] } },
        { Field: "source-ip", SourceIpConfig: { Values: ["192.0.2.0/24"] } },
      ],
    },
  ]);
  writes();
  const again = open();
  await again.ensure(spec);
  await clock.advance(700_000);
  expect((await again.state())?.drift).toBeUndefined();
  expect(writes()).toEqual([]);
  const [listener] = world.listeners.values();
  for (const each of listener?.rules.values() ?? []) {
    for (const { RedirectConfig } of each.actions) if (RedirectConfig) RedirectConfig.Host = "elsewhere.example.org";
  }
  await clock.advance(700_000);
  await again.observe();
  expect((await again.state())?.drift).toBe("The rule for /go /go/* sends its clients elsewhere.");
});
