/** A Debian or Ubuntu package that drover needs on the computer itself to run machines there, and what for. */
export type HostPackage = {
  name: string;
  why: string;
  /** What it brings, a program or an absolute path: by this it is recognised where it came from somewhere else. */
  brings: string;
};

/**
 * Everything that set-up installs for the local cloud, without recommended packages. Whatever else the machines need
 * lives in root file systems of drover's own, so nothing is enabled or started as a service on the user's computer.
 */
export const hostPackages: readonly HostPackage[] = [
  { name: "qemu-system-x86", why: "runs the virtual machines", brings: "qemu-system-x86_64" },
  { name: "qemu-utils", why: "makes their copy-on-write disks", brings: "qemu-img" },
  { name: "mmdebstrap", why: "builds root file systems from Debian packages", brings: "mmdebstrap" },
  { name: "uidmap", why: "lets an ordinary user build them", brings: "newuidmap" },
  {
    name: "debian-archive-keyring",
    why: "checks the signatures of those packages",
    brings: "/usr/share/keyrings/debian-archive-keyring.gpg",
  },
  { name: "e2fsprogs", why: "turns a tree of files into a disk", brings: "mke2fs" },
  { name: "iproute2", why: "makes the machines' network: bridge and taps", brings: "ip" },
];
