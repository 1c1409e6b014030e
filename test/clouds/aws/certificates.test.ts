import { expect, test } from "vitest";
import { covers } from "../../../src/clouds/aws/certificates.ts";
import type { BalancerSpec } from "../../../src/clouds/balancer.ts";
import type { Certificate } from "../../../src/clouds/sim/aws/certificates.ts";
import { ingress, openBalancerParts, outcomeOf } from "./balancer-parts.ts";

/** Certificates that ACM has for the hosts of an Ingress. */

const prefix = "alb.ingress.kubernetes.io/";
const arnOf = (name: string) => `arn:aws:acm:us-east-1:123456789012:certificate/${name}`;
const https = { [`${prefix}listen-ports`]: '[{"HTTPS": 443}]' };

test.for([
  ["www.example.org", "www.example.org", true],
  ["*.example.org", "www.example.org", true],
  ["*.example.org", "*.example.org", true],
  ["*.example.org", "a.b.example.org", false],
  ["*.example.org", "example.org", false],
  ["example.org", "www.example.org", false],
  ["*.example.org", "wwwXexample.org", false],
] as const)("a certificate for %s is one for %s: %s", ([domain, host, want]) => {
  expect(covers(domain, host)).toBe(want);
});

const site = (hosts: readonly string[], annotations: Record<string, string> = https): BalancerSpec =>
  ingress("web", [], {
    annotations,
    hosts,
    listeners: [{ port: 443, protocol: "HTTPS", forward: [], rules: hosts.map((host) => ({ host, forward: [] })) }],
  });

function openAccount(certificates: Readonly<Record<string, Certificate>>) {
  const parts = openBalancerParts();
  for (const [name, certificate] of Object.entries(certificates))
    parts.world.certificates.set(arnOf(name), certificate);
  const served = () =>
    [...parts.world.listeners.values()].map(({ certificateArns }) =>
      certificateArns.map((arn) => arn.split("/")[1]).join(),
    );
  return { ...parts, served };
}

const issued = (...domains: string[]): Certificate => ({ domains, status: "ISSUED" });
const many = Array.from({ length: 150 }, (_, index) => `h${index}.example.net`);

test.for<[string, readonly string[], Record<string, Certificate>, string]>([
  ["the one for it", ["a.org"], { x: issued("a.org"), y: issued("b.org") }, "x"],
  ["one with a wildcard", ["www.a.org"], { x: issued("*.a.org") }, "x"],
  ["one by another of its names", ["a.org"], { x: issued("b.org", "a.org") }, "x"],
  ["one each, in the order of their names", ["a.org", "b.org"], { y: issued("a.org"), x: issued("b.org") }, "x,y"],
  ["all that are for it: AWS chooses", ["www.a.org"], { x: issued("*.a.org"), y: issued("www.a.org") }, "x,y"],
  [
    "none that waits to be issued",
    ["a.org"],
    { x: { ...issued("a.org"), status: "PENDING_VALIDATION" }, y: issued("a.org") },
    "y",
  ],
  ["one with a key of another kind", ["a.org"], { x: { ...issued("a.org"), keyType: "EC_prime256v1" } }, "x"],
  ["one whose names are too many for a list", ["h149.example.net"], { x: issued(...many) }, "x"],
])("a host gets %s", async ([_what, hosts, certificates, want]) => {
  const { open, served } = openAccount(certificates);
  const balancers = open();
  await balancers.ensure(site(hosts));
  expect(served()).toEqual([want]);
  expect((await balancers.state())?.warnings).toBeUndefined();
});

test("one that is named wins, and nobody is asked", async () => {
  const { open, served, calls } = openAccount({ x: issued("a.org"), named: issued("c.org") });
  await open().ensure(site(["a.org"], { ...https, [`${prefix}certificate-arn`]: arnOf("named") }));
  expect(served()).toEqual(["named"]);
  expect(calls).not.toContain("ListCertificates");
});

test("without HTTPS nobody is asked", async () => {
  const { open, calls } = openAccount({});
  await open().ensure(ingress("web", [{ host: "a.org" }], { hosts: ["a.org"] }));
  expect(calls).not.toContain("ListCertificates");
});

test("hosts that there is none for are named, and nothing listens before there is one", async () => {
  const { open, world, served, clock } = openAccount({ x: issued("a.org") });
  const balancers = open();
  const spec = site(["a.org", "b.org", "c.org"]);
  expect(await outcomeOf(balancers.ensure(spec))).toMatch(
    /^CLOUD_INVALID alb\.ingress\.kubernetes\.io\/certificate-arn: ACM has no issued certificate for b\.org, c\.org in this region: .*aws acm import-certificate/,
  );
  expect(world.listeners.size).toBe(0);
  world.certificates.set(arnOf("y"), issued("b.org", "c.org"));
  await clock.advance(60_000);
  await balancers.ensure(spec);
  expect(served()).toEqual(["x,y"]);
});

test("ACM is asked once a minute, and what it said stays good while it doesn't answer", async () => {
  const { open, calls, clock, served, failNext } = openAccount({ x: issued("a.org", ...many) });
  const balancers = open();
  const asked = () => calls.splice(0).filter((name) => /^(ListCertificates|DescribeCertificate)$/.test(name));
  await balancers.ensure(site(["a.org"]));
  await balancers.ensure(site(["a.org"]));
  expect(asked()).toEqual(["ListCertificates", "DescribeCertificate"]);
  await clock.advance(61_000);
  failNext("ListCertificates", "ServiceUnavailable");
  await balancers.ensure(site(["a.org"]));
  expect(asked()).toEqual(["ListCertificates"]);
  failNext("ListCertificates", "ServiceUnavailable");
  expect(await outcomeOf(balancers.ensure(site(["b.org"])))).toContain("CLOUD_UNAVAILABLE");
  expect(served()).toEqual(["x"]);
});

test("the one in use stays when there is none any more, and it is told", async () => {
  const { open, world, served, clock } = openAccount({ x: issued("a.org") });
  const balancers = open();
  await balancers.ensure(site(["a.org"]));
  world.certificates.set(arnOf("x"), { ...issued("a.org"), status: "EXPIRED" });
  await clock.advance(61_000);
  await balancers.ensure(site(["a.org"]));
  expect(served()).toEqual(["x"]);
  expect((await balancers.state())?.warnings).toEqual([expect.stringContaining("no issued certificate for a.org")]);
});
