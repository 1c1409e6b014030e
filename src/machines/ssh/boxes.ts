import type { Readable } from "node:stream";
import { MessageChannel } from "node:worker_threads";
import type { Logger } from "pino";
import { type Clock, parseTimeMs, rfc3339Micro } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Boxes, Contact, ExecRequest, LogRequest } from "../../clouds/box.ts";
import type { Machine } from "../../clouds/cloud.ts";
import { boundParts } from "../agent.ts";
import { execCommand, openSession } from "./exec.ts";
import { consoleReader, type HostKeys, noKeyYet } from "./host-keys.ts";
import { portStream } from "./port-stream.ts";
import type { Reach } from "./reach.ts";
import { openThread } from "./tasks.ts";

export type SshBoxesOptions = {
  reach: Reach;
  /** Machines are reached by their own address, though they may have a public one. Default: by that. */
  ownAddress?: boolean;
  /** The machine's console so far, from which its host key's fingerprint is taken. */
  console: (machineId: string) => Promise<string>;
  /** The operator's key, in OpenSSH's form. */
  privateKey: string;
  clock: Clock;
  log: Pick<Logger, "debug" | "warn">;
  /** Remembers host keys that were seen to be right; without it the console is read again after every start. */
  hostKeys?: HostKeys;
  /** sshd's port. Default: 22. */
  port?: number;
  /** The user's explicit word that a machine whose console can't be read is trusted at first sight. Default: false. */
  acceptNewHostKeys?: boolean;
  /** What the user can do where a machine can't be reached: it ends the sentence that says why. */
  wayOut?: string;
};

export type ApiRoad = {
  /** Gives the machines' loopback a way to the API, which listens on this port of this computer's loopback. */
  offerApi(port: number): void;
};

/** The insides of machines over SSH: one persistent connection each, all of them in a thread of their own. */
export function sshBoxes(options: SshBoxesOptions): Boxes & ApiRoad {
  const contacts = new Map<string, Contact>();
  const listeners = new Set<(machineId: string) => void>();
  const followed = new Set<string>();
  const learn = (machineId: string, contact: Contact) => {
    contacts.set(machineId, contact);
    for (const listener of listeners) listener(machineId);
  };
  const keys = consoleReader(options, {
    isFollowed: (machineId) => followed.has(machineId),
    keyless(machineId, failure, before) {
      const { failure: known, ...contact } = contacts.get(machineId) ?? { reachable: false };
      // Another key than its own is worse than none.
      const isKeyless = known === noKeyYet || known === before;
      if (isKeyless && known !== failure) learn(machineId, { ...contact, failure });
    },
  });
  const { reach, privateKey, port = 22, acceptNewHostKeys = false, wayOut } = options;
  const thread = openThread({ reach, privateKey, port, acceptNewHostKeys }, (message) => {
    if (message.type === "contact" && followed.has(message.machineId)) {
      const { failure } = message.contact;
      const isBarred = failure !== undefined && failure !== noKeyYet;
      const advised = isBarred && wayOut !== undefined && { failure: `${failure} (${wayOut})` };
      learn(message.machineId, { ...message.contact, ...advised });
    } else if (message.type === "fingerprintsWanted") {
      keys.want(message.machineId, message.refused, (fingerprints) =>
        thread.say({ type: "fingerprints", machineId: message.machineId, fingerprints }),
      );
    } else if (message.type === "trusted") keys.trust(message.machineId, message.fingerprint);
  });
  const ask = (machineId: string, request: object, signal?: AbortSignal) =>
    thread.perform(machineId, { kind: "ask", line: JSON.stringify(request) }, signal);

  return {
    follow(machines) {
      const reachable = machines.flatMap((machine) => followable(machine, options.ownAddress ?? false));
      followed.clear();
      for (const { id } of reachable) followed.add(id);
      for (const id of contacts.keys()) if (!followed.has(id)) contacts.delete(id);
      thread.say({ type: "follow", machines: reachable });
    },
    contact: (machineId) => contacts.get(machineId),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    bind: (machineId, binding, signal) => ask(machineId, { op: "bind", binding, parts: boundParts(binding) }, signal),
    update: (machineId, update, signal) => ask(machineId, { op: "update", ...update }, signal),
    stop: (machineId, graceSeconds, signal) => ask(machineId, { op: "stop", graceSeconds }, signal),
    async logs(machineId, request, signal) {
      const { port1, port2 } = new MessageChannel();
      const stream = portStream(port1);
      return await opened(stream, signal, () =>
        thread.perform(machineId, { kind: "read", line: logLine(request), data: port2 }, signal, [port2]),
      );
    },
    async exec(machineId, request, signal) {
      refuseUnlessRunning(contacts.get(machineId), request);
      return await openSession(execCommand(request), signal, (task, ports) =>
        thread.perform(machineId, task, signal, ports),
      );
    },
    async connect(machineId, port, signal) {
      const { port1, port2 } = new MessageChannel();
      const stream = portStream(port1);
      return await opened(stream, undefined, () =>
        thread.perform(machineId, { kind: "connect", port, data: port2 }, signal, [port2]),
      );
    },
    offerApi: (apiPort) => thread.say({ type: "apiPort", port: apiPort }),
    async close() {
      followed.clear();
      await thread.close();
    },
  };
}

function followable({ id, address: own, publicAddress = own, state }: Machine, ownAddress: boolean) {
  const address = ownAddress ? own : publicAddress;
  return address !== undefined && (state === "pending" || state === "running") ? [{ id, address }] : [];
}

/** The stream, once what feeds it is under way; `signal` ends it at any time. */
async function opened<S extends Readable>(stream: S, signal: AbortSignal | undefined, open: () => Promise<void>) {
  const abort = () => stream.destroy();
  signal?.addEventListener("abort", abort, { once: true });
  stream.once("close", () => signal?.removeEventListener("abort", abort));
  try {
    await open();
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function logLine({ sinceTime, ...request }: LogRequest): string {
  const sinceMs = sinceTime === undefined ? Number.NaN : parseTimeMs(sinceTime);
  return JSON.stringify({
    op: "logs",
    ...request,
    ...(!Number.isNaN(sinceMs) && { sinceTime: rfc3339Micro(sinceMs) }),
  });
}

/** Asked of the newest report, so that a client gets Kubernetes' words instead of podman's. */
function refuseUnlessRunning(contact: Contact | undefined, { container }: ExecRequest): void {
  const { containerStatuses = [], initContainerStatuses = [] } = contact?.report ?? {};
  const status = [...containerStatuses, ...initContainerStatuses].find(({ name }) => name === container);
  if (!contact?.report || status?.state?.running) return;
  throw new DroverError("BOX_REFUSED", `container not found ("${container}")`);
}
