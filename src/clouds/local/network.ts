import { readFileSync, writeFileSync } from "node:fs";
import { DroverError } from "../../base/errors.ts";
import { run } from "./command.ts";

/** The machines' own network, the same in every cluster: each has a network namespace to itself. */
export const machineNetwork = "10.90.0.0/16";
/** The bridge's address in it: the machines' gateway, resolver and registry. */
export const gatewayAddress = "10.90.0.1";
/** Where the cluster addresses of Services come from. All of them are answered inside the namespace. */
const serviceNetwork = "10.96.0.0/16";

const bridge = "drover0";
/**
 * How often a machine's hardware address is asked for, once a second, until connections to it fail. Linux' three are
 * less than an emulated machine on a busy computer stands still, and the balancers wait a minute for a connection.
 */
const neighbourProbes = 60;

/** Brings up loopback, the bridge and the Services' addresses in the namespace of this process. May be repeated. */
export async function buildNetwork(): Promise<void> {
  const present = await ip(`link show dev ${bridge}`, "-o").then(
    () => true,
    () => false,
  );
  if (!present) {
    await ip(
      [
        "link set lo up",
        `link add ${bridge} type bridge stp_state 0 forward_delay 0`,
        `addr add ${gatewayAddress}/16 dev ${bridge}`,
        `link set ${bridge} up`,
      ].join("\n"),
    );
  }
  await ip(
    [
      `route replace local ${serviceNetwork} dev lo`,
      `ntable change name arp_cache dev ${bridge} mcast_probes ${neighbourProbes} ucast_probes ${neighbourProbes}`,
    ].join("\n"),
  );
  // Machines reach each other over the bridge; everything else that is not the gateway's own goes out through it.
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

/** @throws CLOUD_INVALID when it can't be the name of an interface */
function assertInterfaceName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,14}$/.test(name)) throw new DroverError("CLOUD_INVALID", `${name} can't name an interface.`);
}

/** A tap on the bridge, for one machine. May be repeated. */
export async function addTap(name: string): Promise<void> {
  assertInterfaceName(name);
  if (taps().includes(name)) return;
  await ip([`tuntap add dev ${name} mode tap`, `link set dev ${name} master ${bridge} up`].join("\n"));
}

/**
 * May be repeated. The machines' hardware addresses are forgotten too: whoever gets this one's address next would not
 * be found for some seconds otherwise.
 */
export async function removeTap(name: string): Promise<void> {
  assertInterfaceName(name);
  if (taps().includes(name)) await ip(`link del dev ${name}\nneigh flush dev ${bridge}`);
}

/** Every interface of this process's namespace except loopback and the bridge. */
const taps = (): string[] =>
  readFileSync("/proc/self/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.indexOf(":")).trim())
    .filter((name) => name !== "" && name !== "lo" && name !== bridge);

/** Runs one command of `ip` or several, a line each. @throws SETUP_MISSING, CLOUD_UNAVAILABLE with what `ip` said */
async function ip(batch: string, ...options: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(["ip", ...options, "-batch", "-"], `${batch}\n`);
  if (exitCode === 0) return stdout;
  if (/ENOENT/.test(stderr))
    throw new DroverError("SETUP_MISSING", "`ip` is not there; `sudo apt-get install iproute2`.");
  const said = stderr.trim().split("\n")[0] ?? "";
  if (batch.startsWith("tuntap") && /permission denied|no such/i.test(stderr)) {
    throw new DroverError(
      "SETUP_MISSING",
      `No machine can be given a network (${said}); \`sudo chmod 666 /dev/net/tun\`.`,
    );
  }
  throw new DroverError("CLOUD_UNAVAILABLE", `ip said: ${said} (${batch.split("\n")[0]} …)`);
}
