import { createInterface } from "node:readline";
import { type Config, NodeSSH } from "node-ssh";
import type { Client, ClientChannel } from "ssh2";
import { systemClock } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import type { Contact, Report } from "../../clouds/box.ts";
import { offerApi } from "./api-road.ts";
import { carryOut, openAgent, request } from "./channels.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { noKeyYet } from "./host-keys.ts";
import type { Followed, Task, ThreadSettings } from "./messages.ts";
import { openSocket } from "./reach.ts";

/** What a link needs of the thread that it lives in. */
export type LinkHost = {
  settings: ThreadSettings;
  /** Lets only so many handshakes go on at a time. */
  paced: <T>(make: () => Promise<T>) => Promise<T>;
  tell: (contact: Contact) => void;
  /** The fingerprints that the machine's console has shown; asks again after a refusal. */
  fingerprints: (refused?: string) => Promise<readonly string[]>;
  /** Where the API listens on this computer, once it does. */
  apiPort: () => number | undefined;
  trusted: (fingerprint: string) => void;
};

const dialMs = 15_000;
const manners = {
  username: "root",
  algorithms: { serverHostKey: ["ssh-ed25519"] },
  // An emulated machine takes its time over the key exchange.
  readyTimeout: 60_000,
  keepaliveInterval: 15_000,
  keepaliveCountMax: 2,
} satisfies Config;
/** The agent says something every 10 s. */
const silenceMs = 30_000;
const retryMs = { first: 250, factor: 1.5, bootingMax: 2_000, max: 30_000 };
const agentRetryMs = 500;
/** How long a request waits for a connection that is being made. */
const connectionWaitMs = 15_000;

const withoutFailure = ({ failure: _, failingSinceMs: __, ...contact }: Contact): Contact => contact;

/** One machine's persistent connection: made again for as long as the link is open, with the reports it carries. */
export class Link {
  readonly #machine: Followed;
  readonly #host: LinkHost;
  readonly #closing = new AbortController();
  #client: Client | undefined;
  readonly #connected = new Set<() => void>();
  #contact: Contact = { reachable: false };
  #everReached = false;
  #heardMs = 0;

  constructor(machine: Followed, host: LinkHost) {
    this.#machine = machine;
    this.#host = host;
    void this.#live();
  }

  /** Whether this link goes to the same place. */
  leadsTo = (machine: Followed): boolean => machine.address === this.#machine.address;

  /** @throws BOX_UNREACHABLE, BOX_TAKEN, BOX_REFUSED */
  async carryOut(task: Task): Promise<void> {
    const client = this.#client ?? (await this.#nextClient());
    if (!client) throw new DroverError("BOX_UNREACHABLE", `There is no connection to ${this.#machine.id} now.`);
    await carryOut(client, task);
  }

