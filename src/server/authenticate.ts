import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { unauthorized } from "../api/status.ts";
import type { Clock } from "../base/clock.ts";
import type { View } from "../registry/view.ts";
import type { Identity } from "./identity.ts";
import { type TokenClaims, verifyToken } from "./tokens.ts";

/** Who asks. */
export type User = {
  name: string;
  uid: string;
  groups: readonly string[];
  extra: Readonly<Record<string, readonly string[]>>;
};

export const anonymous: User = { name: "system:anonymous", uid: "", groups: ["system:unauthenticated"], extra: {} };

/** Says who sent a request. @throws 401 for a certificate or a token that is not good */
export type Authenticate = (request: IncomingMessage) => User;

const tokensKept = 1_000;

export function authenticator(identity: Identity, view: View, clock: Clock): Authenticate {
  const bySocket = new WeakMap<TLSSocket, User | null>();
  const verified = new Map<string, TokenClaims>();

  const fromToken = (token: string): User => {
    const nowMs = clock.wallMs();
    const known = verified.get(token);
    const claims = known !== undefined && nowMs / 1000 < known.exp ? known : undefined;
    const good = claims ?? verifyToken(identity.tokenPublicKey, token, nowMs);
    const user = good && serviceAccount(good, view);
    if (good === undefined || user === undefined) {
      verified.delete(token);
      throw unauthorized();
    }
    if (claims === undefined) {
      if (verified.size >= tokensKept) verified.clear();
      verified.set(token, good);
    }
    return user;
  };

  return (request) => {
    const header = request.headers.authorization;
    const { socket } = request;
    if (socket instanceof TLSSocket) {
      let user = bySocket.get(socket);
      if (user === undefined) {
        user = fromCertificate(socket);
        bySocket.set(socket, user);
      }
      if (user !== null) return user;
    }
    const token = header === undefined ? undefined : /^bearer +(\S+) *$/i.exec(header)?.[1];
    if (token !== undefined) return fromToken(token);
    if (header !== undefined) throw unauthorized();
    return anonymous;
  };
}

/** The user of a connection's certificate, null where it has shown none. @throws 401 when it is not of our authority */
function fromCertificate(socket: TLSSocket): User | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  if (!socket.authorized) throw unauthorized();
  // The plain form splits the subject; a name may hold any character, so the printed one is of no use.
  const { subject } = socket.getPeerCertificate();
  const names: string | string[] | undefined = subject.CN;
  if (typeof names !== "string") throw unauthorized();
  const groups: string | string[] | undefined = subject.O;
  const list = groups === undefined ? [] : [groups].flat();
  const credential = createHash("sha256").update(certificate.raw).digest("hex");
  return {
    name: names,
    uid: "",
    groups: [...list, "system:authenticated"],
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${credential}`] },
  };
}

/** The user of a token, as long as the service account and what the token is bound to are the same objects still. */
export function serviceAccount(claims: TokenClaims, view: View): User | undefined {
  const { namespace, serviceaccount, pod, secret } = claims["kubernetes.io"];
  if (view.get("serviceaccounts", namespace, serviceaccount.name)?.metadata?.uid !== serviceaccount.uid)
    return undefined;
  if (pod !== undefined && view.get("pods", namespace, pod.name)?.metadata?.uid !== pod.uid) return undefined;
  if (secret !== undefined && view.get("secrets", namespace, secret.name)?.metadata?.uid !== secret.uid) {
    return undefined;
  }
  const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`] };
  if (pod !== undefined) {
    extra["authentication.kubernetes.io/pod-name"] = [pod.name];
    extra["authentication.kubernetes.io/pod-uid"] = [pod.uid];
  }
  return {
    name: claims.sub,
    uid: serviceaccount.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    extra,
  };
}
