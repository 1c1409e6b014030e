import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { HostKey } from "./host-key.ts";
import { type Conversation, converse } from "./monitor.ts";
import { gatewayAddress } from "./network.ts";
import { netmask } from "./qemu.ts";

type Identity = { hostname: string; address: string; mac: string; hostKey: HostKey; stay?: boolean };

/** The way into a machine that is to be saved or has just been cloned: a serial port, no network needed. */
export type IdentityPort = {
  /** Resolves once cloud-init has ended. @throws CLOUD_UNAVAILABLE with cloud-init's own errors */
  ready(): Promise<void>;
  /** Has drover's agent, where there is one, fetch these images. @throws BOX_REFUSED with what went wrong */
  fetch(images: readonly string[], registryMirror: string): Promise<void>;
  /** Runs a shell script to its end; its failure is the script's own affair. */
  run(script: string): Promise<void>;
  /** Lets the machine forget who it is. Its network is down from then on. */
  seal(): Promise<void>;
  /** Makes the machine somebody, with random numbers and a clock of its own. With `stay` it can be asked more. */
  become(identity: Identity): Promise<void>;
  close(): void;
};

const bootTimeoutMs = 600_000;
const fetchTimeoutMs = 600_000;
const quickTimeoutMs = 60_000;

/** Connects to the port of a machine whose QEMU is starting. */
export async function openIdentityPort(path: string, clock: Clock, signal?: AbortSignal): Promise<IdentityPort> {
  const talk: Conversation = await converse(path, { withinMs: 10_000, clock, ...(signal ? { signal } : {}) });
  signal?.addEventListener("abort", () => talk.close(), { once: true });
  const ask = async (request: Record<string, unknown>, timeoutMs: number): Promise<Record<string, unknown>> => {
    const reply = await talk.ask(request, timeoutMs);
    if (reply["ok"] === true) return reply;
    throw new DroverError("CLOUD_UNAVAILABLE", `The machine refused "${request["do"]}": ${reply["error"]}`);
  };
  return {
    async ready() {
      const { errors } = await ask({ do: "ready" }, bootTimeoutMs);
      if (Array.isArray(errors) && errors.length > 0) {
        throw new DroverError("CLOUD_UNAVAILABLE", `cloud-init failed: ${errors.join("; ")}`);
      }
    },
    async fetch(images, registryMirror) {
      const { answer } = await ask({ do: "agent", request: { op: "fetch", images, registryMirror } }, fetchTimeoutMs);
      const error = (answer as { error?: { message?: string } } | null)?.error;
      if (error !== undefined) throw new DroverError("BOX_REFUSED", error.message ?? "unknown reason");
    },
    run: async (script) => void (await ask({ do: "run", script }, fetchTimeoutMs)),
    seal: async () => void (await ask({ do: "seal" }, quickTimeoutMs)),
    async become({ hostname, address, mac, hostKey, stay = false }) {
      const fresh = {
        time: clock.wallMs() / 1000,
        seed: randomBytes(64).toString("hex"),
        machineId: randomBytes(16).toString("hex"),
        hostKey: hostKey.privateKey,
        hostKeyPublic: hostKey.publicKey,
      };
      const network = { address, mac, netmask, gateway: gatewayAddress };
      await ask({ do: "identity", hostname, stay, ...fresh, ...network }, quickTimeoutMs);
    },
    close: () => talk.close(),
  };
}
