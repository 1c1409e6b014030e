import { describe, expect, test } from "vitest";
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
  parts.world.certificates.set(arn, { domains: [], status: "ISSUED" });
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
  [`${application}wafv2-acl-arn`, "arn:aws:wafv2:a", "is not the ARN of a regional web ACL"],
  [`${network}security-groups`, "nobody's", "no security group of vpc-"],
  [`${network}subnets`, "nobody's", "no subnet of vpc-"],
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

test("security groups may be called by name", async () => {
  const { open, world } = openAccount();
  const [[id = "", group] = []] = [...world.securityGroups];
  group?.tags.set("Name", "web");
  await open().ensure(service([], { annotations: { [`${network}security-groups`]: "web" } }));
  const made = world.writes.find(({ action }) => action === "CreateLoadBalancer");
  expect(made?.input).toMatchObject({ SecurityGroups: [id, expect.any(String)] });
});

describe("a Service with UDP", () => {
  const both = (udpPort: number) =>
    service([], {
      listeners: (["TCP", "UDP"] as const).map((protocol) => ({
        port: 53,
        protocol,
        forward: [{ groupId: `53-${protocol}`, weight: 1 }],
      })),
      groups: [
        { id: "53-TCP", protocol: "TCP", targets: [target("i-1", { port: 5353 })], drainSeconds: 30 },
        { id: "53-UDP", protocol: "UDP", targets: [target("i-1", { port: udpPort })], drainSeconds: 30 },
      ],
    });

  test("and TCP on one port has a listener for both, reached by both", async () => {
    const { open, world, launch } = openAccount();
    const [id = ""] = await launch(1);
    const spec = both(5353);
    const groups = spec.groups.map((group) => ({
      ...group,
      targets: group.targets.map((one) => ({ ...one, machineId: id })),
    }));
    const balancers = open();
    await balancers.ensure({ ...spec, groups });
    const inputs = (name: string) => world.writes.filter(({ action }) => action === name).map(({ input }) => input);
    expect(inputs("CreateTargetGroup")).toMatchObject([{ Protocol: "TCP_UDP" }]);
    expect(inputs("CreateListener")).toMatchObject([{ Protocol: "TCP_UDP", Port: 53 }]);
    expect(inputs("RegisterTargets")).toMatchObject([{ Targets: [{ Id: id, Port: 5353 }] }]);
    const opened = inputs("AuthorizeSecurityGroupIngress")[0] as { IpPermissions: { IpProtocol: string }[] };
    expect(opened.IpPermissions.map(({ IpProtocol }) => IpProtocol).sort()).toEqual(["tcp", "udp"]);
    expect((await balancers.state())?.warnings).toBeUndefined();
  });

  test("and TCP on one port that lead to two is refused by name", async () => {
    expect(await outcomeOf(openAccount().open().ensure(both(5354)))).toMatch(
      /^CLOUD_INVALID spec\.ports: port 53 of default\/web is taken by its own TCP and UDP at once/,
    );
  });

  test("alone says what its health depends on, unless its port for that is named", async () => {
    const udp = {
      listeners: [{ port: 53, protocol: "UDP" as const, forward: [{ groupId: "53-UDP", weight: 1 }] }],
      groups: [{ id: "53-UDP", protocol: "UDP" as const, targets: [], drainSeconds: 30 }],
    };
    const { open, world } = openAccount();
    const balancers = open();
    await balancers.ensure(service([], udp));
    expect(world.writes.find(({ action }) => action === "CreateListener")?.input).toMatchObject({ Protocol: "UDP" });
    expect((await balancers.state())?.warnings).toEqual([
      expect.stringMatching(/^Port 53 is UDP, and AWS asks .* by TCP .*aws-load-balancer-healthcheck-port\.$/),
    ]);
    await balancers.ensure(service([], { ...udp, annotations: { [`${network}healthcheck-port`]: "8080" } }));
    expect((await balancers.state())?.warnings).toBeUndefined();
  });
});

