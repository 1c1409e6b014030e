import { existsSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../../base/assert.ts";
import { buildRootfs } from "./rootfs.ts";

const programs = {
  haproxy: "usr/sbin/haproxy",
  dnsmasq: "usr/sbin/dnsmasq",
  "docker-registry": "usr/bin/docker-registry",
  skopeo: "usr/bin/skopeo",
  nft: "usr/sbin/nft",
  slirp4netns: "usr/bin/slirp4netns",
} as const;

/** Programs out of a root file system of drover's own: nothing is installed or started as a service on the computer. */
export type Tools = {
  /** What to run for `program` with these arguments. */
  command(program: keyof typeof programs, ...words: readonly string[]): string[];
};

/** Builds the root file system when it is not in the cache. @throws SETUP_MISSING, CLOUD_UNAVAILABLE */
export async function openTools(o: { signal?: AbortSignal; progress?: (line: string) => void } = {}): Promise<Tools> {
  const packages = ["dnsmasq-base", "docker-registry", "haproxy", "nftables", "skopeo", "slirp4netns"];
  const root = await buildRootfs({ name: "tools", packages, variant: "extract", ...o });
  return toolsIn(root);
}

/**
 * Each program is started by the loader and with the libraries it was built with, so it needs neither a chroot nor
 * anything of the computer's own, and reads and writes the same paths as drover does.
 */
function toolsIn(root: string): Tools {
  const triplet = ["x86_64-linux-gnu", "aarch64-linux-gnu"].find((name) => existsSync(join(root, "lib", name)));
  assert(triplet !== undefined, `${root} holds libraries of a known architecture`);
  const libraries = [join(root, "lib", triplet), join(root, "usr/lib", triplet)];
  const loader = triplet.startsWith("x86") ? "ld-linux-x86-64.so.2" : "ld-linux-aarch64.so.1";
  const start = [join(root, "lib", triplet, loader), "--library-path", libraries.join(":")];
  return { command: (program, ...words) => [...start, join(root, programs[program]), ...words] };
}
