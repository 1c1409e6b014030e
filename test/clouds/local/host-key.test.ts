import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";

test("a host key is in OpenSSH's form, its halves belong together, and no two are the same", () => {
  const keys = [makeHostKey("root@a"), makeHostKey("root@a-much-longer-name")];
  for (const { privateKey, publicKey } of keys) {
    const parsed = ssh2.utils.parseKey(privateKey);
    if (parsed instanceof Error) throw parsed;
    expect(parsed.type).toBe("ssh-ed25519");
    expect(`ssh-ed25519 ${parsed.getPublicSSH().toString("base64")} ${parsed.comment}`).toBe(publicKey);
    const signature = parsed.sign("text");
    expect(parsed.verify("text", Buffer.from(signature))).toBe(true);
  }
  expect(keys[0]?.privateKey).not.toBe(keys[1]?.privateKey);
});
