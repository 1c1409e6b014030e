import { describe, expect, test } from "vitest";
import type { Ingress, Service } from "../../src/api/types.gen.ts";
import { ingressBalancer } from "../../src/controllers/ingress-balancer.ts";
import { backendServices } from "../../src/controllers/ingress-class.ts";

const prefix = "alb.ingress.kubernetes.io/";
const https = { [`${prefix}listen-ports`]: '[{"HTTP": 80}, {"HTTPS": 443}]' };

const service = (name: string): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", uid: name },
  spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
});
const services = new Map(["blue", "green"].map((name) => [name, service(name)]));

type Path = readonly [path: string, name: string, pathType?: string, port?: object];

/** An Ingress of these annotations and paths, whose backends are actions unless a port is given. */
function ingressOf(annotations: Record<string, string>, paths: readonly Path[], host?: string): Ingress {
  const http = {
    paths: paths.map(([path, name, pathType = "Prefix", port = { name: "use-annotation" }]) => ({
      path,
      pathType,
      backend: { service: { name, port } },
    })),
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "site", namespace: "default", uid: "u", annotations },
    spec: { rules: [{ ...(host !== undefined && { host }), http }] },
  };
}

function balance(annotations: Record<string, unknown>, paths: readonly Path[], host?: string) {
  const texts = Object.entries(annotations).map(([name, value]) => [
    name.startsWith(prefix) ? name : prefix + name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const sources = {
    serviceOf: (name: string) => services.get(name),
    secretOf: () => undefined,
    candidatesOf: () => [],
  };
  return ingressBalancer(ingressOf(Object.fromEntries(texts), paths, host), sources, { id: "ing-u", cluster: "test" });
}

const redirect = { Type: "redirect", RedirectConfig: { Protocol: "HTTPS", Port: "443", StatusCode: "HTTP_301" } };

describe("an action", () => {
  test.for([
    [
      "a fixed response",
      {
        type: "fixed-response",
        fixedResponseConfig: { contentType: "text/html", statusCode: "503", messageBody: "no" },
      },
      { forward: [], answer: { kind: "fixed", statusCode: 503, contentType: "text/html", body: "no" } },
    ],
    [
      "a redirect, its keys in any case",
      redirect,
      { forward: [], answer: { kind: "redirect", statusCode: 301, protocol: "HTTPS", port: 443 } },
    ],
    [
      "a redirect elsewhere",
      {
        type: "redirect",
        redirectConfig: { host: "example.org", path: "/x", query: "k=v", port: "#{port}", statusCode: "HTTP_302" },
      },
      { forward: [], answer: { kind: "redirect", statusCode: 302, host: "example.org", path: "/x", query: "k=v" } },
    ],
    [
      "Services by weight",
      {
        type: "forward",
        forwardConfig: {
          targetGroups: [
            { serviceName: "blue", servicePort: "http", weight: 20 },
            { serviceName: "green", servicePort: 80, weight: 80 },
          ],
          targetGroupStickinessConfig: { enabled: true, durationSeconds: 200 },
        },
      },
      {
        forward: [
          { groupId: "blue:80", weight: 20 },
          { groupId: "green:80", weight: 80 },
        ],
        stickySeconds: 200,
      },
    ],
    [
      "one Service",
      { type: "forward", forwardConfig: { targetGroups: [{ serviceName: "blue", servicePort: 80 }] } },
      { forward: [{ groupId: "blue:80", weight: 1 }] },
    ],
  ] as const)("is %s", ([_name, action, end]) => {
    const { wanted, warnings } = balance({ "actions.go": action }, [["/go", "go"]]);
    expect(warnings).toEqual([]);
    expect(wanted.listeners[0]?.rules).toEqual([{ path: "/go", pathType: "Prefix", ...end }]);
  });

  test.for([
    ["isn't there", undefined, /^alb\.ingress\.kubernetes\.io\/actions\.go isn't there, though a backend names it/],
    ["is no JSON", "{", /actions\.go: it is not JSON; \*\/go is answered with 404\.$/],
    ["is of no known type", { type: "dance" }, /type must be forward, redirect or fixed-response, not dance/],
    ["has no status", { type: "redirect", redirectConfig: {} }, /redirectConfig\.statusCode must be HTTP_301 or/],
    ["lacks its configuration", { type: "fixed-response" }, /fixedResponseConfig is missing/],
    ["names an ARN", { type: "forward", targetGroupARN: "arn:x" }, /to Services only.*not to an ARN/],
    [
      "has a bad weight",
      { type: "forward", forwardConfig: { targetGroups: [{ serviceName: "a", servicePort: 1, weight: 1_000 }] } },
      /weight must be a whole number from 0 to 999, not 1000/,
    ],
  ] as const)("that %s is told of and answered with 404", ([_name, action, message]) => {
    const { wanted, warnings } = balance(action === undefined ? {} : { "actions.go": action }, [["/go", "go"]]);
    expect(warnings).toEqual([{ reason: "InvalidAnnotation", message: expect.stringMatching(message) }]);
    expect(wanted.listeners[0]?.rules).toEqual([{ path: "/go", pathType: "Prefix", forward: [] }]);
  });

  test("stands for everything as the default backend", () => {
    const ingress = ingressOf(
      {
        [`${prefix}actions.gone`]: JSON.stringify({ type: "fixed-response", fixedResponseConfig: { statusCode: 410 } }),
      },
      [],
    );
    ingress.spec = { defaultBackend: { service: { name: "gone", port: { name: "use-annotation" } } } };
    const sources = { serviceOf: () => undefined, secretOf: () => undefined, candidatesOf: () => [] };
    const { wanted, warnings } = ingressBalancer(ingress, sources, { id: "ing-u", cluster: "test" });
    expect(warnings).toEqual([]);
    expect(wanted.listeners[0]).toMatchObject({ forward: [], answer: { kind: "fixed", statusCode: 410 } });
  });

  test("that sends to HTTPS is first where it was written first, and not on the port that it leads to", () => {
    const paths: Path[] = [
      ["/*", "ssl-redirect", "ImplementationSpecific"],
      ["/users/*", "green", "ImplementationSpecific", { number: 80 }],
      ["/*", "blue", "ImplementationSpecific", { number: 80 }],
    ];
    const { wanted } = balance({ ...https, "actions.ssl-redirect": redirect }, paths);
    const shown = wanted.listeners.map(({ port, rules = [] }) => [
      port,
      ...rules.map(({ path = "", answer, forward }) => `${path} ${answer?.kind ?? forward[0]?.groupId}`),
    ]);
    expect(shown).toEqual([
      [80, " redirect", "/users/ green:80", " blue:80"],
      [443, "/users/ green:80", " blue:80"],
    ]);
  });

  test("tells the Services that it sends to, and its own name is none", () => {
    const action = { type: "forward", forwardConfig: { targetGroups: [{ serviceName: "blue", servicePort: 80 }] } };
    const annotations = { [`${prefix}actions.go`]: JSON.stringify(action) };
    expect([...backendServices(ingressOf(annotations, [["/", "go"]]))]).toEqual(["blue"]);
    expect([...backendServices(ingressOf(annotations, [["/", "green", "Prefix", { number: 80 }]]))]).toEqual(["green"]);
  });
});

describe("conditions", () => {
  const plain: Path = ["/a", "blue", "Exact", { number: 80 }];

  test.for([
    [
      "a further host",
      [{ field: "host-header", hostHeaderConfig: { values: ["Anno.example.org"] } }],
      { hosts: ["anno.example.org"] },
    ],
    ["a path pattern", [{ field: "path-pattern", pathPatternConfig: { values: ["/b/*"] } }], { patterns: ["/b/*"] }],
    [
      "a header",
      [{ field: "http-header", httpHeaderConfig: { httpHeaderName: "X-Canary", values: ["a", "b*"] } }],
      { conditions: [{ field: "header", name: "X-Canary", values: ["a", "b*"] }] },
    ],
    [
      "a method",
      [{ field: "http-request-method", httpRequestMethodConfig: { Values: ["GET", "HEAD"] } }],
      { conditions: [{ field: "method", values: ["GET", "HEAD"] }] },
    ],
    [
      "two queries and a source",
      [
        { field: "query-string", queryStringConfig: { values: [{ key: "a", value: "1" }] } },
        { field: "query-string", queryStringConfig: { values: [{ value: "2" }] } },
        { field: "source-ip", sourceIpConfig: { values: ["192.0.2.0/24"] } },
      ],
      {
        conditions: [
          { field: "query", values: [{ key: "a", value: "1" }] },
          { field: "query", values: [{ value: "2" }] },
          { field: "source", values: ["192.0.2.0/24"] },
        ],
      },
    ],
  ] as const)("are %s", ([_name, conditions, more]) => {
    const { wanted, warnings } = balance({ "conditions.blue": conditions }, [plain], "www.example.org");
    expect(warnings).toEqual([]);
    expect(wanted.listeners[0]?.rules).toEqual([
      {
        host: "www.example.org",
        path: "/a",
        pathType: "Exact",
        forward: [{ groupId: "blue:80", weight: 1 }],
        ...more,
      },
    ]);
  });

  test.for([
    ["{", /conditions\.blue: it is not JSON; the rule of \*\/a is left out\.$/],
    ["[]", /a list of conditions is expected/],
    [[{ field: "moon", values: ["full"] }], /field must be one of host-header, .*, not "moon"/],
    [[{ field: "http-header", httpHeaderConfig: { values: ["a"] } }], /httpHeaderName must be a header's name/],
    [[{ field: "source-ip", sourceIpConfig: { values: [] } }], /source-ip has no values/],
  ] as const)("%s leave the rule out, so that nobody gets what is not for him", ([conditions, message]) => {
    const { wanted, warnings } = balance({ "conditions.blue": conditions }, [plain]);
    expect(warnings).toEqual([{ reason: "InvalidAnnotation", message: expect.stringMatching(message) }]);
    expect(wanted.listeners[0]?.rules).toEqual([]);
  });

  test("put a rule before the one of the same path without", () => {
    const canary = [{ field: "http-header", httpHeaderConfig: { httpHeaderName: "X-Canary", values: ["1"] } }];
    const paths: Path[] = [plain, ["/a", "green", "Exact", { number: 80 }]];
    const { wanted } = balance({ "conditions.green": canary }, paths);
    expect(wanted.listeners[0]?.rules?.map(({ forward }) => forward[0]?.groupId)).toEqual(["green:80", "blue:80"]);
  });
});
