import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { systemClock } from "../../../src/base/clock.ts";
import { clusterFolder } from "../../../src/clouds/local/detached.ts";
import { endHolder, type Holder, openHolder } from "../../../src/clouds/local/holder-client.ts";
import { macOf } from "../../../src/clouds/local/machine-record.ts";
import { gatewayAddress } from "../../../src/clouds/local/network.ts";
import { ensureRegistry } from "../../../src/clouds/local/registry.ts";
import { openTools, type Tools } from "../../../src/clouds/local/tools.ts";
import { type Metadata, openImds } from "./imds.ts";

/** moto's network 172.31.0.0/16 for real: a namespace with a bridge, DHCP, the metadata service and a registry. */
export type MachineNetwork = {
  holder: Holder;
  folder: string;
  /** From now on this address is the machine's with this tap, which the metadata service knows by it. */
  give(address: string, tap: string, metadata: Metadata): Promise<{ mac: string }>;
  take(address: string, tap: string): Promise<void>;
  /** What the metadata service was asked from an address: `PUT /latest/api/token 200`. */
  asked(address: string): ReadonlySet<string>;
  close(): Promise<void>;
};

const cluster = "rig";
const router = "172.31.0.1";
const metadataAddress = "169.254.169.254";
const sourceHeader = "x-rig-source";

/** `registryHome`: of whom the images are that machines find. */
export async function openMachineNetwork(home: string, registryHome: string): Promise<MachineNetwork> {
  const tools = await openTools();
  const log = { info: () => undefined, warn: (message: string) => void process.stderr.write(`rig: ${message}\n`) };
  const holder = await openHolder({ home, cluster, clock: systemClock, log });
  const folder = clusterFolder(home, cluster);
  const known = new Map<string, Metadata>();
  const leases = join(folder, "leases");
  mkdirSync(leases);
  const socket = join(folder, "imds.sock");
  const asked = new Map<string, Set<string>>();
  const server = await serveImds(socket, known, asked);
  const close = async () => {
    server.closeAllConnections();
    server.close();
    holder.close();
    await endHolder(home, cluster);
  };
  try {
    const bridge = await bridgeOf(holder);
    await run(holder, ["ip", "addr", "add", `${router}/16`, "dev", bridge]);
    await run(holder, ["ip", "addr", "add", `${metadataAddress}/32`, "dev", bridge]);
    await startDhcp(holder, tools, folder, leases, bridge);
    await startRelay(holder, tools, folder, socket);
    await ensureRegistry({ home: registryHome, folder, holder, tools, clock: systemClock });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    holder,
    folder,
    close,
    asked: (address) => asked.get(address) ?? new Set(),
    async give(address, tap, metadata) {
      const mac = macOf(address);
      known.set(address, metadata);
      // dnsmasq reads what is new in this folder by itself.
      writeFileSync(join(leases, address), `${mac},${address}\n`);
      await holder.addTap(tap);
      return { mac };
    },
    async take(address, tap) {
      known.delete(address);
      rmSync(join(leases, address), { force: true });
      await holder.removeTap(tap);
    },
  };
}

/** The interface that has the machines' gateway. */
async function bridgeOf(holder: Holder): Promise<string> {
  const said = await run(holder, ["ip", "-o", "addr", "show", "to", `${gatewayAddress}/32`]);
  const [, name] = /^\d+:\s+(\S+)/.exec(said) ?? [];
  if (name === undefined) throw new Error(`no interface has ${gatewayAddress}: ${said}`);
  return name;
}

async function run(holder: Holder, argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await holder.run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  return stdout;
}

async function startDhcp(holder: Holder, tools: Tools, folder: string, leases: string, bridge: string) {
  const words = [
    // In its debug mode it stays who it is: an ordinary user's root can become nobody else.
    ...["--no-daemon", "--conf-file=/dev/null", "--port=0", "--log-facility=-"],
    ...[`--interface=${bridge}`, "--dhcp-range=172.31.0.0,static,255.255.0.0", `--dhcp-hostsdir=${leases}`],
    ...[`--dhcp-option=option:router,${router}`, `--dhcp-option=option:dns-server,${gatewayAddress}`],
    `--dhcp-leasefile=${join(folder, "dnsmasq.leases")}`,
  ];
  const logPath = join(folder, "dnsmasq.log");
  await holder.spawn({ id: "dhcp", argv: tools.command("dnsmasq", ...words), logPath });
}

/** Takes requests of machines out of the namespace, to the socket, with a word about who asked. */
async function startRelay(holder: Holder, tools: Tools, folder: string, socket: string): Promise<void> {
  const config = join(folder, "imds.cfg");
  const lines = [
    "defaults",
    ...["  mode http", "  timeout connect 5s", "  timeout client 60s", "  timeout server 60s"],
    "frontend imds",
    `  bind ${metadataAddress}:80`,
    `  http-request set-header ${sourceHeader} %[src]`,
    "  default_backend rig",
    "backend rig",
    `  server rig unix@${socket}`,
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const argv = tools.command("haproxy", "-db", "-f", config);
  await holder.spawn({ id: "imds", argv, logPath: join(folder, "imds.log") });
}

async function serveImds(
  socket: string,
  known: ReadonlyMap<string, Metadata>,
  asked: Map<string, Set<string>>,
): Promise<Server> {
  const imds = openImds((address) => known.get(address));
  const server = createServer(({ method = "", url = "/", headers }, response) => {
    const address = String(headers[sourceHeader]);
    const { status, body } = imds.answer({ method, path: url, headers }, address);
    asked.set(address, (asked.get(address) ?? new Set()).add(`${method} ${url} ${status}`));
    response.writeHead(status, { "content-type": "text/plain" }).end(body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  return server;
}
