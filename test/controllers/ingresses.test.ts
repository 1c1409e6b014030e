import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Ingress, Pod, Secret, Service } from "../../src/api/types.gen.ts";
import type { BalancerSpec, Forward, TargetGroupSpec, TargetState } from "../../src/clouds/balancer.ts";
import { openPlaces } from "../../src/clouds/sim/balancers.ts";
import { recordOf } from "../../src/controllers/frontend.ts";
import { ingressBalancer } from "../../src/controllers/ingress-balancer.ts";
import { planIngress } from "../../src/controllers/ingresses.ts";
import { groupsBehind, type Seen } from "../../src/controllers/shares.ts";
import type { Candidate } from "../../src/controllers/targets.ts";
import { issue, type KeyPair, makeAuthority } from "../../src/server/certificates.ts";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

const prefix = "alb.ingress.kubernetes.io/";
const nowMs = Date.parse("2026-01-01T00:00:00Z");
let pairs: KeyPair[] = [];
beforeAll(async () => {
  const authority = await makeAuthority("test", nowMs, 10);
  const common = { organizations: [], usage: "server", names: ["www.example.org"], nowMs, days: 5 } as const;
  pairs = [
    await issue(authority, { commonName: "a", ...common }),
    await issue(authority, { commonName: "b", ...common }),
  ];
});

const service = (name: string, more: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default", uid: name },
  spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: 8080 }], ...more },
});
const candidate = (name: string, share?: Candidate["share"]): Candidate => {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name },
    spec: { containers: [] },
    status: { conditions: [{ type: "ContainersReady", status: "True" }] },
  };
  const machine = {
    id: `i-${name}`,
    launchId: "l",
    slot: 0,
    state: "running",
    type: "t",
    zone: "z",
    address: "10.0.0.1",
  } as const;
  return { pod, machine, ...(share && { share }) };
};
const to = (name: string, port: object = { number: 80 }) => ({ service: { name, port } });
const rule = (host: string | undefined, path: string, name: string, pathType = "Prefix") => ({
  ...(host !== undefined && { host }),
  http: { paths: [{ path, pathType, backend: to(name) }] },
});
const ingress = (spec: Ingress["spec"], annotations: Record<string, string> = {}): Ingress => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name: "site", namespace: "default", uid: "u", annotations },
  spec,
});
const secretOf = (name: string): Secret | undefined => {
  const [certificate, other] = pairs;
  const data: Record<string, (string | undefined)[]> = {
    good: [certificate?.certificate, certificate?.key],
    mixed: [certificate?.certificate, other?.key],
    text: ["nothing", "nothing"],
    empty: [],
  };
  const [crt = "", key = ""] = data[name] ?? [];
  if (!data[name]) return undefined;
  const coded = (text: string) => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    type: "kubernetes.io/tls",
    data: { "tls.crt": coded(crt), "tls.key": coded(key) },
  };
};
const services = new Map([service("a"), service("b"), service("c")].map((each) => [each.metadata.name, each]));
const balance = (of: Ingress) =>
  ingressBalancer(
    of,
    {
      serviceOf: (name) => services.get(name),
      secretOf,
      candidatesOf: ({ metadata }) => [candidate(metadata.name)],
    },
    { id: "ing-u", cluster: "test" },
  );
const shown = (forward: Forward | undefined) => (forward ?? []).map(({ groupId }) => groupId).join("+") || "nowhere";
const rulesOf = ({ listeners }: BalancerSpec) =>
  (listeners[0]?.rules ?? []).map(
    ({ host = "*", path = "", pathType = "", forward }) =>
      `${host}${path}${pathType === "Exact" ? "!" : ""} ${shown(forward)}`,
  );

