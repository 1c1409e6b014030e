import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Clock, parseTimeMs } from "../base/clock.ts";
import { issue, type KeyPair, makeAuthority } from "./certificates.ts";

/**
 * Who this drover is: its authority, its server's and its user's certificates and the key that signs tokens. It lives
 * in a folder of its own beside the data, so that losing the data locks nobody out.
 */
export type Identity = {
  /** PEM: what clients must trust. */
  authority: string;
  server: KeyPair;
  /** A member of `system:masters`. */
  admin: KeyPair;
  /** Signs tokens of service accounts (ES256). */
  tokenKey: KeyObject;
  tokenPublicKey: KeyObject;
};

const authorityDays = 3_650;
const leafDays = 365;
/** A certificate is made anew once less than this is left of it. */
const renewMs = 30 * 86_400_000;

/** Names by which every server can be reached, whatever else the user adds. */
const ownNames = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "127.0.0.1",
  "::1",
];

/**
 * Reads the identity in `directory`, making what is missing or about to expire. A new authority takes new certificates
 * with it. `names`: more DNS names and addresses of the server.
 */
export async function openIdentity(options: {
  directory: string;
  clock: Clock;
  names?: readonly string[];
}): Promise<Identity> {
  const { directory, clock } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const nowMs = clock.wallMs();
  const pair = (name: string) => ({ certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) });

  const fresh = (certificate: X509Certificate) => parseTimeMs(certificate.validTo) - nowMs > renewMs;
  const authority = await keep(pair("ca"), fresh, () => makeAuthority("drover", nowMs, authorityDays));
  const trusted = new X509Certificate(authority.certificate);
  const signed = (certificate: X509Certificate) => fresh(certificate) && certificate.verify(trusted.publicKey);

  const names = [...new Set([...ownNames, ...(options.names ?? [])])];
  const covers = (certificate: X509Certificate) =>
    names.every((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined);
  const leaf = { nowMs, days: leafDays };
  const server = await keep(
    pair("server"),
    (certificate) => signed(certificate) && covers(certificate),
    () => issue(authority, { ...leaf, commonName: "drover-server", organizations: [], usage: "server", names }),
  );
  const admin = await keep(pair("admin"), signed, () =>
    issue(authority, {
      ...leaf,
      commonName: "admin",
      organizations: ["system:masters"],
      usage: "client",
      names: [],
    }),
  );
  const tokenKey = await keepTokenKey(join(directory, "tokens.key"));
  return { authority: authority.certificate, server, admin, tokenKey, tokenPublicKey: createPublicKey(tokenKey) };
}

type Paths = { certificate: string; key: string };

/** What is on disk while `good` holds for its certificate, else what `make` gives, written down first. */
async function keep(paths: Paths, good: (c: X509Certificate) => boolean, make: () => Promise<KeyPair>) {
  const certificate = await readIfThere(paths.certificate);
  const key = await readIfThere(paths.key);
  if (certificate !== undefined && key !== undefined) {
    const parsed = new X509Certificate(certificate);
    if (parsed.checkPrivateKey(createPrivateKey(key)) && good(parsed)) return { certificate, key };
  }
  const made = await make();
  await writeWhole(paths.key, made.key);
  await writeWhole(paths.certificate, made.certificate);
  return made;
}

async function keepTokenKey(path: string): Promise<KeyObject> {
  const pem = await readIfThere(path);
  if (pem !== undefined) return createPrivateKey(pem);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeWhole(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  return privateKey;
}

/** The file's text, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Replaces the file in one step, readable by its owner only. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  try {
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
