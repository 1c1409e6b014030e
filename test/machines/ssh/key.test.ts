import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { expect, onTestFinished, test } from "vitest";
import { fingerprintsIn } from "../../../src/machines/ssh/fingerprint.ts";
import { openSshKey } from "../../../src/machines/ssh/key.ts";

test("the operator's key is made once, kept private, and understood by OpenSSH", () => {
  const folder = mkdtempSync(join(tmpdir(), "key-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const key = openSshKey(join(folder, "identity"));
  expect(openSshKey(join(folder, "identity"))).toEqual(key);
  const file = join(folder, "identity/ssh_ed25519");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(ssh2.utils.parseKey(key.privateKey)).not.toBeInstanceOf(Error);
  const derived = execFileSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" }).trim();
  expect(key.publicKey.startsWith(derived.split(" ").slice(0, 2).join(" "))).toBe(true);
});

const fingerprint = `SHA256:${"a".repeat(43)}`;
const begin = "-----BEGIN SSH HOST KEY FINGERPRINTS-----";
const end = "-----END SSH HOST KEY FINGERPRINTS-----";

test.for([
  [
    "as cloud-init logs it",
    `<14>Nov 21 18:00:00 ec2: ${begin}\r\n<14>Nov 21 ec2: 256 ${fingerprint} root@h (ED25519)\r\n<14>ec2: ${end}`,
    1,
  ],
  ["printed twice, as after a reboot", `${begin}\n256 ${fingerprint} (ED25519)\n${end}\n`.repeat(2), 2],
  ["another kind of key", `${begin}\n3072 ${fingerprint} root@h (RSA)\n${end}`, 0],
  ["a block whose end is not printed yet", `${begin}\n256 ${fingerprint} (ED25519)\n`, 0],
  ["a line outside of the marks", `256 ${fingerprint} (ED25519)\n${begin}\n${end}`, 0],
  ["nothing yet", "", 0],
] as const)("fingerprints: %s", ([_name, console, count]) => {
  expect(fingerprintsIn(console)).toEqual(Array(count).fill(fingerprint));
});