  /** The next connection: one is always being made, and right after a start of drover it only takes a moment. */
  async #nextClient(): Promise<Client | undefined> {
    const enough = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(connectionWaitMs)]);
    const made = new Promise<void>((resolve) => {
      this.#connected.add(resolve);
      enough.addEventListener("abort", () => resolve(), { once: true });
    });
    await made;
    return this.#client;
  }

  close(): void {
    this.#closing.abort();
    this.#client?.end();
  }

  async #live(): Promise<void> {
    const { signal } = this.#closing;
    let waitMs = retryMs.first;
    while (!signal.aborted) {
      try {
        const ssh = await this.#connect();
        waitMs = retryMs.first;
        await this.#tend(ssh);
        this.#tell({ ...this.#contact, reachable: false });
      } catch (error) {
        // Whatever it is, the answer is to try again; the reason is for who wonders why it takes so long.
        this.#failed(error instanceof Error ? error.message : String(error));
      }
      this.#client = undefined;
      const jitter = 0.75 + systemRandom.next() / 2;
      await systemClock.sleep(waitMs * jitter, signal).catch(() => undefined);
      waitMs = Math.min(waitMs * retryMs.factor, this.#everReached ? retryMs.max : retryMs.bootingMax);
    }
  }

  async #connect(): Promise<NodeSSH> {
    const { settings, paced, fingerprints, trusted } = this.#host;
    const { signal } = this.#closing;
    if (!this.#everReached && this.#contact.failure === undefined) this.#failed(noKeyYet);
    const known = await fingerprints();
    signal.throwIfAborted();
    const sock = await openSocket(settings.reach, this.#machine, settings.port, dialMs);
    const leave = () => sock.destroy();
    signal.addEventListener("abort", leave, { once: true });
    const ssh = new NodeSSH();
    let shown = "";
    const hostVerifier = (key: Buffer) => {
      shown = fingerprintOf(key);
      return known.includes(shown) || (known.length === 0 && settings.acceptNewHostKeys);
    };
    try {
      signal.throwIfAborted();
      const { privateKey } = settings;
      await paced(() => ssh.connect({ ...manners, sock, privateKey, hostVerifier }));
      trusted(shown);
      return ssh;
    } catch (error) {
      ssh.dispose();
      sock.destroy();
      if (shown !== "" && !known.includes(shown)) void fingerprints(shown);
      throw error;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Reads reports until the connection ends. */
  async #tend(ssh: NodeSSH): Promise<void> {
    const { signal } = this.#closing;
    const client = ssh.connection;
    if (!client) return;
    let open = true;
    const ended = new Promise<void>((resolve) => {
      client.once("close", () => {
        open = false;
        resolve();
      });
    });
    client.on("error", () => client.destroy());
    if (signal.aborted) client.end();
    this.#client = client;
    this.#everReached = true;
    for (const resolve of this.#connected) resolve();
    this.#connected.clear();
    offerApi(client, this.#host.apiPort);
    while (open) {
      await Promise.race([this.#watch(client), ended]).catch((error: unknown) =>
        this.#failed(`its agent does not answer: ${error instanceof Error ? error.message : error}`),
      );
      if (open) await Promise.race([systemClock.sleep(agentRetryMs, signal).catch(() => undefined), ended]);
    }
    ssh.dispose();
  }

  /** One stream of reports, until the agent or the connection ends it or it falls silent. */
  async #watch(client: Client): Promise<void> {
    const channel = await openAgent(client);
    await request(channel, JSON.stringify({ op: "watch" }));
    this.#heardMs = systemClock.monotonicMs();
    const listening = new AbortController();
    void this.#listen(client, listening.signal);
    try {
      await this.#readReports(channel);
    } finally {
      listening.abort();
      channel.close();
      this.#tell({ ...this.#contact, reachable: false });
    }
  }

  async #readReports(channel: ClientChannel): Promise<void> {
    for await (const line of createInterface({ input: channel })) {
      this.#heardMs = systemClock.monotonicMs();
      if (line !== "") this.#tell({ reachable: true, report: JSON.parse(line) as Report });
      else if (!this.#contact.reachable) this.#tell({ ...withoutFailure(this.#contact), reachable: true });
    }
  }

  /** Ends a connection on which nothing is heard any more. */
  async #listen(client: Client, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leftMs = this.#heardMs + silenceMs - systemClock.monotonicMs();
      if (leftMs <= 0) client.destroy();
      if (leftMs <= 0) return;
      await systemClock.sleep(leftMs, signal).catch(() => undefined);
    }
  }

  #failed(why: string): void {
    const failingSinceMs = this.#contact.failingSinceMs ?? systemClock.wallMs();
    this.#tell({ ...this.#contact, reachable: false, failure: why.replace(/\.$/, ""), failingSinceMs });
  }

  #tell(contact: Contact): void {
    const { reachable, report, failure } = this.#contact;
    if (contact.reachable === reachable && contact.report === report && contact.failure === failure) return;
    this.#contact = contact;
    if (!this.#closing.signal.aborted) this.#host.tell(contact);
  }
}
