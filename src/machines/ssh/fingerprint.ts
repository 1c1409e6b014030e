import { createHash } from "node:crypto";

const begin = "-----BEGIN SSH HOST KEY FINGERPRINTS-----";
const end = "-----END SSH HOST KEY FINGERPRINTS-----";

/**
 * The fingerprints of ed25519 host keys that a machine has printed on its console, as `SHA256:…`. Only what stands
 * between the two marks counts; a block that is still being printed counts not yet.
 */
export function fingerprintsIn(console: string): string[] {
  const blocks = console.split(begin).slice(1);
  return blocks.flatMap((block) => {
    const stop = block.indexOf(end);
    return [...block.slice(0, Math.max(0, stop)).matchAll(/\b256 (SHA256:[A-Za-z0-9+/]{43})\b.*\(ED25519\)/g)].map(
      ([, fingerprint = ""]) => fingerprint,
    );
  });
}

/** The fingerprint of a host key as it comes over the wire. */
export const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
