import { describe, expect, test } from "vitest";
import { readAnnotations } from "../../../src/clouds/aws/annotations.ts";
import { planBalancer } from "../../../src/clouds/aws/balancer-plan.ts";
import type { BalancerSpec } from "../../../src/clouds/balancer.ts";
import { ingress, service } from "./balancer-parts.ts";

const plan = (spec: BalancerSpec) => planBalancer(spec, readAnnotations(spec.kind, spec.annotations).settings, "vpc-1");
const network = "service.beta.kubernetes.io/aws-load-balancer-";
const application = "alb.ingress.kubernetes.io/";

describe("the health check", () => {
  const usual = {
    HealthCheckProtocol: "TCP",
    HealthCheckPort: "traffic-port",
    HealthCheckIntervalSeconds: 10,
    HealthCheckTimeoutSeconds: 10,
    HealthyThresholdCount: 3,
    UnhealthyThresholdCount: 3,
  };

  test("of a Service is on its target's port every 10 s", () => {
    expect(plan(service([])).targetGroups[0]?.healthCheck).toEqual(usual);
  });

  test("follows the Pods' probe within what AWS takes, and annotations before it", () => {
    const healthCheck = { protocol: "HTTP", path: "/ready", intervalSeconds: 1, unhealthyThreshold: 20 } as const;
    const groups = [{ id: "80-TCP", protocol: "TCP" as const, targets: [], drainSeconds: 9_999, healthCheck }];
    const annotations = { [`${network}healthcheck-path`]: "/other" };
    const [group] = plan(service([], { groups, annotations })).targetGroups;
    expect(group?.healthCheck).toEqual({
      ...usual,
      HealthCheckProtocol: "HTTP",
      HealthCheckPath: "/other",
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 6,
      UnhealthyThresholdCount: 10,
      Matcher: { HttpCode: "200-399" },
    });
    expect(group?.attributes["deregistration_delay.timeout_seconds"]).toBe("3600");
  });

  test("of an Ingress is HTTP every 15 s", () => {
    expect(plan(ingress("a", [])).targetGroups[0]?.healthCheck).toMatchObject({
      HealthCheckProtocol: "HTTP",
      HealthCheckPath: "/",
      HealthCheckIntervalSeconds: 15,
      HealthyThresholdCount: 2,
      Matcher: { HttpCode: "200" },
    });
  });
});

test("a ClusterIP stays internal, whatever its annotations; others may choose", () => {
  const annotations = { [`${network}scheme`]: "internet-facing" };
  expect(plan(service([], { scheme: "internal", annotations })).scheme).toBe("internal");
  expect(plan(service([], { annotations: { [`${network}internal`]: "true" } })).scheme).toBe("internal");
  expect(plan(ingress("a", [], { annotations: { [`${application}scheme`]: "internal" } })).scheme).toBe("internal");
});

test("names fit and differ by what can't be changed later", () => {
  const names = [
    plan(service([])),
    plan(service([], { scheme: "internal" })),
    plan(service([], { id: "other" })),
    plan(service([], { cluster: "other" })),
    plan(service([], { group: "g" })),
  ].map(({ name }) => name);
  expect(new Set(names).size).toBe(5);
  expect(names.every((name) => /^dr-[0-9a-f]{24}$/.test(name))).toBe(true);
  const group = (annotations: Record<string, string>) => plan(service([], { annotations })).targetGroups[0]?.name;
  expect(group({})).not.toBe(group({ [`${network}backend-protocol`]: "ssl" }));
  expect(plan(service([], { id: "a", group: "g" })).name).toBe(plan(service([], { id: "b", group: "g" })).name);
});

test("TLS is on the ports that the annotations name", () => {
  const listeners = [80, 443].map((port) => ({
    port,
    protocol: "TCP" as const,
    forward: [{ groupId: "80-TCP", weight: 1 }],
  }));
  const annotations = {
    [`${network}ssl-cert`]: "arn:aws:acm:a",
    [`${network}ssl-ports`]: "443",
    [`${network}ssl-negotiation-policy`]: "P",
  };
  expect(plan(service([], { listeners, annotations })).listeners).toMatchObject([
    { port: 80, protocol: "TCP", certificates: [] },
    { port: 443, protocol: "TLS", certificates: ["arn:aws:acm:a"], tlsPolicy: "P" },
  ]);
  const tls = [{ port: 443, protocol: "TLS" as const, forward: [{ groupId: "80-TCP", weight: 1 }] }];
  expect(() => plan(service([], { listeners: tls }))).toThrow(`${network}ssl-cert: port 443 with TLS needs`);
});

test("target group attributes may be meant for one port", () => {
  const annotations = {
    [`${network}target-group-attributes`]:
      "stickiness.enabled=true, preserve_client_ip.enabled.81=false, stickiness.enabled.80=false",
  };
  const [group] = plan(service([], { annotations })).targetGroups;
  expect(group?.attributes).toEqual({ "deregistration_delay.timeout_seconds": "30", "stickiness.enabled": "false" });
});

describe("an Ingress' rules", () => {
  const pathsOf = (path?: string, pathType?: "Exact" | "Prefix") => {
    const rule = { ...(path !== undefined && { path }), ...(pathType !== undefined && { pathType }) };
    return plan(ingress("a", [rule])).listeners[0]?.rules?.[0]?.paths;
  };

  test.for<[string | undefined, "Exact" | "Prefix" | undefined, string[]]>([
    ["/a", "Exact", ["/a"]],
    ["/a", "Prefix", ["/a", "/a/*"]],
    ["/a/", "Prefix", ["/a", "/a/*"]],
    ["/", "Prefix", []],
    ["/a*", undefined, ["/a*"]],
    [undefined, undefined, []],
  ])("%s of type %s matches %s", ([path, pathType, expected]) => expect(pathsOf(path, pathType)).toEqual(expected));

  test("refuse a pattern where none is meant", () => {
    expect(() => pathsOf("/a*", "Prefix")).toThrow(/"\/a\*" holds \* or \?/);
  });

  test("stand on all ports of the annotation, and plain HTTP is sent on to TLS", () => {
    const annotations = {
      [`${application}listen-ports`]: '[{"HTTP": 80}, {"HTTPS": 443}]',
      [`${application}certificate-arn`]: "arn:aws:acm:a",
      [`${application}ssl-redirect`]: "443",
    };
    const { listeners } = plan(ingress("a", [{ host: "a.example.org" }], { annotations }));
    expect(listeners).toMatchObject([
      { port: 80, protocol: "HTTP", destination: { answer: { kind: "redirect", port: 443 } }, rules: [] },
      { port: 443, protocol: "HTTPS", certificates: ["arn:aws:acm:a"], rules: [{ hosts: ["a.example.org"] }] },
    ]);
  });

  test("need a certificate of ACM for HTTPS", () => {
    const listeners = [{ port: 443, protocol: "HTTPS" as const, forward: [] }];
    expect(() => plan(ingress("a", [], { listeners }))).toThrow(`${application}certificate-arn: port 443 with HTTPS`);
  });
});
