import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VirtualClock } from "../../src/base/virtual.ts";
import { openIdentity } from "../../src/server/identity.ts";
import { signToken, verifyToken } from "../../src/server/tokens.ts";

const dayMs = 86_400_000;
let directory = "";
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "identity-")), "identity");
});
afterEach(() => rm(join(directory, ".."), { recursive: true, force: true }));

test("is made once, for its owner alone, and read again", async () => {
  const clock = new VirtualClock();
  const first = await openIdentity({ directory, clock });
  const again = await openIdentity({ directory, clock });
  expect(again.server).toEqual(first.server);
  expect(again.admin).toEqual(first.admin);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, "ca.key"))).mode & 0o777).toBe(0o600);
});

test("names the server and the user", async () => {
  const { server, admin, authority } = await openIdentity({
    directory,
    clock: new VirtualClock(),
    names: ["drover.example", "192.0.2.7"],
  });
  const certificate = new X509Certificate(server.certificate);
  for (const name of ["localhost", "drover.example"]) expect(certificate.checkHost(name)).toBe(name);
  for (const address of ["127.0.0.1", "::1", "192.0.2.7"]) expect(certificate.checkIP(address)).toBe(address);
  expect(new X509Certificate(admin.certificate).subject).toBe("CN=admin\nO=system:masters");
  expect(certificate.verify(new X509Certificate(authority).publicKey)).toBe(true);
});

test("certificates are renewed before they expire, the authority stays", async () => {
  const clock = new VirtualClock();
  const first = await openIdentity({ directory, clock });
  await clock.advance(340 * dayMs);
  const later = await openIdentity({ directory, clock });
  expect(later.authority).toBe(first.authority);
  expect(later.server.certificate).not.toBe(first.server.certificate);
  expect(Date.parse(new X509Certificate(later.server.certificate).validTo)).toBeGreaterThan(
    clock.wallMs() + 300 * dayMs,
  );
});

test("a new name of the server takes a new certificate of the same authority", async () => {
  const clock = new VirtualClock();
  const first = await openIdentity({ directory, clock });
  const named = await openIdentity({ directory, clock, names: ["other.example"] });
  expect(named.authority).toBe(first.authority);
  expect(named.server.certificate).not.toBe(first.server.certificate);
  expect(named.admin).toEqual(first.admin);
});

test("tokens hold for their time, their audience and their signer", async () => {
  const clock = new VirtualClock();
  const identity = await openIdentity({ directory, clock });
  const bound = { namespace: "default", serviceaccount: { name: "a", uid: "1" } };
  const request = { audiences: ["https://kubernetes.default.svc"], expirationSeconds: 600, "kubernetes.io": bound };
  const token = signToken(identity, request, clock.wallMs());
  const key = identity.tokenPublicKey;
  expect(verifyToken(key, token, clock.wallMs())?.sub).toBe("system:serviceaccount:default:a");
  expect(verifyToken(key, token, clock.wallMs() + 601_000)).toBeUndefined();
  expect(verifyToken(key, token, clock.wallMs(), "other")).toBeUndefined();
  const [header, body, signature] = token.split(".");
  const forged = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
  expect(verifyToken(key, `${forged}.${body}.`, clock.wallMs())).toBeUndefined();
  expect(verifyToken(key, `${header}.${body}x.${signature}`, clock.wallMs())).toBeUndefined();
});
