import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { clusterFolder } from "./detached.ts";
import type { Holder, Log } from "./holder-client.ts";
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

/** A network of four addresses in 10.91.0.0/16 that follows from the cluster's folder. */
export function roadOf(folder: string): Road {
  const hash = createHash("sha256").update(folder).digest();
  const first = (hash.readUInt16BE(4) & 0x3fff) << 2;
  const address = (last: number) => `10.91.${(first + last) >> 8}.${(first + last) & 0xff}`;
  const name = `${prefix}${hash.toString("hex", 0, 4)}`;
  return { name, outside: address(1), inside: address(2), network: `${address(0)}/30` };
}

/**
 * Lets machines reach what the computer reaches: a pair of interfaces, masquerade on both sides, in nftables tables of
 * its own. The computer's own ports stay shut to machines. Where it can't be done (without root, without nftables in
 * the kernel) the machines live without it and the log says so: images and names of the user's own need no road.
 */
export async function ensureEgress(o: { folder: string; holder: Holder; tools: Tools; log: Log }): Promise<boolean> {
  const refuse = (why: string): false => {
    o.log.info(`The machines have no road to the internet: ${why}. Load their images with \`drover image load\`.`);
    return false;
  };
  if (process.getuid?.() !== 0) return refuse("that takes root");
  const road = roadOf(o.folder);
  const pair = existsSync(`/sys/class/net/${road.name}`) ? [] : [outsideLinks(road, o.holder.pid)];
  for (const batch of pair) {
    const made = await run(["ip", "-batch", "-"], batch);
    if (made.exitCode !== 0) return refuse(made.stderr.trim());
  }
  const inside = await o.holder.run(["ip", "-batch", "-"], { input: insideLinks(road) });
  if (inside.exitCode !== 0) return refuse(inside.stderr.trim());
  const nft = o.tools.command("nft", "-f", "-");
  const within = await o.holder.run(nft, { input: insideRules() });
  if (within.exitCode !== 0) return refuse(within.stderr.trim());
  const outer = await run(nft, outsideRules(road));
  if (outer.exitCode !== 0) return refuse(outer.stderr.trim());
  const note = join(o.folder, "egress.json");
  if (!existsSync(note)) {
    writeFileSync(note, JSON.stringify({ forwarded: readFileSync(forwarding, "utf8").trim() }), { mode: 0o600 });
  }
  writeFileSync(forwarding, "1");
  return true;
}

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
