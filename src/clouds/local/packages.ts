/** A Debian or Ubuntu package that drover needs on the computer itself to run machines there, and what for. */
export type HostPackage = { name: string; why: string };

/**
 * Everything that set-up installs for the local cloud, without recommended packages. Whatever else the machines need
 * lives in root file systems of drover's own, so nothing is enabled or started as a service on the user's computer.
 */
export const hostPackages: readonly HostPackage[] = [
  { name: "qemu-system-x86", why: "runs the virtual machines" },
  { name: "qemu-utils", why: "makes their copy-on-write disks (qemu-img)" },
  { name: "mmdebstrap", why: "builds root file systems from Debian packages" },
  { name: "uidmap", why: "lets an ordinary user build them (newuidmap)" },
  { name: "debian-archive-keyring", why: "checks the signatures of those packages" },
  { name: "e2fsprogs", why: "turns a tree of files into a disk (mke2fs)" },
  { name: "iproute2", why: "makes the machines' network: namespace, bridge and taps (ip)" },
];
