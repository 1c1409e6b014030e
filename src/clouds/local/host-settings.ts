import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";

/** `Fedora Linux 43`; `installs`: Debian or made of it, so that packages have the names that drover knows. */
export type HostSystem = { name: string; installs: boolean };

/** Something about the computer that machines need and only root can change, with the shell's line that does so. */
export type HostSetting = { name: string; why: string; command: string };

export type HostFacts = {
  system: HostSystem;
  user: string;
  root: boolean;
  /** Whether a network namespace can be made, and things be done in it. */
  namespaces: boolean;
  tun: "usable" | "closed" | "missing";
  /** /etc/subuid and /etc/subgid. */
  subordinates: readonly [string, string];
  /** A file below /proc/sys, `kernel.printk` for kernel/printk; undefined where this kernel has none. */
  sysctl: (name: string) => string | undefined;
};

const kept = "/etc/sysctl.d/60-drover.conf";
/** What a root file system with its users takes, and what Debian gives to each user. */
const idsEach = 65_536;
const firstId = 100_000;

/** What root has to set before this user's machines can run. Everything holds over a reboot except the device's mode. */
export function neededSettings(facts: HostFacts): HostSetting[] {
  const tun = facts.tun === "usable" ? [] : [tunSetting];
  if (facts.root) return tun;
  const key = facts.namespaces ? undefined : namespaceSetting(facts.sysctl);
  const namespaces =
    key === undefined
      ? []
      : [sysctlSetting(key, "lets an ordinary user make the machines' network (a user namespace)")];
  const lowestPort = Number(facts.sysctl("net.ipv4.ip_unprivileged_port_start") ?? 0);
  const port = ["net.ipv4.ip_unprivileged_port_start", "80"] as const;
  const ports = lowestPort > 80 ? [sysctlSetting(port, "lets Services be published on port 80 of 127.x.y.z")] : [];
  const users = facts.subordinates.every((text) => hasIds(text, facts.user)) ? [] : [subordinateSetting(facts)];
  return [...namespaces, ...ports, ...users, ...tun];
}

/** The sysctl that keeps ordinary users from having namespaces on this computer, and the value that lets them. */
export function namespaceSetting(sysctl: HostFacts["sysctl"]): readonly [name: string, value: string] | undefined {
  if (sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    return ["kernel.apparmor_restrict_unprivileged_userns", "0"];
  }
  if (sysctl("kernel.unprivileged_userns_clone") === "0") return ["kernel.unprivileged_userns_clone", "1"];
  if (sysctl("user.max_user_namespaces") === "0") return ["user.max_user_namespaces", "10000"];
  return undefined;
}

const sysctlSetting = ([name, value]: readonly [string, string], why: string): HostSetting => ({
  name: `${name}=${value}`,
  why: `${why}; kept in ${kept}`,
  command: `mkdir -p /etc/sysctl.d; echo ${name}=${value} >>${kept}; echo ${value} >${pathOf(name)}`,
});

const tunSetting: HostSetting = {
  name: "/dev/net/tun",
  why: "gives each machine a network interface",
  command:
    "mkdir -p /dev/net; modprobe tun || true; test -e /dev/net/tun || mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun",
};

/** Lines are `user:first:count`. */
const ranges = (text: string): { owner: string; first: number; count: number }[] =>
  text.split("\n").flatMap((line) => {
    const [owner = "", first = "", count = ""] = line.split(":");
    return owner === "" || count === "" ? [] : [{ owner, first: Number(first), count: Number(count) }];
  });

const hasIds = (text: string, user: string): boolean =>
  ranges(text).some(({ owner, count }) => owner === user && count >= idsEach);

function subordinateSetting({ user, subordinates }: HostFacts): HostSetting {
  const ends = subordinates.flatMap(ranges).map(({ first, count }) => first + count);
  const first = Math.max(firstId, ...ends);
  const range = `${first}-${first + idsEach - 1}`;
  return {
    name: `user ids ${range}`,
    why: `are ${user}'s own for building root file systems (/etc/subuid, /etc/subgid)`,
    command: `usermod --add-subuids ${range} --add-subgids ${range} ${user}`,
  };
}

const pathOf = (name: string): string => `/proc/sys/${name.replaceAll(".", "/")}`;
const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

export const readSysctl = (name: string): string | undefined =>
  existsSync(pathOf(name)) ? textOf(pathOf(name)).trim() : undefined;

/** Reads /etc/os-release (freedesktop.org's os-release): `ID_LIKE` names the systems that one is made of. */
export function parseSystem(osRelease: string): HostSystem {
  const field = (key: string) => new RegExp(`^${key}=["']?([^"'\\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  const family = `${field("ID")} ${field("ID_LIKE")}`.split(" ");
  return {
    name: field("PRETTY_NAME") || field("ID") || "a Linux without /etc/os-release",
    installs: family.includes("debian") || family.includes("ubuntu"),
  };
}

/** What is true of this computer and this user now. Namespaces are tried, not looked up. */
export function readHostFacts(): HostFacts {
  const root = process.getuid?.() === 0;
  const user = root ? [] : ["--user", "--map-root-user"];
  const [program, ...words] = ["unshare", ...user, "--net", "--", "unshare", "--uts", "--", "true"] as const;
  const probe = spawnSync(program, words, { stdio: "ignore" });
  return {
    system: parseSystem(textOf("/etc/os-release")),
    user: userInfo().username,
    root,
    namespaces: probe.status === 0,
    tun: existsSync("/dev/net/tun") ? (isUsable("/dev/net/tun") ? "usable" : "closed") : "missing",
    subordinates: [textOf("/etc/subuid"), textOf("/etc/subgid")],
    sysctl: readSysctl,
  };
}

export function isUsable(device: string): boolean {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
