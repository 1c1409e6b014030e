import { spawnSync } from "node:child_process";
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

test("keys are made however the garbage is collected", () => {
  const program = `
    import { makeHostKey } from ${JSON.stringify(new URL("../../../dist/clouds/local/host-key.js", import.meta.url))};
    for (let made = 0; made < 30_000; made++) makeHostKey("root@a");`;
  const words = ["--max-semi-space-size=1", "--input-type=module", "--eval", program];
  expect(spawnSync(process.execPath, words, { timeout: 60_000 })).toMatchObject({ status: 0, signal: null });
}, 90_000);
