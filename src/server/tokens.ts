import { createHash, type KeyObject, randomUUID, sign, verify } from "node:crypto";
import type { Identity } from "./identity.ts";

/** What a token of a service account says, as Kubernetes writes it into the claims. Times are seconds since the epoch. */
export type TokenClaims = {
  iss: string;
  sub: string;
  aud: string[];
  exp: number;
  iat: number;
  nbf: number;
  jti: string;
  "kubernetes.io": {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    secret?: { name: string; uid: string };
    node?: { name: string; uid: string };
  };
};

/** Issuer and only audience of the tokens. */
export const issuer = "https://kubernetes.default.svc";

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The id of a key that tokens name in their header. */
const keyId = (key: KeyObject): string =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");

type TokenRequest = Pick<TokenClaims, "kubernetes.io"> & { audiences: readonly string[]; expirationSeconds: number };

/** A signed token (JWT, ES256) for a service account. */
export function signToken(identity: Identity, request: TokenRequest, nowMs: number): string {
  const bound = request["kubernetes.io"];
  const now = Math.floor(nowMs / 1000);
  const claims: TokenClaims = {
    aud: [...request.audiences],
    exp: now + request.expirationSeconds,
    iat: now,
    iss: issuer,
    jti: randomUUID(),
    "kubernetes.io": bound,
    nbf: now,
    sub: `system:serviceaccount:${bound.namespace}:${bound.serviceaccount.name}`,
  };
  const text = `${encode({ alg: "ES256", kid: keyId(identity.tokenPublicKey) })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key: identity.tokenKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

/** The claims of a token that this server has signed and that is valid now for `audience`; otherwise undefined. */
export function verifyToken(
  publicKey: KeyObject,
  token: string,
  nowMs: number,
  audience = issuer,
): TokenClaims | undefined {
  const [header, body, signature, ...more] = token.split(".");
  if (header === undefined || body === undefined || signature === undefined || more.length > 0) return undefined;
  const algorithm = decode(header)?.["alg"];
  if (algorithm !== "ES256") return undefined;
  const key = { key: publicKey, dsaEncoding: "ieee-p1363" as const };
  const bytes = Buffer.from(signature, "base64url");
  if (!verify("sha256", Buffer.from(`${header}.${body}`), key, bytes)) return undefined;
  // The signature is this server's own: what it signed has the shape of TokenClaims.
  const claims = decode(body) as TokenClaims | undefined;
  const now = nowMs / 1000;
  if (claims === undefined || claims.iss !== issuer || !claims.aud.includes(audience)) return undefined;
  return claims.nbf <= now && now < claims.exp ? claims : undefined;
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