test("clients stay with their machine where the Service asks for it, and it says where AWS can't", async () => {
  const groups = [{ id: "80-TCP", protocol: "TCP" as const, targets: [], drainSeconds: 30, sticky: true }];
  const { open, world } = openAccount();
  const balancers = open();
  await balancers.ensure(service([], { groups }));
  const [first] = world.writes.filter(({ action }) => action === "ModifyTargetGroupAttributes");
  expect(first?.input).toMatchObject(attributes({ "stickiness.enabled": "true", "stickiness.type": "source_ip" }));
  await balancers.ensure(service([], { id: "tls", groups, annotations: tls }));
  const last = world.writes.filter(({ action }) => action === "ModifyTargetGroupAttributes").at(-1);
  expect(JSON.stringify(last?.input)).not.toContain("stickiness");
  expect((await balancers.state("tls"))?.warnings).toEqual([
    "AWS keeps no client with its machine on port 80, because TLS ends there.",
  ]);
});

test("a Service says of its own targets behind an Ingress what the Ingress doesn't", async () => {
  const group = (id: string, annotations?: Record<string, string>) =>
    ({ id, protocol: "HTTP", targets: [], drainSeconds: 30, ...(annotations && { annotations }) }) as const;
  const spec = ingress("web", [], {
    groups: [group("g", { [`${application}healthcheck-path`]: "/ready" }), group("h")],
    annotations: { [`${application}healthcheck-path`]: "/", [`${application}success-codes`]: "204" },
  });
  const { open, world } = openAccount();
  await open().ensure(spec);
  const made = world.writes.filter(({ action }) => action === "CreateTargetGroup").map(({ input }) => input);
  expect(made.map(({ HealthCheckPath, Matcher }) => [HealthCheckPath, Matcher])).toEqual([
    ["/ready", { HttpCode: "204" }],
    ["/", { HttpCode: "204" }],
  ]);
  const bad = { ...spec, groups: [group("g", { [`${application}healthcheck-path`]: "ready" })] };
  expect(await outcomeOf(open().ensure(bad))).toContain(`CLOUD_INVALID ${application}healthcheck-path: "ready" is not`);
});

test("an Ingress hears that another of its group lets more clients in", async () => {
  const group = { [`${application}group.name`]: "shop" };
  const { open } = openAccount();
  const balancers = open();
  await balancers.ensure(
    ingress("a", [], { annotations: { ...group, [`${application}inbound-cidrs`]: "10.0.0.0/8" } }),
  );
  expect((await balancers.state("a"))?.warnings).toBeUndefined();
  await balancers.ensure(ingress("b", [], { annotations: group }));
  expect((await balancers.state("b"))?.warnings).toBeUndefined();
  expect((await balancers.state("a"))?.warnings).toEqual([
    "Port 80 is open to 0.0.0.0/0 as well: default/b of the same group says so.",
  ]);
});

test("subnets are one a zone, none that is full or another cluster's, and a load balancer stays in its own", async () => {
  const { open, world, clock } = openAccount();
  const subnets = [...world.subnets.values()];
  const [full, foreign, ...others] = subnets;
  const { reserved = 0 } = full ?? {};
  if (full) full.reserved = Number.MAX_SAFE_INTEGER;
  foreign?.tags.set("kubernetes.io/cluster/other", "shared");
  others[0]?.tags.set("kubernetes.io/cluster/test", "owned");
  const ids = others.map(({ id }) => id).sort();
  await open().ensure(service([]));
  const inputs = (name: string) => world.writes.filter(({ action }) => action === name).map(({ input }) => input);
  expect(inputs("CreateLoadBalancer")).toMatchObject([{ Subnets: ids }]);
  for (const subnet of others) subnet.reserved = Number.MAX_SAFE_INTEGER;
  await clock.advance(700_000);
  await open().ensure(service([], { annotations: { [`${network}attributes`]: "deletion_protection.enabled=true" } }));
  expect(inputs("SetSubnets")).toEqual([]);
  if (full) full.reserved = reserved;
  await clock.advance(700_000);
  await open().ensure(service([]));
  expect(inputs("SetSubnets")).toMatchObject([{ Subnets: [...ids, full?.id].sort() }]);
});
