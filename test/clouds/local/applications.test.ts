import { readdirSync, readFileSync, statSync } from "node:fs";
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { BalancerSpec, Balancers, Listener, Rule, Target } from "../../../src/clouds/balancer.ts";
import { balancerFolder } from "../../../src/clouds/local/balancer-note.ts";
import { openBalancers } from "../../../src/clouds/local/balancers.ts";
import { haproxyConfig, wantedServers } from "../../../src/clouds/local/haproxy-config.ts";
import { admits } from "../../../src/clouds/local/publication.ts";
import { endPublisher, openPublisher } from "../../../src/clouds/local/publisher-client.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { issue, type KeyPair, makeAuthority } from "../../../src/server/certificates.ts";
import { applicationSpec, networkSpec } from "../../contract/balancers.ts";
import { build, eventually, startHolder } from "./holder-home.ts";
import { generateLoad } from "./load.ts";
import { startTarget } from "./targets.ts";

vi.setConfig({ testTimeout: 60_000 });
let tools: Tools;
let authority: KeyPair;
let pairs: KeyPair[] = [];
beforeAll(async () => {
  build();
  tools = await openTools();
  const nowMs = systemClock.wallMs();
  authority = await makeAuthority("test", nowMs, 10);
  const common = { organizations: [], usage: "server", nowMs, days: 5 } as const;
  pairs = [
    await issue(authority, { ...common, commonName: "a", names: ["a.example.org"] }),
    await issue(authority, { ...common, commonName: "b", names: ["b.example.org"] }),
  ];
}, 300_000);

async function startBalancers() {
  const { holder, home, log } = await startHolder();
  const publisher = await openPublisher({ home, cluster: "test", clock: systemClock });
  onTestFinished(async () => void (await endPublisher(home, "test")));
  const folder = join(home, "clusters", "test");
  const balancers = openBalancers({ folder, holder, publisher, tools, clock: systemClock, log });
  const serve = async (number: number): Promise<Target> => ({
    ...(await startTarget(holder, home, number)),
    port: 8080,
    draining: false,
  });
  return { balancers, folder, holder, home, serve };
}

const allHealthy = (balancers: Balancers) =>
  eventually(async () => {
    const [one] = (await balancers.observe()).balancers;
    return one?.targets.every(({ state }) => state === "healthy") ? (one.addresses[0]?.ip ?? "") : undefined;
  }, 20_000);

type Asked = { address: string; host: string; path: string; port?: number };

