import { statSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DroverError } from "../../base/errors.ts";
import { cpio } from "./cpio.ts";
import {
  asTreeOwner,
  buildOnce,
  buildRootfs,
  cacheDirectory,
  inputsHash,
  type PlacedFile,
  type Watching,
} from "./rootfs.ts";
import { runTool } from "./run-tool.ts";

/** What every machine starts from. All paths are absolute; `disk` is a qcow2 that is never written again. */
export type GuestImage = { hash: string; kernel: string; initrd: string; disk: string; diskBytes: number };

/** The only name of a machine image that the local cloud knows. */
export const guestImageName = "debian-12";

/** The disk's size as the guest sees it; empty blocks take no room on the host. */
const diskBytes = 8 * 2 ** 30;

const packages = [
  ...["systemd-sysv", "udev", "kmod", "iproute2", "netbase", "ca-certificates", "busybox-static", "e2fsprogs"],
  ...["cloud-init", "openssh-server", "python3", "sudo", "podman", "crun", "iptables"],
];

/** In the order in which they depend on each other: what stands between the kernel and its disk. */
const diskModules = [
  "virtio_ring",
  "virtio",
  "virtio_pci_modern_dev",
  "virtio_pci_legacy_dev",
  "virtio_pci",
  "virtio_blk",
];

const templates = fileURLToPath(new URL("../../../templates/local/", import.meta.url));

/**
 * The guest image: Debian 12 with systemd, cloud-init, OpenSSH, Python and podman, cut down to what a machine with one
 * Pod needs, with a kernel and a first file system that QEMU starts directly. Built once, then kept.
 * @throws SETUP_MISSING, CLOUD_UNAVAILABLE
 */
export async function buildGuestImage(o: Watching = {}): Promise<GuestImage> {
  if (process.arch !== "x64") {
    throw new DroverError("SETUP_MISSING", `local machines need an x86-64 computer, this one is ${process.arch}`);
  }
  const customise = await readFile(join(templates, "customise.sh"), "utf8");
  const init = await readFile(join(templates, "initrd.sh"), "utf8");
  const files = await placedFiles(join(templates, "guest"));
  const hash = inputsHash([packages, diskModules, diskBytes, customise, init, files]);
  const directory = await buildOnce(
    join(cacheDirectory(), "image", `${guestImageName}-${hash}`),
    o,
    async (partial) => {
      const tree = await buildRootfs({ name: "guest", packages, variant: "apt", files, customise, ...o });
      await mkdir(partial);
      o.progress?.("guest: making the disk");
      await writeFile(join(partial, "vmlinuz"), await readFile(join(tree, "boot/vmlinuz")));
      await writeFile(join(partial, "initrd"), await initrd(tree, init));
      await makeDisk(tree, partial, o.signal);
      await runTool(["rm", "-rf", "--one-file-system", tree], o);
    },
  );
  const path = (name: string) => join(directory, name);
  return { hash, kernel: path("vmlinuz"), initrd: path("initrd"), disk: path("disk.qcow2"), diskBytes };
}

async function makeDisk(tree: string, directory: string, signal?: AbortSignal): Promise<void> {
  const o = signal ? { signal } : {};
  const raw = join(directory, "disk.raw");
  const features = "assume_storage_prezeroed=1,lazy_itable_init=1,root_owner=0:0";
  const size = `${diskBytes / 2 ** 20}M`;
  const mke2fs = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-m", "0", "-O", "^metadata_csum,^64bit"];
  await runTool([...asTreeOwner(), ...mke2fs, "-J", "size=32", "-E", features, "-d", tree, raw, size], o);
  await runTool(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, join(directory, "disk.qcow2")], o);
  await rm(raw);
}

/** busybox, the modules of the disk, and the program that goes on from it. A machine's seed is appended to it. */
async function initrd(tree: string, init: string): Promise<Buffer> {
  const modules = join(tree, "usr/lib/modules");
  const [version = ""] = await readdir(modules);
  const found = await readdir(join(modules, version, "kernel"), { recursive: true });
  const entries = await Promise.all(
    diskModules.map(async (name) => {
      const path = found.find((each) => each.endsWith(`/${name}.ko`)) ?? `${name}.ko`;
      return { path: `lib/${name}.ko`, mode: 0o644, content: await readFile(join(modules, version, "kernel", path)) };
    }),
  );
  const directories = ["bin", "dev", "lib", "mnt", "seed"].map((path) => ({ path, mode: 0o755 }));
  const script = Buffer.from(init.replace("MODULES", diskModules.join(" ")));
  const busybox = { path: "bin/busybox", mode: 0o755, content: await readFile(join(tree, "bin/busybox")) };
  return cpio([...directories, busybox, { path: "init", mode: 0o755, content: script }, ...entries]);
}

/** Every file below `root`, to be put at the same path in the guest. */
async function placedFiles(root: string): Promise<PlacedFile[]> {
  const names = (await readdir(root, { recursive: true })).filter((name) => statSync(join(root, name)).isFile());
  return Promise.all(
    names
      .sort()
      .map(async (name) => ({ path: `/${name}`, mode: 0o644, content: await readFile(join(root, name), "utf8") })),
  );
}