describe("the balancer of an Ingress", () => {
  test("has a rule a path and a group a Service's port, whose targets are the Pods' machines", () => {
    const both = ingress({
      rules: [rule("www.example.org", "/a", "a"), rule("www.example.org", "/b", "b")],
      defaultBackend: to("a", { name: "http" }),
    });
    const { wanted, warnings } = balance(both);
    expect(warnings).toEqual([]);
    expect(wanted).toMatchObject({
      kind: "application",
      name: "default/site",
      scheme: "internet-facing",
      sourceRanges: [],
    });
    expect(rulesOf(wanted)).toEqual(["www.example.org/a a:80", "www.example.org/b b:80"]);
    expect(shown(wanted.listeners[0]?.forward)).toBe("a:80");
    expect(wanted.listeners.map(({ port, protocol }) => `${protocol} ${port}`)).toEqual(["HTTP 80"]);
    expect(wanted.groups.map(({ id, protocol }) => [id, protocol])).toEqual([
      ["a:80", "HTTP"],
      ["b:80", "HTTP"],
    ]);
    expect(wanted.groups[0]?.targets).toEqual([{ machineId: "i-a", address: "10.0.0.1", port: 8080, draining: false }]);
  });

  test("puts the rule first that Kubernetes prefers", () => {
    const rules = [
      rule(undefined, "/", "c"),
      rule("*.example.org", "/long/path", "c"),
      rule("www.example.org", "/", "a"),
      rule("www.example.org", "/foo", "a"),
      rule("www.example.org", "/foo", "b", "Exact"),
      rule("WWW.example.org", "/foo/bar/", "c"),
      rule("www.example.org", "/old/*", "b", "ImplementationSpecific"),
    ];
    expect(rulesOf(balance(ingress({ rules })).wanted)).toEqual([
      "www.example.org/foo/bar/ c:80",
      "www.example.org/foo! b:80",
      "www.example.org/foo a:80",
      "www.example.org/old/ b:80",
      "www.example.org a:80",
      "*.example.org/long/path c:80",
      "* c:80",
    ]);
  });

  test.for([
    ["a Service that isn't there", to("z"), "ServiceNotFound", "/x goes to Service z, which isn't there."],
    [
      "a port that its Service hasn't",
      to("a", { name: "admin" }),
      "ServicePortNotFound",
      "/x goes to port admin, which Service a hasn't.",
    ],
    [
      "what is no Service",
      { resource: { kind: "Bucket", name: "b" } },
      "BackendUnsupported",
      "/x goes to Bucket b: only Services are served.",
    ],
  ] as const)("says that %s gets nothing, and goes on with the rest", ([_name, backend, reason, message]) => {
    const rules = [
      { host: "h.org", http: { paths: [{ path: "/x", pathType: "Prefix", backend }] } },
      rule("h.org", "/y", "b"),
    ];
    const { wanted, warnings } = balance(ingress({ rules }));
    expect(warnings).toEqual([{ reason, message: `h.org${message}` }]);
    expect(rulesOf(wanted)).toEqual(["h.org/x nowhere", "h.org/y b:80"]);
  });

  test.for([
    ["good", [], "HTTP 80, HTTPS 443 (www.example.org)"],
    ["absent", ["SecretNotFound"], "HTTP 80"],
    ["mixed", ["SecretInvalid"], "HTTP 80"],
    ["text", ["SecretInvalid"], "HTTP 80"],
    ["empty", ["SecretInvalid"], "HTTP 80"],
  ] as const)("with the Secret %s warns %j and listens on %s", ([secretName, reasons, want]) => {
    const { wanted, warnings } = balance(
      ingress({ tls: [{ hosts: ["www.example.org"], secretName }], defaultBackend: to("a") }),
    );
    expect(warnings.map(({ reason }) => reason)).toEqual(reasons);
    const listeners = wanted.listeners.map(({ port, protocol, certificates }) => {
      const hosts = certificates?.map((each) => ` (${each.hosts.join()})`).join("") ?? "";
      return `${protocol} ${port}${hosts}`;
    });
    expect(listeners.join(", ")).toBe(want);
    expect(JSON.stringify([warnings, recordOf(wanted)])).not.toMatch(/PRIVATE KEY|BEGIN/);
  });

  test.for([
    [{ [`${prefix}listen-ports`]: '[{"HTTP": 8080}, {"HTTPS": 8443}]' }, "HTTP 8080, HTTPS 8443", ""],
    [{ [`${prefix}listen-ports`]: "80" }, "HTTP 80", "InvalidAnnotation"],
    [{ [`${prefix}certificate-arn`]: "arn:aws:acm:x" }, "HTTPS 443", ""],
  ] as const)("with %j listens on %s", ([annotations, want, reason]) => {
    const { wanted, warnings } = balance(ingress({ defaultBackend: to("a") }, annotations));
    expect(wanted.listeners.map(({ port, protocol }) => `${protocol} ${port}`).join(", ")).toBe(want);
    expect(warnings.map((each) => each.reason).join()).toBe(reason);
  });

  test("says how hosts get a certificate that nobody names", () => {
    const spec = { tls: [{ hosts: ["www.example.org"] }], defaultBackend: to("a") };
    const message =
      /^www\.example\.org is not served over HTTPS: name a Secret .*alb\.ingress\.kubernetes\.io\/certificate-arn, or HTTPS in .*listen-ports .* found by its hosts\.$/;
    expect(balance(ingress(spec)).warnings).toEqual([
      { reason: "CertificateMissing", message: expect.stringMatching(message) },
    ]);
    expect(balance(ingress(spec, { [`${prefix}certificate-arn`]: "arn:aws:acm:a" })).warnings).toEqual([]);
    expect(balance(ingress(spec, { [`${prefix}listen-ports`]: '[{"HTTPS": 443}]' })).warnings).toEqual([]);
  });

  test("names the hosts of its rules and of spec.tls, for certificates that are found by them", () => {
    const rules = [rule("WWW.example.org", "/", "a"), rule("*.b.org", "/", "a"), rule(undefined, "/", "a")];
    const tls = [{ hosts: ["www.example.org", "c.org"] }];
    expect(balance(ingress({ rules, tls })).wanted.hosts).toEqual(["*.b.org", "c.org", "www.example.org"]);
    expect(balance(ingress({ defaultBackend: to("a") })).wanted).not.toHaveProperty("hosts");
  });

  test("takes scheme, group, source ranges and the backends' protocol from annotations", () => {
    const { wanted } = balance(
      ingress(
        { defaultBackend: to("a") },
        {
          [`${prefix}scheme`]: "internal",
          [`${prefix}group.name`]: "shared",
          [`${prefix}inbound-cidrs`]: "10.0.0.0/8, 192.168.0.0/16",
          [`${prefix}backend-protocol`]: "HTTPS",
        },
      ),
    );
    expect(wanted).toMatchObject({
      scheme: "internal",
      group: "shared",
      sourceRanges: ["10.0.0.0/8", "192.168.0.0/16"],
    });
    expect(wanted.groups[0]?.protocol).toBe("HTTPS");
  });
});

