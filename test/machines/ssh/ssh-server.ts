import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import ssh2, { type Connection, type ServerChannel } from "ssh2";
import { onTestFinished } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Machine } from "../../../src/clouds/cloud.ts";
import { makeHostKey } from "../../../src/clouds/local/host-key.ts";
import type { SshBoxesOptions } from "../../../src/machines/ssh/boxes.ts";
import { fingerprintOf } from "../../../src/machines/ssh/fingerprint.ts";
import type { TestAgent } from "../agent-kit.ts";

export type TestServer = {
  port: number;
  fingerprint: string;
  /** What cloud-init prints on a console. */
  console: string;
  /** Cuts every connection. */
  cut(): void;
  connections(): number;
  /** From now on whatever is said of a command comes in one piece, as it does to whoever was too busy to read. */
  answerWhole(): void;
  /** Where the machine's loopback listens for drover in place of this port, which may be taken here. */
  forwarded(port: number): number | undefined;
};

/** sshd's part of a machine for one test. */
export async function startSshServer(agent: Agent, authorizedKey: string): Promise<TestServer> {
  const server = await openSshServer(agent, authorizedKey);
  onTestFinished(server.close);
  return server;
}

type Agent = Pick<TestAgent, "root" | "env">;
type Place = { address: string; port: number };

/** Root by public key, unix sockets below the agent's root, TCP to loopback (which is `address` here), commands. */
export async function openSshServer(
  agent: Agent,
  authorizedKey: string,
  { address, port }: Place = { address: "127.0.0.1", port: 0 },
): Promise<TestServer & { close(): void }> {
  const hostKey = makeHostKey("test");
  const allowed = ssh2.utils.parseKey(authorizedKey);
  const shown = ssh2.utils.parseKey(hostKey.publicKey);
  if (allowed instanceof Error || shown instanceof Error) throw new Error("keys");
  const open = new Set<Socket>();
  const forwarded = new Map<number, number>();
  let isWhole = false;
  /** Holds back what is sent, until what it returns is called. */
  const hold = () => {
    const held = isWhole ? [...open] : [];
    for (const socket of held) socket.cork();
    return () => {
      for (const socket of held) socket.uncork();
    };
  };
  const ssh = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) =>
    serve(connection, { agent, address, allowed, forwarded, hold }),
  );
  const server: Server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    ssh.injectSocket(socket);
  });
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const fingerprint = fingerprintOf(shown.getPublicSSH());
  return {
    port: (server.address() as AddressInfo).port,
    fingerprint,
    console: [
      "[   12.3] cloud-init[512]: ...",
      "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
      `256 ${fingerprint} root@box (ED25519)`,
      "-----END SSH HOST KEY FINGERPRINTS-----\n",
    ].join("\n"),
    cut,
    connections: () => open.size,
    answerWhole: () => {
      isWhole = true;
    },
    forwarded: (port) => forwarded.get(port),
    close() {
      cut();
      server.close();
    },
  };
}

/** The machine behind `server`, as a cloud tells of it. */
export const machine: Machine = {
  id: "m1",
  launchId: "l",
  slot: 0,
  state: "running",
  type: "t",
  zone: "z",
  address: "127.0.0.1",
};

/** Boxes that reach `server` straight and read its console. */
export const optionsFor = (server: TestServer, privateKey: string): SshBoxesOptions => ({
  reach: { kind: "tcp" },
  console: async () => server.console,
  privateKey,
  clock: systemClock,
  log: { debug: () => undefined, warn: () => undefined },
  port: server.port,
});

type Host = {
  agent: Agent;
  address: string;
  allowed: ssh2.ParsedKey;
  forwarded: Map<number, number>;
  hold: () => () => void;
};

function serve(connection: Connection, { agent, address, allowed, forwarded, hold }: Host): void {
  connection.on("error", () => undefined);
  connection.on("authentication", (context) => {
    const good =
      context.method === "publickey" &&
      context.username === "root" &&
      context.key.data.equals(allowed.getPublicSSH()) &&
      (!context.signature || !context.blob || allowed.verify(context.blob, context.signature, context.hashAlgo));
    if (good) context.accept();
    else context.reject();
  });
  connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
    splice(connect({ path: join(agent.root, socketPath) }), accept, reject);
  });
  connection.on("tcpip", (accept, reject, { destIP, destPort }) => {
    splice(connect({ host: destIP === "127.0.0.1" ? address : destIP, port: destPort }), accept, reject);
  });
  connection.on("request", (accept, reject, name, info) => {
    if (name !== "tcpip-forward") return reject?.();
    const { bindAddr, bindPort } = info;
    const listener = createServer((socket) => {
      connection.forwardOut(bindAddr, bindPort, "127.0.0.1", socket.remotePort ?? 0, (error, channel) => {
        if (error) socket.destroy();
        else channel.pipe(socket).pipe(channel);
      });
    });
    listener.once("error", () => reject?.());
    listener.listen(0, "127.0.0.1", () => {
      forwarded.set(bindPort, (listener.address() as AddressInfo).port);
      accept?.();
    });
    connection.on("close", () => {
      forwarded.delete(bindPort);
      listener.close();
    });
  });
  connection.on("session", (accept) => {
    const session = accept();
    session.on("pty", (acceptPty) => acceptPty?.());
    session.on("window-change", (acceptChange) => acceptChange?.());
    session.on("exec", (acceptExec, _reject, { command }) => {
      const release = hold();
      void run(acceptExec(), command, agent).then(release);
    });
  });
}

function splice(far: Socket, accept: () => Duplex, reject: () => void): void {
  far.once("error", reject);
  far.once("connect", () => {
    far.off("error", reject);
    const near = accept();
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.on("close", () => far.destroy());
  });
}

/** Resolves when all is said. As sshd does on a busy machine, it tells the end of the output well before the exit code. */
async function run(channel: ServerChannel, command: string, agent: Agent): Promise<void> {
  const child = spawn("/bin/sh", ["-c", command], { env: agent.env });
  channel.pipe(child.stdin);
  child.stdin.on("error", () => undefined);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.on("close", () => child.kill("SIGKILL"));
  const [code] = await once(child, "close");
  if (channel.writableLength === 0) tellEndOfOutput(channel);
  await systemClock.sleep(20);
  channel.exit(code ?? 255);
  channel.end();
}

/** ssh2's own word for it would keep it from telling an exit code afterwards. */
function tellEndOfOutput(channel: ServerChannel): void {
  const { _client, outgoing } = channel as unknown as {
    _client: { _protocol: { channelEOF(id: number): void } };
    outgoing: { id: number };
  };
  _client._protocol.channelEOF(outgoing.id);
}

/** A dialer as the local cloud has one: `IP PORT\n`, `OK\n`, then that connection. */
export async function startDialer(path: string): Promise<void> {
  const server = createServer((client) => {
    client.once("data", (line) => {
      const [host, port] = line.toString().trim().split(" ");
      const far = connect({ host: host ?? "", port: Number(port) });
      far.on("error", (error) => client.end(`ERR ${error.message}\n`));
      far.once("connect", () => {
        client.write("OK\n");
        client.pipe(far).pipe(client);
      });
      client.on("close", () => far.destroy());
    });
    client.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    server.close();
  });
}
