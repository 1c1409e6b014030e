import { readFile, writeFile } from "node:fs/promises";
import { cpio } from "./cpio.ts";

export type Seed = {
  userData: string;
  /** cloud-init does its work once for each; a clone keeps that of the machine it continues from. */
  instanceId: string;
  hostname: string;
};

/**
 * Writes a machine's first file system: the image's own, and behind it cloud-init's NoCloud seed, which the first
 * program copies to where cloud-init looks. So no disk of its own is needed for it, and a reboot finds it again.
 */
export async function writeSeededInitrd(path: string, imageInitrd: string, seed: Seed): Promise<void> {
  const metaData = `instance-id: ${seed.instanceId}\nlocal-hostname: ${seed.hostname}\n`;
  const files = cpio([
    { path: "seed/user-data", mode: 0o600, content: Buffer.from(seed.userData) },
    { path: "seed/meta-data", mode: 0o644, content: Buffer.from(metaData) },
  ]);
  await writeFile(path, Buffer.concat([await readFile(imageInitrd), files]), { mode: 0o600 });
}