test("what can't be had is told, also of an Ingress of another class, and nothing is made of that", () => {
  const notice = { about: ingress({}), type: "Warning", reason: "ForeignClass", message: "m", source: "s" } as const;
  const world = { id: "ing-u", isGone: false, present: [], known: true, isCurrent: true, notices: [notice] };
  expect(planIngress(world).actions).toEqual([{ do: "tell", notice }]);
});

describe("the groups behind a port", () => {
  const group = (id: string, ...names: string[]) => ({
    id,
    protocol: "TCP" as const,
    targets: names.map((name) => ({ machineId: `i-${name}`, address: "10.0.0.1", port: 8080, draining: false })),
    drainSeconds: 70,
  });
  /** `told`: the groups of the balancer as it was last told; `states`: what it says of its machines. */
  const forward = (
    candidates: readonly Candidate[],
    told: readonly TargetGroupSpec[] | undefined,
    states: Readonly<Record<string, TargetState>>,
  ) => {
    const targets = Object.entries(states).map(([name, state]) => ({ machineId: `i-${name}`, state }));
    const seen: Seen = {
      ...(told && { carriedOut: { ...balance(ingress({})).wanted, groups: told } }),
      state: { id: "b", name: "n", ready: true, addresses: [], targets },
    };
    const portOf = () => 8080;
    return groupsBehind({ id: "80-TCP", protocol: "TCP", candidates, portOf, takesUnready: false, seen })
      .forward.map(({ groupId, weight }) => `${groupId.replace("80-TCP", "@")} ${weight}`)
      .join(", ");
  };
  const plain = candidate("plain");
  const canary = candidate("canary", { owner: "canary", weight: 10 });
  const blue = candidate("blue", { owner: "blue", weight: 0 });
  const ok = "healthy" as const;
  const fresh = "initial" as const;
  const both = [group("80-TCP", "plain"), group("80-TCP/canary", "canary")];
  const one = [group("80-TCP", "plain", "canary")];

  test.for<[string, readonly Candidate[], readonly TargetGroupSpec[] | undefined, Record<string, TargetState>, string]>(
    [
      ["one without weights", [plain, candidate("other")], undefined, {}, "@ 1"],
      ["one without Pods", [], undefined, {}, "@ 1"],
      ["one each, the rest for who has none", [plain, canary], both, { plain: ok, canary: ok }, "@ 90, @/canary 10"],
      [
        "a new one waits for a healthy machine",
        [plain, canary],
        both,
        { plain: ok, canary: fresh },
        "@ 90, @/canary 0",
      ],
      ["the only healthy one gets all", [plain, canary], both, { plain: "unhealthy", canary: ok }, "@ 0, @/canary 10"],
      ["at first each has its weight", [plain, canary], [], {}, "@ 90, @/canary 10"],
      [
        "one of weight 0 gets nothing",
        [plain, blue],
        [group("80-TCP", "plain"), group("80-TCP/blue", "blue")],
        { plain: ok, blue: ok },
        "@ 100, @/blue 0",
      ],
      [
        "after a restart what is seen counts",
        [plain, canary],
        undefined,
        { plain: ok, canary: ok },
        "@ 90, @/canary 10",
      ],
      [
        "a machine's health in another group says nothing",
        [plain, canary],
        one,
        { plain: ok, canary: ok },
        "@ 90, @/canary 0",
      ],
      ["the former one goes on at first", [canary], [group("80-TCP", "canary")], { canary: ok }, "@ 1, @/canary 0"],
      [
        "the former one goes on while the new one is looked at",
        [canary],
        [group("80-TCP", "canary"), group("80-TCP/canary", "canary")],
        { canary: fresh },
        "@ 1, @/canary 0",
      ],
      [
        "the former one ends then",
        [canary],
        [group("80-TCP", "canary"), group("80-TCP/canary", "canary")],
        { canary: ok },
        "@/canary 1",
      ],
      [
        "back again likewise",
        [candidate("canary")],
        [group("80-TCP/canary", "canary")],
        { canary: ok },
        "@/canary 1, @ 0",
      ],
    ],
  )("%s", ([_name, candidates, told, states, want]) => expect(forward(candidates, told, states)).toBe(want));
});

