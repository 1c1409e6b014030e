import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterParts } from "./cluster-parts.ts";
import { run } from "./command.ts";
import { clusterFolder } from "./detached.ts";
import { machineNetwork } from "./network.ts";
import type { Tools } from "./tools.ts";

/** Both ends of the road out of one cluster's namespace. */
export type Road = {
  /** The interface on the computer, and its nftables table with dashes made underscores. */
  name: string;
  outside: string;
  inside: string;
  /** Both addresses, as `A.B.C.D/30`. */
  network: string;
};

const forwarding = "/proc/sys/net/ipv4/ip_forward";
const prefix = "drv";
const uplink = "uplink";
const slirpMs = 3_000;

/** A network of four addresses in 10.91.0.0/16 that follows from the cluster's folder. */
export function roadOf(folder: string): Road {
  const hash = createHash("sha256").update(folder).digest();
  const first = (hash.readUInt16BE(4) & 0x3fff) << 2;
  const address = (last: number) => `10.91.${(first + last) >> 8}.${(first + last) & 0xff}`;
  const name = `${prefix}${hash.toString("hex", 0, 4)}`;
  return { name, outside: address(1), inside: address(2), network: `${address(0)}/30` };
}

/**
 * Lets machines reach what the computer reaches. With root by a pair of interfaces and masquerade on both sides, in
 * nftables tables of its own; the computer's own ports stay shut to machines. Without root by a network stack in user
 * space. Where neither can be done the machines live without it and the log says so: images and names of the user's
 * own need no road.
 */
export async function ensureEgress(o: ClusterParts): Promise<boolean> {
  const refused = process.getuid?.() === 0 ? await byInterfaces(o) : await bySlirp(o);
  if (refused === undefined) return true;
  o.log.info(`The machines have no road to the internet: ${refused}. Load their images with \`drover image load\`.`);
  return false;
}

/** Answers with why it can't be done. */
async function byInterfaces({ folder, holder, tools }: ClusterParts): Promise<string | undefined> {
  const road = roadOf(folder);
  if (!existsSync(`/sys/class/net/${road.name}`)) {
    const made = await run(["ip", "-batch", "-"], outsideLinks(road, holder.pid));
    if (made.exitCode !== 0) return made.stderr.trim();
  }
  const inside = await holder.run(["ip", "-batch", "-"], { input: insideLinks(road) });
  if (inside.exitCode !== 0) return inside.stderr.trim();
  const nft = tools.command("nft", "-f", "-");
  const within = await holder.run(nft, { input: insideRules() });
  if (within.exitCode !== 0) return within.stderr.trim();
  const outer = await run(nft, outsideRules(road));
  if (outer.exitCode !== 0) return outer.stderr.trim();
  const note = join(folder, "egress.json");
  if (!existsSync(note)) {
    writeFileSync(note, JSON.stringify({ forwarded: readFileSync(forwarding, "utf8").trim() }), { mode: 0o600 });
  }
  writeFileSync(forwarding, "1");
  return undefined;
}

/** A process outside of the namespace that carries its packets as connections of the user's own. */
async function bySlirp({ folder, holder, publisher, tools, clock }: ClusterParts): Promise<string | undefined> {
  const id = `slirp4netns/${holder.pid}`;
  for (const one of await publisher.processes()) if (one.running && one.id !== id) await publisher.kill(one.id);
  const at = `/proc/${holder.pid}/ns`;
  const user = sameUserNamespace(holder.pid) ? [] : [`--userns-path=${at}/user`];
  const words = [
    "--configure",
    "--mtu=1500",
    "--disable-host-loopback",
    ...user,
    "--netns-type=path",
    `${at}/net`,
    uplink,
  ];
  const logPath = join(folder, "slirp4netns.log");
  await publisher.spawn({ id, argv: tools.command("slirp4netns", ...words), logPath });
  const deadlineMs = clock.monotonicMs() + slirpMs;
  while ((await holder.run(["ip", "route", "get", "192.0.2.1"])).exitCode !== 0) {
    const lives = (await publisher.processes()).some((one) => one.id === id && one.running);
    if (!lives || clock.monotonicMs() > deadlineMs) return `slirp4netns does not work, see ${logPath}`;
    await clock.sleep(30);
  }
  const within = await holder.run(tools.command("nft", "-f", "-"), { input: insideRules() });
  return within.exitCode === 0 ? undefined : within.stderr.trim();
}

const sameUserNamespace = (pid: number): boolean =>
  readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync("/proc/self/ns/user");

const outsideLinks = ({ name, outside }: Road, pid: number): string =>
  [
    `link add ${name} type veth peer name ${uplink} netns ${pid}`,
    `addr add ${outside}/30 dev ${name}`,
    `link set ${name} up`,
    "",
  ].join("\n");

const insideLinks = ({ inside, outside }: Road): string =>
  [`addr replace ${inside}/30 dev ${uplink}`, `link set ${uplink} up`, `route replace default via ${outside}`, ""].join(
    "\n",
  );

/** Naming a table before deleting it makes a repeat harmless; the whole text takes effect at once. */
const fresh = (table: string): string[] => [`table ip ${table}`, `delete table ip ${table}`, `table ip ${table} {`];

const insideRules = (): string =>
  [
    ...fresh("drover"),
    "chain leave {",
    "type nat hook postrouting priority srcnat",
    `ip saddr ${machineNetwork} oifname "${uplink}" masquerade`,
    "}",
    "}",
    "",
  ].join("\n");

const outsideRules = ({ name, network }: Road): string =>
  [
    ...fresh(`drover_${name}`),
    "chain leave {",
    "type nat hook postrouting priority srcnat",
    `ip saddr ${network} oifname != "${name}" masquerade`,
    "}",
    "chain pass {",
    "type filter hook forward priority filter",
    `oifname "${name}" ct state established,related accept`,
    `oifname "${name}" drop`,
    "}",
    "chain enter {",
    "type filter hook input priority filter",
    `iifname "${name}" ct state established,related accept`,
    `iifname "${name}" meta l4proto icmp accept`,
    `iifname "${name}" drop`,
    "}",
    "}",
    "",
  ].join("\n");

/** Takes the cluster's road away; the interfaces have gone with the namespace. May be repeated. */
export async function endEgress(home: string, cluster: string, tools: Tools): Promise<string[]> {
  const folder = clusterFolder(home, cluster);
  const note = join(folder, "egress.json");
  if (!existsSync(note)) return [];
  const { name } = roadOf(folder);
  if (existsSync(`/sys/class/net/${name}`)) await run(["ip", "link", "del", name]);
  await run(tools.command("nft", "-f", "-"), `table ip drover_${name}\ndelete table ip drover_${name}\n`);
  const { forwarded } = JSON.parse(readFileSync(note, "utf8")) as { forwarded: string };
  const others = readdirSync("/sys/class/net").some((other) => other.startsWith(prefix) && other !== name);
  if (forwarded === "0" && !others) writeFileSync(forwarding, "0");
  rmSync(note);
  return ["the machines' road to the internet"];
}
