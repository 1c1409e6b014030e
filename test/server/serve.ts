import { mkdtemp, rm } from "node:fs/promises";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import type { Boxes } from "../../src/clouds/box.ts";
import { openSimCloud } from "../../src/clouds/sim/open.ts";
import { startControllers } from "../../src/controllers/start.ts";
import { openRegistry, type Registry } from "../../src/registry/registry.ts";
import { startServer } from "../../src/server/http.ts";
import { type Identity, openIdentity } from "../../src/server/identity.ts";
import { writeKubeconfigFile } from "../../src/server/kubeconfig.ts";
import { memoryStore } from "../../src/store/memory.ts";

type Reply = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  body: unknown;
};

export type TestServer = {
  port: number;
  registry: Registry;
  identity: Identity;
  /** A kubeconfig with the administrator's certificate. */
  kubeconfig: string;
  folder: string;
  /** As the administrator, or with the given options of `https.request`. */
  request(method: string, path: string, body?: unknown, options?: https.RequestOptions): Promise<Reply>;
  close(): Promise<void>;
};

/** No machine is there to be reached. */
const noBoxes = new Proxy({} as Boxes, {
  get: (_, name) => () => {
    throw new Error(`no box to ${String(name)}`);
  },
});

const quick = { p50Ms: 5, p99Ms: 20 };
const latencies = {
  launchCall: quick,
  otherCall: quick,
  visible: quick,
  pendingToRunning: quick,
  agent: quick,
  pull: quick,
  containerStart: quick,
  targetHealthy: quick,
  terminate: quick,
};

/**
 * A real server on a free port of loopback, over an empty store in memory, with an identity of its own. With
 * `controllers` objects become machines of a simulated cloud that is quick; without, they stay what they are.
 */
export async function serve(options: { boxes?: Boxes; controllers?: boolean } = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "serve-"));
  const identity = await openIdentity({ directory: join(folder, "identity"), clock: systemClock });
  const store = memoryStore();
  // What was written before a registry is opened is no history: revision 1 is too old, as on a server that has run.
  (await openRegistry({ store, clock: systemClock, random: systemRandom })).close();
  const registry = await openRegistry({ store, clock: systemClock, random: systemRandom });
  const log = pino({ level: process.env["LOG"] ?? "fatal" });
  const world = options.controllers === true ? simulate(registry, identity, log) : undefined;
  const { port, close } = await startServer({
    registry,
    identity,
    boxes: options.boxes ?? world?.boxes ?? noBoxes,
    clock: systemClock,
    log,
    port: 0,
  });
  const kubeconfig = join(folder, "kubeconfig");
  await writeKubeconfigFile(kubeconfig, { name: "drover", server: `https://127.0.0.1:${port}`, identity });
  const { authority: ca, admin } = identity;
  const agent = new https.Agent({ keepAlive: true, ca, cert: admin.certificate, key: admin.key });
  return {
    port,
    registry,
    identity,
    kubeconfig,
    folder,
    request: (method, path, body, more = {}) =>
      send({ agent, ca, host: "127.0.0.1", port, method, path, ...more }, body),
    async close() {
      agent.destroy();
      await close();
      await world?.close();
      registry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function simulate(registry: Registry, identity: Identity, log: pino.Logger) {
  const { cloud, boxes } = openSimCloud({ clock: systemClock, random: seededRandom(1), latencies, machinesMax: 1_000 });
  const controllers = startControllers({
    client: registry.client(),
    cloud,
    boxes,
    clock: systemClock,
    random: systemRandom,
    cluster: "test",
    log,
    pollFastMs: 50,
    pollSlowMs: 1_000,
    authorizedKey: "ssh-ed25519 AAAA test",
    rootCertificate: identity.authority,
  });
  return {
    boxes,
    async close() {
      await controllers.stop();
      await boxes.close();
      await cloud.close();
    },
  };
}

function send(options: https.RequestOptions, body: unknown): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const raw = typeof body === "string" || Buffer.isBuffer(body);
    const payload = body === undefined ? undefined : raw ? body : JSON.stringify(body);
    const headers = { ...(payload !== undefined && { "content-type": "application/json" }), ...options.headers };
    const request = https.request({ timeout: 10_000, ...options, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          parsed = undefined;
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer in 10 s")));
    request.on("error", reject);
    request.end(payload);
  });
}
