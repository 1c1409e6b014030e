import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Ingress, Secret } from "../api/types.gen.ts";
import type { Listener } from "../clouds/balancer.ts";

export type Certificate = NonNullable<Listener["certificates"]>[number];
export type Warn = (reason: string, message: string) => void;

/** The certificates of an Ingress, from its Secrets; of those that can't be used the reader is told. */
export function certificatesOf(
  { spec, metadata }: Ingress,
  secretOf: (name: string) => Secret | undefined,
  warn: Warn,
): Certificate[] {
  const { [arnAnnotation]: arn, [portsAnnotation]: ports = "" } = metadata.annotations ?? {};
  // Who asks for HTTPS by itself means a certificate of ACM, named or found by its hosts.
  const hasOwn = arn !== undefined || ports.includes("HTTPS");
  return (spec.tls ?? []).flatMap(({ hosts = [], secretName }): Certificate[] => {
    if (!secretName) {
      if (!hasOwn) warn("CertificateMissing", `${theirs(hosts)} not served over HTTPS: ${ways}.`);
      return [];
    }
    const secret = secretOf(secretName);
    if (!secret) {
      warn("SecretNotFound", `Secret ${secretName} isn't there: ${theirs(hosts)} not served over HTTPS.`);
      return [];
    }
    const [certificatePem = "", keyPem = ""] = ["tls.crt", "tls.key"].map((name) =>
      Buffer.from(secret.data?.[name] ?? "", "base64").toString(),
    );
    const problem = problemOf(certificatePem, keyPem);
    if (problem === undefined) return [{ hosts: hosts.map((host) => host.toLowerCase()), certificatePem, keyPem }];
    warn("SecretInvalid", `Secret ${secretName} ${problem}: ${theirs(hosts)} not served over HTTPS.`);
    return [];
  });
}

const arnAnnotation = "alb.ingress.kubernetes.io/certificate-arn";
const portsAnnotation = "alb.ingress.kubernetes.io/listen-ports";
const ways = `name a Secret in spec.tls, or on AWS a certificate of ACM with ${arnAnnotation}, or HTTPS in ${portsAnnotation} for one that is found by its hosts`;

const theirs = (hosts: readonly string[]): string =>
  hosts.length === 0 ? "it is" : `${hosts.join(", ")} ${hosts.length === 1 ? "is" : "are"}`;

/** What keeps a certificate and its key from being used, without a word of the key. */
function problemOf(certificatePem: string, keyPem: string): string | undefined {
  if (certificatePem === "" || keyPem === "") return "has no tls.crt and tls.key";
  try {
    const certificate = new X509Certificate(certificatePem);
    return certificate.checkPrivateKey(createPrivateKey(keyPem)) ? undefined : "has a key of another certificate";
  } catch {
    return "holds no certificate and key in PEM form";
  }
}
