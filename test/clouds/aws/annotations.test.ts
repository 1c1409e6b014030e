import { expect, test } from "vitest";
import { DroverError } from "../../../src/base/errors.ts";
import { annotationOf, type BalancerSettings, readAnnotations } from "../../../src/clouds/aws/annotations.ts";

const network = "service.beta.kubernetes.io/aws-load-balancer-";
const application = "alb.ingress.kubernetes.io/";

const webAcl = "arn:aws-us-gov:wafv2:us-gov-west-1:123456789012:regional/webacl/shop_1/a-b";

const good: [annotation: string, text: string, settings: BalancerSettings][] = [
  [`${network}scheme`, "internet-facing", { scheme: "internet-facing" }],
  [`${network}internal`, "true", { scheme: "internal" }],
  [`${network}internal`, "false", { scheme: "internet-facing" }],
  [`${network}name`, "shop-front", { name: "shop-front" }],
  [`${network}type`, "external", { type: "external" }],
  [`${network}nlb-target-type`, "ip", { targetType: "ip" }],
  [`${network}ip-address-type`, "dualstack", { ipAddressType: "dualstack" }],
  [`${network}subnets`, "subnet-1, public-b", { subnets: ["subnet-1", "public-b"] }],
  [`${network}eip-allocations`, "eipalloc-1,eipalloc-2", { elasticIps: ["eipalloc-1", "eipalloc-2"] }],
  [`${network}private-ipv4-addresses`, "10.0.0.5", { privateAddresses: ["10.0.0.5"] }],
  [`${network}security-groups`, "sg-1,sg-2", { securityGroups: ["sg-1", "sg-2"] }],
  ["service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8", { sourceRanges: ["10.0.0.0/8"] }],
  [`${network}additional-resource-tags`, "team=shop, cost=a=b", { tags: { team: "shop", cost: "a=b" } }],
  [
    `${network}attributes`,
    "load_balancing.cross_zone.enabled=true",
    { loadBalancerAttributes: { "load_balancing.cross_zone.enabled": "true" } },
  ],
  [
    `${network}target-group-attributes`,
    "preserve_client_ip.enabled=true",
    { targetGroupAttributes: { "preserve_client_ip.enabled": "true" } },
  ],
  [`${network}proxy-protocol`, "*", { proxyProtocol: "*" }],
  [`${network}ssl-cert`, "arn:aws:acm:a, arn:aws:acm:b", { certificates: ["arn:aws:acm:a", "arn:aws:acm:b"] }],
  [`${network}ssl-ports`, "443, 8443", { tlsPorts: [443, 8443] }],
  [`${network}ssl-ports`, "*", { tlsPorts: "*" }],
  [`${network}ssl-negotiation-policy`, "ELBSecurityPolicy-2016-08", { tlsPolicy: "ELBSecurityPolicy-2016-08" }],
  [`${network}alpn-policy`, "HTTP2Preferred", { alpnPolicy: "HTTP2Preferred" }],
  [`${network}backend-protocol`, "ssl", { backendProtocol: "ssl" }],
  [`${network}healthcheck-protocol`, "http", { healthProtocol: "HTTP" }],
  [`${network}healthcheck-port`, "traffic-port", { healthPort: "traffic-port" }],
  [`${network}healthcheck-port`, "8081", { healthPort: 8081 }],
  [`${network}healthcheck-path`, "/ready", { healthPath: "/ready" }],
  [`${network}healthcheck-interval`, "10", { healthIntervalSeconds: 10 }],
  [`${network}healthcheck-timeout`, "6", { healthTimeoutSeconds: 6 }],
  [`${network}healthcheck-healthy-threshold`, "2", { healthyThreshold: 2 }],
  [`${network}healthcheck-unhealthy-threshold`, "10", { unhealthyThreshold: 10 }],
  [`${network}healthcheck-success-codes`, "200-399", { healthCodes: "200-399" }],
  [
    `${application}listen-ports`,
    '[{"HTTP": 80}, {"HTTPS": 443}]',
    {
      listenPorts: [
        { protocol: "HTTP", port: 80 },
        { protocol: "HTTPS", port: 443 },
      ],
    },
  ],
  [`${application}ssl-redirect`, "443", { tlsRedirectPort: 443 }],
  [`${application}group.name`, "shop", { group: "shop" }],
  [`${application}group.order`, "-10", { order: -10 }],
  [`${application}inbound-cidrs`, "10.0.0.0/8,0.0.0.0/0", { sourceRanges: ["10.0.0.0/8", "0.0.0.0/0"] }],
  [`${application}certificate-arn`, "arn:aws:acm:a", { certificates: ["arn:aws:acm:a"] }],
  [`${application}success-codes`, "200,204", { healthCodes: "200,204" }],
  [`${application}backend-protocol-version`, "GRPC", { backendProtocolVersion: "GRPC" }],
  [`${application}wafv2-acl-arn`, webAcl, { webAcl }],
  [`${application}wafv2-acl-arn`, "", { webAcl: "none" }],
];
const kindOf = (annotation: string) => (annotation.startsWith(application) ? "application" : "network");

test.for(good)("%s: %s is understood", ([annotation, text, settings]) => {
  expect(readAnnotations(kindOf(annotation), { [annotation]: text })).toEqual({ settings, unknown: [] });
});

const bad: [annotation: string, text: string][] = [
  [`${network}scheme`, "public"],
  [`${network}name`, "a-name-of-more-than-thirty-two-characters"],
  [`${network}name`, "internal-web"],
  [`${network}ssl-ports`, "https"],
  [`${network}ssl-cert`, "my-certificate"],
  [`${network}healthcheck-interval`, "10s"],
  [`${network}healthcheck-interval`, "1"],
  [`${network}healthcheck-path`, "ready"],
  [`${network}healthcheck-healthy-threshold`, "11"],
  [`${network}attributes`, "deletion_protection.enabled"],
  [`${network}eip-allocations`, "1.2.3.4"],
  ["service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/33"],
  [`${application}listen-ports`, "80"],
  [`${application}listen-ports`, '[{"HTTP": 70000}]'],
  [`${application}group.order`, "1001"],
  [`${application}wafv2-acl-arn`, "arn:aws:wafv2:us-east-1:123456789012:global/webacl/shop/a"],
  [`${application}wafv2-acl-arn`, "shop"],
  [`${application}group.name`, "Not A Name"],
];

test.for(bad)("%s: %s is refused by name", ([annotation, text]) => {
  const read = () => readAnnotations(kindOf(annotation), { [annotation]: text });
  expect(read).toThrow(DroverError);
  expect(read).toThrow(`${annotation}: "${text}" is not `);
});

test("annotations of the prefix that nothing honours are listed, and those of others are not", () => {
  const annotations = {
    [`${network}target-node-labels`]: "a=b",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "example.org/note": "x",
  };
  expect(readAnnotations("network", annotations).unknown).toEqual([`${network}target-node-labels`]);
});

test("a Service's annotations say nothing to an Ingress", () => {
  expect(readAnnotations("application", { [`${network}scheme`]: "nonsense" })).toEqual({ settings: {}, unknown: [] });
  expect(annotationOf("application", "certificates")).toBe(`${application}certificate-arn`);
});