describe("in a cluster", () => {
  async function openTestCluster() {
    const cluster = await openCluster();
    onTestFinished(cluster.close);
    return cluster;
  }
  type Cluster = Awaited<ReturnType<typeof openTestCluster>>;
  const site = (more: object = {}) => ({
    ...ingress({ rules: [rule("www.example.org", "/", "web")] }),
    metadata: { name: "site", namespace: "default" },
    ...more,
  });
  const create = (cluster: Cluster, resource: string, object: object) =>
    cluster.client.create(resource, object as never, manager);
  const isReady = (cluster: Cluster, count: number) => () =>
    cluster.deployment("web")?.status?.availableReplicas === count;
  const balancer = ({ world }: Cluster) =>
    [...world.balancers.values()].find(({ spec }) => spec.kind === "application");

  test("Pods wait for the Ingress' balancer, it gets an address, and goes when it is deleted", async () => {
    const cluster = await openTestCluster();
    await create(cluster, "services", webService("ClusterIP"));
    await create(cluster, "ingresses.networking.k8s.io", site());
    await create(cluster, "deployments.apps", webDeployment(2));
    await cluster.until("available", isReady(cluster, 2));
    expect(cluster.pods().map(({ spec }) => spec.readinessGates?.length)).toEqual([2, 2]);
    expect(balancer(cluster)?.spec.groups[0]?.targets.map(({ port }) => port)).toEqual([8080, 8080]);
    const stored = () => cluster.view.get("ingresses.networking.k8s.io", "default", "site");
    await cluster.until("an address", () => stored()?.status?.loadBalancer?.ingress?.[0]?.hostname !== undefined);
    await cluster.client.update(
      { resource: "deployments.apps", namespace: "default", name: "web" },
      (current) => ({ ...current, spec: { ...current.spec, replicas: 1 } }),
      manager,
    );
    await cluster.until("one machine", () => cluster.machines().length === 1);
    await cluster.client.delete({ resource: "ingresses.networking.k8s.io", namespace: "default", name: "site" }, {});
    await cluster.until("no balancer", () => balancer(cluster) === undefined);
    await cluster.until("no record", () =>
      cluster.view.list("frontends.drover.dev").every(({ metadata }) => !metadata.name.startsWith("ing-")),
    );
    expect(isReady(cluster, 1)()).toBe(true);
  });

  test("another class, a missing Service and a missing Secret are told once, and the rest is served", async () => {
    const cluster = await openTestCluster();
    await create(cluster, "services", webService("ClusterIP"));
    await create(cluster, "deployments.apps", webDeployment(1));
    const tls = [{ hosts: ["www.example.org"], secretName: "absent" }];
    const rules = [rule("www.example.org", "/", "web"), rule("www.example.org", "/x", "absent")];
    await create(cluster, "ingresses.networking.k8s.io", site({ spec: { tls, rules } }));
    const foreign = { metadata: { name: "foreign", namespace: "default" }, spec: { ingressClassName: "nginx", rules } };
    await create(cluster, "ingresses.networking.k8s.io", site(foreign));
    const healthy = () => balancer(cluster)?.spec.groups.some(({ targets }) => targets.length === 1) ?? false;
    await cluster.until("the rest is served", healthy);
    await cluster.clock.advance(60_000);
    for (const [reason, text] of [
      ["ForeignClass", "there is no IngressClass nginx"],
      ["ServiceNotFound", "Service absent, which isn't there"],
      ["SecretNotFound", "Secret absent isn't there"],
    ] as const) {
      expect(cluster.events(reason)).toEqual([expect.stringContaining(text)]);
    }
    expect([...cluster.world.balancers.values()].filter(({ spec }) => spec.kind === "application")).toHaveLength(1);
  });

  test("two Deployments behind one Service share by weight", async () => {
    const cluster = await openTestCluster();
    await create(cluster, "services", webService());
    await create(cluster, "deployments.apps", webDeployment(2));
    await cluster.until("available", isReady(cluster, 2));
    const canary = webDeployment(1, "web:2");
    const labels = { app: "web", track: "canary" };
    await create(cluster, "deployments.apps", {
      ...canary,
      metadata: { name: "canary", namespace: "default", annotations: { "drover.dev/weight": "10" } },
      spec: {
        ...(canary.spec as object),
        selector: { matchLabels: labels },
        template: { ...(canary.spec as { template: object }).template, metadata: { labels } },
      },
    });
    const forward = () => [...cluster.world.balancers.values()][0]?.spec.listeners[0]?.forward;
    const annotate = (name: string, weight: string) =>
      cluster.client.update(
        { resource: "deployments.apps", namespace: "default", name },
        (current) => ({ ...current, metadata: { ...current.metadata, annotations: { "drover.dev/weight": weight } } }),
        manager,
      );
    /** While it waits, the machines of before stay Ready and get what there is. */
    const meanwhile = (what: string, done: () => boolean) =>
      cluster.until(what, () => {
        expect(isReady(cluster, 2)()).toBe(true);
        const [balancer] = cluster.world.balancers.values();
        const nowMs = cluster.clock.monotonicMs();
        const places = balancer ? openPlaces(balancer) : [];
        expect(places.filter(({ target }) => target.healthyAtMs <= nowMs).length).toBeGreaterThan(0);
        return done();
      });
    await cluster.until(
      "both have their share",
      () => JSON.stringify(forward()?.map(({ weight }) => weight)) === "[90,10]",
    );
    expect(forward()?.map(({ groupId }) => groupId)).toEqual(["80-TCP", "80-TCP/canary"]);
    const weights = () => JSON.stringify(forward()?.map(({ weight }) => weight));
    await annotate("web", "50");
    await meanwhile("all have a weight", () => weights() === "[10,50]");
    await annotate("canary", "a tenth");
    await meanwhile("the canary has the rest", () => weights() === "[50,50]");
    expect(cluster.events("InvalidWeight")).toEqual([expect.stringContaining("from 0 to 999, not a tenth")]);
    const groups = () => [...cluster.world.balancers.values()][0]?.spec.groups.map(({ id }) => id).join();
    await meanwhile("nothing of others is left", () => groups() === "80-TCP,80-TCP/web");
  });
});
