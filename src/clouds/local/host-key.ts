import { generateKeyPairSync, randomBytes } from "node:crypto";

/** An SSH host key in the forms of OpenSSH's own files. */
export type HostKey = { privateKey: string; publicKey: string };

/** At the end of either key's DER (RFC 8410). */
const keyBytes = 32;

/** A new ed25519 key. It is handed to the machine and kept nowhere else. */
export function makeHostKey(comment: string): HostKey {
  // Encoded as they are made: a key's own export as JWK holds its lock while it allocates, and a garbage collection in
  // between that finds the same key's generation waits for that lock for ever (Node 20).
  const { publicKey, privateKey } = generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
  const point = publicKey.subarray(-keyBytes);
  const secret = privateKey.subarray(-keyBytes);
  const publicBlob = Buffer.concat([text("ssh-ed25519"), text(point)]);
  const check = randomBytes(4);
  // The format repeats the public key behind the secret, then pads with 1, 2, 3… to its cipher's block of 8.
  const plain = Buffer.concat([check, check, publicBlob, text(Buffer.concat([secret, point])), text(comment)]);
  const padding = Buffer.from(Array.from({ length: -plain.length & 7 }, (_, index) => index + 1));
  const one = Buffer.from([0, 0, 0, 1]);
  const header = [Buffer.from("openssh-key-v1\0"), text("none"), text("none"), text(""), one, text(publicBlob)];
  const body = Buffer.concat([...header, text(Buffer.concat([plain, padding]))]).toString("base64");
  const lines = body.match(/.{1,70}/g) ?? [];
  return {
    privateKey: ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n"),
    publicKey: `ssh-ed25519 ${publicBlob.toString("base64")} ${comment}`,
  };
}

/** SSH's `string`: its length in four bytes, then itself. */
function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
