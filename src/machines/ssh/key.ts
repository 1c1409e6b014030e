import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeHostKey } from "../../clouds/local/host-key.ts";

/** The operator's key, in OpenSSH's forms: by it drover, and its user with any ssh, gets into the machines as root. */
export type SshKey = { privateKey: string; publicKey: string };

/** Reads the key in `directory`, made on first use. The file `ssh_ed25519` works with `ssh -i`. */
export function openSshKey(directory: string): SshKey {
  const file = join(directory, "ssh_ed25519");
  if (!existsSync(file)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const made = makeHostKey("drover");
    writeFileSync(`${file}.pub`, `${made.publicKey}\n`);
    writeFileSync(`${file}.new`, made.privateKey, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  chmodSync(file, 0o600);
  return { privateKey: readFileSync(file, "utf8"), publicKey: readFileSync(`${file}.pub`, "utf8").trim() };
}