/** The status and the text of an answer; over TLS with a certificate for the host when `port` is 443. */
function ask({ address, host, path, port = 80 }: Asked): Promise<string> {
  const begin = port === 443 ? secureRequest : plainRequest;
  const tls = port === 443 ? { servername: host, ca: authority.certificate } : {};
  return new Promise((resolve, reject) => {
    const options = { host: address, port, path, headers: { host }, agent: false, timeout: 5_000, ...tls };
    begin(options, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${response.headers.location ?? text}`.trim()));
    })
      .on("error", reject)
      .end();
  });
}

test("requests go by host and path, and those that no rule is for are answered with 404", async () => {
  const { balancers, serve } = await startBalancers();
  const [one, two, three] = [await serve(1), await serve(2), await serve(3)];
  const spec = applicationSpec("ing-1", { "/": [one], "/it's": [two], "/foo/": [three] });
  const [listener] = spec.listeners;
  const to = (path: string) => [{ groupId: `web:${path}`, weight: 1 }];
  const rules = [
    { host: "a.example.org", path: "/foo", pathType: "Exact" as const, forward: to("/it's") },
    { host: "a.example.org", path: "/foo/", pathType: "Prefix" as const, forward: to("/foo/") },
    { host: "a.example.org", path: "/it's", pathType: "Prefix" as const, forward: to("/it's") },
    { host: "*.example.org", path: "/none", pathType: "Prefix" as const, forward: [] },
    { host: "*.example.org", forward: to("/") },
  ];
  await balancers.ensure({ ...spec, listeners: [{ ...listener, rules, forward: [] } as Listener] });
  const address = await allHealthy(balancers);
  for (const [host, path, want] of [
    ["a.example.org", "/foo", "200 machine-2"],
    ["A.example.org:80", "/foo/", "200 machine-3"],
    ["a.example.org", "/foo/bar?x=1", "200 machine-3"],
    ["a.example.org", "/foobar", "200 machine-1"],
    ["a.example.org", "/it's", "200 machine-2"],
    ["b.example.org", "/foo", "200 machine-1"],
    ["b.example.org", "/none/x", "404"],
    ["x.b.example.org", "/", "404"],
    ["other.org", "/", "404"],
  ] as const) {
    expect(`${host}${path} ${await ask({ address, host, path })}`).toBe(`${host}${path} ${want}`);
  }
});

test("machines that speak HTTPS themselves are spoken to so, whether they were there from the start or not", async () => {
  const { balancers, holder, home } = await startBalancers();
  const [pair] = pairs;
  const tls = { cert: pair?.certificate ?? "", key: pair?.key ?? "" };
  const serve = async (number: number) => ({
    ...(await startTarget(holder, home, number, 8443, tls)),
    port: 8443,
    draining: false,
  });
  const spec = (targets: readonly Target[]): BalancerSpec => {
    const plain = applicationSpec("ing-1", { "/": targets });
    return { ...plain, groups: plain.groups.map((group) => ({ ...group, protocol: "HTTPS" })) };
  };
  const one = await serve(1);
  await balancers.ensure(spec([one]));
  const address = await allHealthy(balancers);
  expect(await ask({ address, host: "a", path: "/" })).toBe("200 machine-1");
  const two = await serve(2);
  await balancers.ensure(spec([{ ...one, draining: true }, two]));
  await eventually(async () => (await ask({ address, host: "a", path: "/" })) === "200 machine-2");
});

const secure = (spec: BalancerSpec, more: Partial<BalancerSpec> = {}): BalancerSpec => {
  const [plain] = spec.listeners;
  const certificates = pairs.map(({ certificate, key }, index) => ({
    hosts: [`${index === 0 ? "a" : "b"}.example.org`],
    certificatePem: certificate,
    keyPem: key,
  }));
  const https = { ...plain, port: 443, protocol: "HTTPS", certificates } as Listener;
  return { ...spec, listeners: [...spec.listeners, https], ...more };
};

test("TLS is spoken with the certificate of each host, and nobody else can read its key", async () => {
  const { balancers, serve, folder } = await startBalancers();
  const spec = secure(applicationSpec("ing-1", { "/": [await serve(1)] }));
  await balancers.ensure(spec);
  const address = await allHealthy(balancers);
  for (const host of ["a.example.org", "b.example.org"]) {
    expect(await ask({ address, host, path: "/", port: 443 })).toBe("200 machine-1");
  }
  expect(await ask({ address, host: "a.example.org", path: "/" })).toBe("200 machine-1");
  const own = balancerFolder(folder, "ing-1");
  expect(statSync(own).mode & 0o777).toBe(0o700);
  const files = readdirSync(own).filter((name) => statSync(join(own, name)).isFile());
  const secret = files.filter((name) => readFileSync(join(own, name), "utf8").includes("PRIVATE KEY"));
  expect(secret).not.toEqual([]);
  for (const name of files) expect(`${name} ${statSync(join(own, name)).mode & 0o077 & ~0o044}`).toBe(`${name} 0`);
  for (const name of secret) expect(statSync(join(own, name)).mode & 0o777).toBe(0o600);
  const redirect = { "alb.ingress.kubernetes.io/ssl-redirect": "443" };
  await balancers.ensure({ ...spec, annotations: redirect });
  expect(await ask({ address, host: "a.example.org", path: "/x?y=1" })).toBe("301 https://a.example.org/x?y=1");
});

test("a listener that needs a certificate and has none is not served, the others are", async () => {
  const { balancers, serve } = await startBalancers();
  const spec = applicationSpec("ing-1", { "/": [await serve(1)] });
  const [plain] = spec.listeners;
  await balancers.ensure({
    ...spec,
    listeners: [...spec.listeners, { ...plain, port: 443, protocol: "HTTPS" } as Listener],
  });
  const address = await allHealthy(balancers);
  expect(await ask({ address, host: "a.example.org", path: "/" })).toBe("200 machine-1");
});

test("neither other rules nor a target that drains loses a request", async () => {
  const { balancers, serve, holder } = await startBalancers();
  const [one, two] = [await serve(1), await serve(2)];
  await balancers.ensure(applicationSpec("ing-1", { "/": [one] }));
  const load = generateLoad(`http://${await allHealthy(balancers)}`, { perSecond: 60, slowMs: 1_000 });
  await systemClock.sleep(500);
  await balancers.ensure(applicationSpec("ing-1", { "/": [one, two], "/other": [two] }));
  await allHealthy(balancers);
  await systemClock.sleep(500);
  const drained = applicationSpec("ing-1", { "/": [{ ...one, draining: true }, two], "/other": [two] });
  await balancers.ensure(drained);
  await eventually(async () => {
    const { targets = [] } = (await balancers.observe()).balancers[0] ?? {};
    return targets.some(({ machineId, state }) => machineId === one.machineId && state === "drained");
  }, 20_000);
  await holder.kill(one.machineId, "SIGTERM");
  await balancers.ensure(applicationSpec("ing-1", { "/": [two], "/other": [two] }));
  await systemClock.sleep(500);
  const { sent, lost, names } = await load.stop();
  expect(lost).toEqual([]);
  expect(sent).toBeGreaterThan(60);
  expect([...names.keys()].toSorted()).toEqual(["machine-1", "machine-2"]);
});

const shared = (weights: readonly number[], targets: readonly (readonly Target[])[]): BalancerSpec => ({
  ...networkSpec({ id: "svc-1", targets: [] }),
  listeners: [
    { port: 80, protocol: "TCP", forward: weights.map((weight, index) => ({ groupId: `g${index}`, weight })) },
  ],
  groups: targets.map((each, index) => ({ id: `g${index}`, protocol: "TCP", targets: each, drainSeconds: 30 })),
});

test("groups get their shares, however many machines each has, and changes need no other process", async () => {
  const { balancers, serve } = await startBalancers();
  const [one, two, three] = [await serve(1), await serve(2), await serve(3)];
  const count = async () => {
    const address = await allHealthy(balancers);
    const counts = new Map<string, number>();
    for (let i = 0; i < 100; i++) {
      const answer = await ask({ address, host: "x", path: "/" });
      counts.set(answer, (counts.get(answer) ?? 0) + 1);
    }
    return [1, 2, 3].map((number) => counts.get(`200 machine-${number}`) ?? 0);
  };
  await balancers.ensure(shared([80, 20], [[one, two], [three]]));
  const [first = 0, second = 0, third = 0] = await count();
  expect(Math.abs(first - 40) + Math.abs(second - 40) + Math.abs(third - 20)).toBeLessThan(15);
  await balancers.ensure(shared([0, 20], [[one, two], [three]]));
  expect(await count()).toEqual([0, 0, 100]);
});

const place = (machineId: string, draining = false): Target => ({
  machineId,
  address: "10.90.0.2",
  port: 80,
  draining,
});

test.for([
  [[90, 10], [[place("a"), place("b"), place("c")], [place("d")]], "a.0 256, b.0 256, c.0 256, d.1 85"],
  [[90, 10], [[place("a")], [place("d"), place("e", true)]], "a.0 256, d.1 28, e.1 28"],
  [[1, 999], [[place("a")], [place("d")]], "a.0 1, d.1 256"],
  [[0, 5], [[place("a")], [place("d")]], "a.0 0, d.1 256"],
  [[7], [[place("a"), place("b")]], "a 1, b 1"],
  [[0], [[place("a")]], "a 0"],
] as const)("weights %j over their machines are those of servers", ([weights, targets, want]) => {
  const servers = wantedServers(shared(weights, targets)).filter(({ backup }) => !backup);
  expect(servers.map(({ name, weight }) => `${name} ${weight}`).join(", ")).toBe(want);
});

test("rules that share their Services share a backend, and one of other weights has its own", () => {
  const spec = shared([1, 1], [[place("a")], [place("b")]]);
  const [listener] = spec.listeners;
  const other = {
    port: 81,
    protocol: "TCP" as const,
    forward: [
      { groupId: "g0", weight: 9 },
      { groupId: "g1", weight: 1 },
    ],
  };
  const text = haproxyConfig(
    { ...spec, listeners: [...spec.listeners, { ...listener, port: 82 } as Listener, other] },
    "/f",
    [],
  );
  expect(text.match(/^backend /gm)).toHaveLength(2);
});

test.for([
  [[], "127.0.0.1", true],
  [["10.0.0.0/8"], "127.0.0.1", false],
  [["10.0.0.0/8", "127.0.0.0/8"], "127.0.0.1", true],
  [["127.0.0.0/8"], "::ffff:127.0.0.1", true],
  [["fd00::/8"], "fd00::1", true],
  [["fd00::/8"], "10.0.0.1", false],
] as const)("with the source ranges %j %s may connect: %s", ([ranges, address, want]) => {
  expect(admits(ranges, address)).toBe(want);
});

test("only clients of the source ranges are let in, and the ranges may change", async () => {
  const { balancers, serve } = await startBalancers();
  const targets = [await serve(1)];
  await balancers.ensure(networkSpec({ id: "svc-1", targets, sourceRanges: ["10.0.0.0/8"] }));
  const address = await allHealthy(balancers);
  await expect(ask({ address, host: "x", path: "/" })).rejects.toThrow(/ECONNRESET|hang up/);
  await balancers.ensure(networkSpec({ id: "svc-1", targets, sourceRanges: ["10.0.0.0/8", "127.0.0.1/32"] }));
  expect(await ask({ address, host: "x", path: "/" })).toBe("200 machine-1");
  await expect(async () =>
    balancers.ensure(networkSpec({ id: "svc-1", targets, sourceRanges: ["everywhere"] })),
  ).rejects.toMatchObject({ code: "CLOUD_INVALID" });
});

test("actions and conditions decide as they do at AWS", async () => {
  const { balancers, serve } = await startBalancers();
  const group = { id: "g", protocol: "HTTP", targets: [await serve(1)], drainSeconds: 30 } as const;
  const forward = [{ groupId: "g", weight: 1 }];
  const rule = (path: string, more: Partial<Rule>): Rule => ({ path, pathType: "Prefix", forward: [], ...more });
  const spec = applicationSpec("ing-1", {});
  await balancers.ensure({
    ...spec,
    groups: [group],
    listeners: [
      {
        port: 80,
        protocol: "HTTP",
        forward: [],
        answer: { kind: "fixed", statusCode: 410, contentType: "text/html", body: "it's 100% 'gone'" },
        rules: [
          rule("/no", { answer: { kind: "fixed", statusCode: 503 } }),
          rule("/far", {
            answer: {
              kind: "redirect",
              statusCode: 302,
              protocol: "HTTPS",
              host: "b.example.org",
              path: "/new/#{path}",
            },
          }),
          rule("/tls", { answer: { kind: "redirect", statusCode: 301, protocol: "HTTPS", port: 8443 } }),
          rule("/x", { hosts: ["h.example.org", "*.sub?.example.org"], patterns: ["/y/*.html"], forward }),
          rule("/s", { conditions: [{ field: "source", values: ["192.0.2.0/24", "0.0.0.0/0"] }], forward }),
          rule("/m", {
            conditions: [{ field: "method", values: ["POST"] }],
            answer: { kind: "fixed", statusCode: 405 },
          }),
          rule("/q", {
            conditions: [{ field: "query", values: [{ key: "v", value: "2*" }, { value: "any" }] }],
            forward,
          }),
          rule("/h", { conditions: [{ field: "header", name: "host", values: ["*.EXAMPLE.org"] }], forward }),
        ],
      },
    ],
  });
  const address = await allHealthy(balancers);
  const get = (path: string, host = "a.example.org") => ask({ address, host, path });
  expect(await get("/")).toBe("410 it's 100% 'gone'");
  expect(await get("/no/x")).toMatch(/^503/);
  expect(await get("/far/x?k=v")).toMatch(/^302 https:\/\/b\.example\.org\/new\/far\/x\?k=v/);
  expect(await get("/tls?k=v", "a.example.org:80")).toMatch(/^301 https:\/\/a\.example\.org:8443\/tls\?k=v/);
  expect(await get("/x")).toMatch(/^410/);
  expect(await get("/x", "h.example.org")).toBe("200 machine-1");
  expect(await get("/x", "a.b.sub1.example.org")).toBe("200 machine-1");
  expect(await get("/x", "sub1.example.org")).toMatch(/^410/);
  // This computer's own clients come over a unix socket, from no address.
  expect(await get("/s")).toMatch(/^410/);
  expect(await get("/y/a.html", "h.example.org")).toBe("200 machine-1");
  expect(await get("/y/a.css", "h.example.org")).toMatch(/^410/);
  expect(await get("/m")).toMatch(/^410/);
  expect(await get("/q?v=1")).toMatch(/^410/);
  expect(await get("/q?v=23")).toBe("200 machine-1");
  expect(await get("/q?x=any")).toBe("200 machine-1");
  expect(await get("/h")).toBe("200 machine-1");
  expect(await get("/h", "example.com")).toMatch(/^410/);
  const bad = {
    ...spec,
    listeners: [
      { port: 80, protocol: "HTTP", forward: [], answer: { kind: "fixed", statusCode: 200, contentType: "a\nb" } },
    ],
  } as const;
  await expect(async () => balancers.ensure({ ...bad, groups: [] })).rejects.toMatchObject({ code: "CLOUD_INVALID" });
});
